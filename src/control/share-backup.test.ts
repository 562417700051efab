/** What shares hold, on simulated shares and a file server that is none: what is asked of it, and what is left behind. */
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { collect } from '../core/collect.ts';
import { PoolhouseError } from '../core/errors.ts';
import { createSimEngine } from '../engines/sim/sim-engine.ts';
import { noShareFiles } from '../files/no-share-files.ts';
import { decodePackedShares } from '../files/packed-shares.ts';
import type { ShareFiles, SharePlace } from '../files/share-files.ts';
import { keyOf, type ResourceId } from '../core/resource-id.ts';
import { saveResource } from '../store/resource-records.ts';
import { saveShareRestore } from '../store/share-restores.ts';
import { openStore } from '../store/store.ts';
import { createShareBackup } from './share-backup.ts';
import type { World } from './world.ts';

const noon = Date.UTC(2026, 10, 26, 12);
const { signal } = new AbortController();
const folder = { folder: 'notebooks/alice', quotaBytes: 500 };

async function prepare({ restoring = false, files = {} }: { restoring?: boolean; files?: Partial<ShareFiles> } = {}) {
  const store = await openStore(':memory:', { now: 0 });
  const clock = { now: () => noon, sleep: () => Promise.resolve() };
  const engine = createSimEngine({ clock });
  for (const share of ['shared', 'other']) {
    const id = `/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/team/fileServices/default/shares/${share}`;
    await saveResource(store.db, {
      ...{ key: keyOf(id), id: id as ResourceId, groupKey: keyOf('/g'), parentKey: '' }, // as formatResourceId makes it
      typeKey: 'microsoft.storage/storageaccounts/fileservices/shares',
      document: { properties: { shareQuota: 2 } },
      ...{ found: {}, provisioningState: 'Succeeded', error: undefined, generation: 1, etag: 'e' },
      ...{ createdAt: 1, changedAt: 1, deletingSince: undefined },
    });
  }
  const asked: { what: string; place: SharePlace }[] = [];
  const note = (what: string, place: SharePlace) => void asked.push({ what, place });
  const shareFiles: ShareFiles = {
    ...noShareFiles(),
    find: (place) => (note('find', place), Promise.resolve({} as never)), // nobody looks at it
    pack: (place) => (note('pack', place), Promise.resolve(Readable.from([Buffer.from(`all of ${place.share}`)]))),
    unpack: async (place, tar) => {
      note(`unpack ${Buffer.concat(await collect(tar as AsyncIterable<Buffer>)).toString()}`, place);
      return { files: 1 };
    },
    ...files,
  };
  const quiet = () => undefined;
  const world = {
    ...{ store, engine, shareFiles, clock, newId: () => '0a1b2c3d-1111-2222-3333-444455556666' },
    log: { info: quiet, warn: quiet, error: quiet },
  } as unknown as World; // what this is about asks for no more of it
  const ensure = (share: string) => engine.ensureShare({ account: 'team', share, quotaBytes: 1 }, signal);
  const snapshots = async (share: string) =>
    (await engine.listSnapshots('team', share, signal)).map(({ name }) => name);
  return { store, engine, asked, ensure, snapshots, backup: createShareBackup(world, () => restoring) };
}

describe('a backup of shares', () => {
  it('packs a snapshot of each share that the store knows, and leaves none', async () => {
    const { engine, backup, ensure, snapshots, asked } = await prepare();
    for (const share of ['shared', 'strange']) await ensure(share);
    await engine.ensureFolder({ account: 'team', share: 'shared', ...folder, uid: 1, gid: 1, mode: 0o700 }, signal);
    const { list, parts } = await decodePackedShares(await backup.open(signal));
    expect(list).toEqual([{ account: 'team', share: 'shared', folders: [folder] }]);
    const [snapshot = ''] = await snapshots('shared');
    expect(snapshot).toBe('backup-20261126T120000Z-0a1b2c3d');
    expect((await collect(parts)).map(({ bytes }) => bytes.toString())).toEqual(['all of shared']);
    expect(asked.slice(1)).toEqual([{ what: 'pack', place: { account: 'team', share: 'shared', snapshot, path: [] } }]);
    await expect.poll(() => snapshots('shared')).toEqual([]);
  });

  it('takes no snapshot before the file server has the shares, which it waits for', async () => {
    let tries = 0;
    const away = new PoolhouseError('Unavailable', 'The file server is being made.', { retryable: true });
    const find = () => ((tries += 1) < 5 ? Promise.reject(away) : Promise.resolve({} as never)); // nobody looks at it
    const { backup, ensure, snapshots } = await prepare({ files: { find } });
    await ensure('shared');
    await backup.open(signal);
    expect(tries).toBe(5);
    expect(await snapshots('shared')).toHaveLength(1);
  });

  it('packs nothing before somebody reads what comes after the list', async () => {
    const { backup, ensure, asked } = await prepare();
    await ensure('shared');
    let begin = () => undefined as void;
    const stream = await backup.open(signal, new Promise((resolve) => (begin = resolve)));
    const { parts } = await decodePackedShares(stream);
    const all = collect(parts);
    await new Promise((resolve) => setImmediate(resolve));
    expect(asked.map(({ what }) => what)).toEqual(['find']);
    begin();
    expect(await all).toHaveLength(1);
    expect(asked.map(({ what }) => what)).toEqual(['find', 'pack']);
  });

  it('leaves none where packing fails, where whoever asked goes away, or where a snapshot fails', async () => {
    const failing = await prepare({ files: { pack: () => Promise.reject(new PoolhouseError('Unavailable', 'no')) } });
    await failing.ensure('shared');
    const failed = await decodePackedShares(await failing.backup.open(signal));
    await expect(collect(failed.parts)).rejects.toMatchObject({ code: 'Unavailable', message: 'no' });
    await expect.poll(() => failing.snapshots('shared')).toEqual([]);

    const left = await prepare();
    await left.ensure('shared');
    const gone = new AbortController();
    await left.backup.open(gone.signal);
    expect(await left.snapshots('shared')).toHaveLength(1);
    gone.abort();
    await expect.poll(() => left.snapshots('shared')).toEqual([]);

    const second = await prepare();
    for (const share of ['shared', 'other']) await second.ensure(share);
    second.engine.failNext('listFolders', new PoolhouseError('EngineUnavailable', 'away'));
    await expect(second.backup.open(signal)).rejects.toMatchObject({ code: 'EngineUnavailable' });
    expect([...(await second.snapshots('shared')), ...(await second.snapshots('other'))]).toEqual([]);
  });

  it('removes what a crash left behind, and nothing that people took or that is in use', async () => {
    const { engine, backup, ensure, snapshots } = await prepare();
    await ensure('shared');
    const names = ['backup-20261101T000000Z-00000000', 'backup-of-mine', '2026-11-01T00-00-00Z'];
    for (const name of names) await engine.snapshotShare('team', 'shared', name, signal);
    await backup.open(signal);
    await backup.sweep(signal);
    expect(await snapshots('shared')).toEqual([
      'backup-of-mine',
      '2026-11-01T00-00-00Z',
      'backup-20261126T120000Z-0a1b2c3d',
    ]);
  });

  it('leaves one that a restore reads, until that is over', async () => {
    const { engine, backup, ensure, snapshots, store } = await prepare();
    await ensure('shared');
    const snapshot = 'backup-20261101T000000Z-00000000';
    await engine.snapshotShare('team', 'shared', snapshot, signal);
    const restore = (state: 'Running' | 'Failed') =>
      saveShareRestore(store.db, {
        ...{ id: 'r', account: 'team', share: 'shared', snapshot, path: [], beforeName: 'b', state, files: 0 },
        ...{ removed: 0, message: '', startedAt: noon, endedAt: state === 'Running' ? undefined : noon },
      });
    await restore('Running');
    await backup.sweep(signal);
    expect(await snapshots('shared')).toEqual([snapshot]);
    await restore('Failed');
    await backup.sweep(signal);
    expect(await snapshots('shared')).toEqual([]);
  });

  it('tries again to remove what could not be removed', async () => {
    const { engine, backup, ensure, snapshots } = await prepare();
    await ensure('shared');
    await backup.sweep(signal);
    engine.failNext('deleteSnapshot', new PoolhouseError('EngineUnavailable', 'away'));
    const { parts } = await decodePackedShares(await backup.open(signal));
    await collect(parts);
    await expect.poll(async () => (await backup.sweep(signal), snapshots('shared'))).toEqual([]);
  });
});

describe('shares that are filled from a backup', () => {
  it('are made with their folders first, then filled without limits, and then get their quotas', async () => {
    const { engine, backup, asked } = await prepare({ restoring: true });
    const share = { account: 'team', share: 'shared', folders: [folder, { folder: 'groups/lab' }] };
    const quotas = async () => [
      ...(await engine.listShares(signal)).map(({ quotaBytes }) => quotaBytes),
      ...(await engine.listFolders('team', 'shared', signal)).map(({ quotaBytes }) => quotaBytes),
    ];
    await backup.prepare(share, signal);
    expect(await quotas()).toEqual([2 ** 52, undefined, undefined]);
    await backup.fill(share, Readable.from([Buffer.from('files')]), signal);
    expect(await quotas()).toEqual([2 ** 52, undefined, undefined]);
    await backup.finish(share, signal);
    expect(await quotas()).toEqual([2 * 2 ** 30, 500, undefined]);
    expect(asked.map(({ what }) => what)).toEqual(['find', 'unpack files']);
  });

  it('wait for the file server, and are not made where the store knows no such share', async () => {
    const notThere = new PoolhouseError('NotFound', 'There is no such share here.');
    const { engine, backup } = await prepare({ restoring: true, files: { find: () => Promise.reject(notThere) } });
    const ask = (share: string) => backup.prepare({ account: 'team', share, folders: [] }, signal);
    await expect(ask('shared')).rejects.toMatchObject({ code: 'Unavailable', retryable: true });
    await expect(ask('deleted')).rejects.toMatchObject({ code: 'ShareNotFound' });
    expect((await engine.listShares(signal)).map(({ share }) => share)).toEqual(['shared']);
  });

  it('are none while nothing is restored: what people have is never overwritten', async () => {
    const { backup, asked } = await prepare();
    await expect(backup.prepare({ account: 'team', share: 'shared', folders: [] }, signal)).rejects.toMatchObject({
      code: 'OperationNotAllowed',
    });
    const fill = backup.fill({ account: 'team', share: 'shared' }, Readable.from([]), signal);
    await expect(fill).rejects.toMatchObject({ code: 'OperationNotAllowed' });
    expect(asked).toEqual([]);
  });
});
