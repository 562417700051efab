/** The life of a share on simulated instances, with a whole control: deleted and restored, snapshots, restores, keys, and kills in between. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { dig, type JsonObject } from '../../src/core/json.ts';
import type { ResourceId } from '../../src/core/resource-id.ts';
import { PoolhouseError } from '../../src/core/errors.ts';
import { noShareFiles } from '../../src/files/no-share-files.ts';
import type { ShareFiles, SharePlace } from '../../src/files/share-files.ts';
import { createSimEngine } from '../../src/engines/sim/sim-engine.ts';
import { Life } from './mortal.ts';
import { createTestClock, startSimControl, subscriptionId, type SimControl } from './sim-control.ts';

const group = `/subscriptions/${subscriptionId}/resourceGroups/team` as ResourceId;
const account = `${group}/providers/Microsoft.Storage/storageAccounts/teamstore` as ResourceId;
const fileService = `${account}/fileServices/default` as ResourceId;
const share = `${fileService}/shares/shared` as ResourceId;
const signal = new AbortController().signal;
const day = 24 * 3_600_000;

/** Files that are restored by saying so; `answers` are given first. */
function fakeFiles() {
  const asked: SharePlace[] = [];
  const answers: Error[] = [];
  const files: ShareFiles = {
    ...noShareFiles(),
    find: ({ path }) =>
      Promise.resolve({
        ...{ name: path.at(-1) ?? '', kind: 'folder', size: 0, modifiedAt: 0, createdAt: 0, etag: '', metadata: {} },
      }),
    restore: (place) => {
      asked.push(place);
      const error = answers.shift();
      return error === undefined ? Promise.resolve({ files: 3, removed: 1 }) : Promise.reject(error);
    },
  };
  return { files, asked, answers };
}

async function prepare(tags: Record<string, string> = { 'poolhouse-snapshots': 'off' }) {
  const folder = mkdtempSync(join(tmpdir(), 'poolhouse-shares-'));
  onTestFinished(() => {
    rmSync(folder, { recursive: true });
  });
  const clock = createTestClock();
  const engine = createSimEngine({ clock });
  const fake = fakeFiles();
  let made = 0;
  const ids = () => `00000000-0000-4000-8000-${(made += 1).toString(16).padStart(12, '0')}`;
  const start = (life = new Life()) =>
    startSimControl(join(folder, 'store.sqlite'), engine, clock, life, ids, undefined, { shareFiles: fake.files });
  let control = await start();
  onTestFinished(() => control.close());
  const turns = async (many: number) => {
    for (let turn = 0; turn < many; turn += 1) await control.turn();
  };
  await control.service.put(group, { location: 'westeurope' }, {});
  await control.service.put(account, { location: 'westeurope', sku: { name: 'Standard_LRS' }, tags }, {});
  await control.service.put(share, { properties: { shareQuota: 7 } }, {});
  await turns(2);
  return {
    ...{ engine, clock, turns, start, ids, ...fake },
    control: (): SimControl => control,
    /** As after a crash; the new one lives for so many steps after its start. */
    restart: async (steps = Number.POSITIVE_INFINITY) => {
      await control.close().catch(() => undefined);
      const measured = new Life();
      await (await start(measured)).close();
      const life = new Life(measured.steps + steps);
      control = await start(life);
      return life;
    },
    volumes: async () => (await engine.listShares(signal)).map((one) => `${one.account}/${one.share}`),
  };
}

const refusal = (work: Promise<unknown>) =>
  work.then(
    () => 'done',
    (error: unknown) => (error instanceof PoolhouseError ? error.code : String(error)),
  );

describe('a share that is deleted', () => {
  it('is kept with its snapshots, its name is not free, and it comes back where it was', async () => {
    const { control, engine, turns, volumes } = await prepare();
    await engine.create({ ...{ name: 'one', hostname: 'one', image: { fingerprint: '0' }, cpus: 1, memoryBytes: 1 }, address: '10.255.0.9', labels: {} }, signal); // prettier-ignore
    const shown = { account: 'teamstore', share: 'shared', folder: '', path: '/mnt/shared' };
    await engine.attachShare('one', shown, signal);
    await control().shares.takeSnapshot(share, signal);
    await control().service.remove(share);
    await turns(1);
    expect(await refusal(control().service.get(share))).toBe('ResourceNotFound');
    expect((await engine.list(signal))[0]?.attachments).toEqual([]);
    expect(await volumes()).toEqual(['teamstore/shared']);
    // A mount that was on its way.
    await engine.attachShare('one', shown, signal);
    await turns(1);
    expect((await engine.list(signal))[0]?.attachments).toEqual([]);
    const [deleted] = await control().shares.deleted(account);
    expect(deleted).toMatchObject({
      name: 'shared',
      properties: { deleted: true, remainingRetentionDays: 7, shareQuota: 7, version: expect.stringMatching(/^[0-9A-F]{16}$/) as string },
    }); // prettier-ignore
    expect(await refusal(control().service.put(share, { properties: {} }, {}))).toBe('Conflict');
    const version = dig(deleted, 'properties', 'version') as string;
    const restore = (to: string, body: JsonObject) =>
      refusal(control().service.act(`${fileService}/shares/${to}` as ResourceId, 'restore', body));
    expect(await restore('other', { deletedShareName: 'shared', deletedShareVersion: version })).toBe(
      'OperationNotAllowed',
    );
    expect(await restore('shared', { deletedShareName: 'shared', deletedShareVersion: 'X' })).toBe('ResourceNotFound');
    expect(await restore('shared', { deletedShareName: 'shared', deletedShareVersion: version })).toBe('done');
    expect(await restore('shared', { deletedShareName: 'shared', deletedShareVersion: version })).toBe('Conflict');
    await turns(1);
    expect(await control().service.get(share)).toMatchObject({ properties: { shareQuota: 7, provisioningState: 'Succeeded' } }); // prettier-ignore
    expect(await control().shares.snapshots(share, signal)).toHaveLength(1);
    expect((await engine.list(signal))[0]?.attachments).toEqual([shown]);
    expect(await control().shares.deleted(account)).toEqual([]);
  });

  it('is not shown as kept where its volume is missing: the store was put back on another machine', async () => {
    const { control, engine, turns, restart } = await prepare();
    await control().service.remove(share);
    await turns(1);
    expect(await control().shares.deleted(account)).toHaveLength(1);
    await engine.deleteShare('teamstore', 'shared', signal);
    await restart();
    await turns(1);
    expect(await control().shares.deleted(account)).toEqual([]);
    expect(await refusal(control().service.put(share, { properties: {} }, {}))).toBe('done');
  });

  it('comes back where one instance cannot show it yet, which shows it later', async () => {
    const { control, engine, turns } = await prepare();
    for (const [index, name] of ['one', 'two'].entries()) {
      await engine.create({ ...{ name, hostname: name, image: { fingerprint: '0' }, cpus: 1, memoryBytes: 1 }, address: `10.255.0.${String(9 + index)}`, labels: {} }, signal); // prettier-ignore
      await engine.attachShare(name, { account: 'teamstore', share: 'shared', folder: '', path: '/mnt/s' }, signal);
    }
    const shown = async () => (await engine.list(signal)).map(({ attachments }) => attachments.length);
    await control().service.remove(share);
    await turns(1);
    expect(await shown()).toEqual([0, 0]);
    engine.failNext('attachShare', new PoolhouseError('EngineFailed', 'The device is busy.'));
    await control().shareDesk.order({ do: 'undelete', share: 'teamstore/shared' }, signal);
    await turns(1);
    expect(await control().service.get(share)).toMatchObject({ properties: { provisioningState: 'Succeeded' } });
    expect(await shown()).toEqual([0, 1]);
    await turns(1);
    expect(await shown()).toEqual([1, 1]);
    // Nothing is left to be shown: what somebody unmounts stays so.
    await engine.detachShare('one', '/mnt/s', signal);
    await turns(1);
    expect(await shown()).toEqual([0, 1]);
  });

  it('goes when its days are over, when it is purged, at once where that is asked for, and with its account', async () => {
    const { control, clock, turns, volumes } = await prepare();
    const removeIt = async () => {
      await control().service.remove(share);
      await turns(1);
    };
    const makeIt = async () => {
      await control().service.put(share, { properties: {} }, {});
      await turns(1);
    };
    await removeIt();
    clock.advance(7 * day - 60_000);
    await turns(1);
    expect(await volumes()).toEqual(['teamstore/shared']);
    clock.advance(60_000);
    await turns(1);
    expect(await volumes()).toEqual([]);

    await makeIt();
    await removeIt();
    await control().shareDesk.order({ do: 'purge', share: 'teamstore/shared' }, signal);
    await turns(1);
    expect(await volumes()).toEqual([]);

    await control().service.put(fileService, { properties: { shareDeleteRetentionPolicy: { enabled: false, days: 0 } } }, {}); // prettier-ignore
    await makeIt();
    await removeIt();
    expect(await volumes()).toEqual([]);

    await control().service.put(fileService, { properties: { shareDeleteRetentionPolicy: { enabled: true, days: 3 } } }, {}); // prettier-ignore
    // An account that is written without it keeps what its file service was told.
    await control().service.patch(account, { tags: { a: 'b' } }, {});
    expect(await control().service.get(fileService)).toMatchObject({ properties: { shareDeleteRetentionPolicy: { enabled: true, days: 3 } } }); // prettier-ignore
    await makeIt();
    await removeIt();
    expect(await control().shareDesk.list(signal)).toMatchObject([{ name: 'teamstore/shared', deleted: { daysLeft: 3 } }]); // prettier-ignore
    await control().shareDesk.order({ do: 'undelete', share: 'teamstore/shared' }, signal);
    await turns(1);
    expect(await control().service.get(share)).toMatchObject({ name: 'shared' });
    await removeIt();
    await control().service.remove(account);
    await turns(1);
    expect(await volumes()).toEqual([]);
    expect(await refusal(control().service.get(account))).toBe('ResourceNotFound');
  });

  it('is not destroyed where it is restored while the loop works, nor restored once it is given up', async () => {
    const { control, clock, engine, turns, volumes } = await prepare();
    const other = `${fileService}/shares/other` as ResourceId;
    const undelete = (name: string) =>
      refusal(control().shareDesk.order({ do: 'undelete', share: `teamstore/${name}` }, signal));
    await control().service.put(other, { properties: {} }, {});
    await turns(1);
    for (const id of [share, other]) await control().service.remove(id);
    await turns(1);
    await control().shareDesk.order({ do: 'purge', share: 'teamstore/shared' }, signal);
    expect(await undelete('shared')).toBe('Conflict');
    clock.advance(7 * day - 60_000);
    // While the first one is taken down, the other comes back in its last moment.
    const deleteShare = engine.deleteShare.bind(engine);
    engine.deleteShare = async (...names) => {
      await deleteShare(...names);
      expect(await undelete('other')).toBe('done');
      clock.advance(60_000);
    };
    await turns(1);
    engine.deleteShare = deleteShare;
    await turns(1);
    expect(await volumes()).toEqual(['teamstore/other']);
    expect(await refusal(control().service.get(other))).toBe('done');
    // One whose days are over is not restored any more, even before the loop has looked.
    await control().service.remove(other);
    await turns(1);
    clock.advance(7 * day);
    expect(await undelete('other')).toBe('Conflict');
  });

  it('that cannot be detached is in nobody else’s way, and keeps its account until it can', async () => {
    const { control, engine, turns, volumes } = await prepare();
    const otherAccount = `${group}/providers/Microsoft.Storage/storageAccounts/otherstore` as ResourceId;
    const other = `${otherAccount}/fileServices/default/shares/other` as ResourceId;
    const cannot = () => new PoolhouseError('EngineFailed', 'The device is busy.');
    engine.failNext('deleteShare', cannot());
    await control().service.remove(account);
    await control().service.put(otherAccount, { location: 'westeurope', sku: { name: 'Standard_LRS' } }, {});
    await control().service.put(other, { properties: {} }, {});
    await turns(1);
    expect(await volumes()).toEqual(['teamstore/shared', 'otherstore/other']);
    expect(await refusal(control().service.get(account))).toBe('done');
    await turns(1);
    expect(await volumes()).toEqual(['otherstore/other']);
    expect(await refusal(control().service.get(account))).toBe('ResourceNotFound');
  });

  it.each<[string, JsonObject]>([
    ['no days', { enabled: true }],
    ['too many', { enabled: true, days: 366 }],
    ['none', { enabled: true, days: 0 }],
    ['no truth', { enabled: 'perhaps', days: 3 }],
  ])('is kept for days that are valid: %s', async (_what, shareDeleteRetentionPolicy) => {
    const { control } = await prepare();
    expect(await refusal(control().service.put(fileService, { properties: { shareDeleteRetentionPolicy } }, {}))).toBe('InvalidParameter'); // prettier-ignore
  });

  it('is whole, deleted or restored, wherever control is killed', async () => {
    const { control, restart, turns, volumes } = await prepare();
    for (let steps = 1; ; steps += 5) {
      const life = await restart(steps);
      const work = async () => {
        await control().service.remove(share);
        await turns(1);
        await control().shareDesk.order({ do: 'undelete', share: 'teamstore/shared' }, signal);
        await turns(1);
      };
      await work().catch(() => undefined);
      const died = life.isOver;
      await restart();
      await turns(1);
      expect(await volumes()).toEqual(['teamstore/shared']);
      const kept = await control().shares.deleted(account);
      const isThere = (await refusal(control().service.get(share))) === 'done';
      expect([kept.length, isThere]).toEqual(kept.length === 1 ? [1, false] : [0, true]);
      if (!died) return;
      if (kept.length === 1) await control().shareDesk.order({ do: 'undelete', share: 'teamstore/shared' }, signal);
      await turns(1);
    }
  });
});

describe('snapshots', () => {
  it('are taken by the schedule, and those of people stay', async () => {
    const { control, clock, turns, engine } = await prepare({ 'poolhouse-snapshots': 'hourly=2' });
    await control().shares.takeSnapshot(share, signal);
    for (let hours = 0; hours < 5; hours += 1) {
      clock.advance(3_600_000);
      await turns(1);
    }
    const names = (await engine.listSnapshots('teamstore', 'shared', signal)).map(({ name }) => name);
    expect(names.map((name) => name.replace(/\d{4}-.*/, ''))).toEqual(['', 'auto-', 'auto-']);
    expect(await refusal(control().service.patch(account, { tags: { 'poolhouse-snapshots': 'often' } }, {}))).toBe('InvalidParameter'); // prettier-ignore
  });

  it('are found by their time, deleted, and never more than 200', async () => {
    const { control, engine } = await prepare();
    const taken = await control().shares.takeSnapshot(share, signal);
    const time = dig(taken, 'properties', 'snapshotTime') as string;
    expect(await control().shares.snapshot(share, time, signal)).toMatchObject({ name: 'shared', properties: { snapshotTime: time } }); // prettier-ignore
    expect(await refusal(control().shares.snapshot(share, '2020-01-01T00:00:00.0000000Z', signal))).toBe(
      'ResourceNotFound',
    );
    expect(await control().shares.removeSnapshot(share, time, signal)).toEqual({ existed: true });
    expect(await control().shares.removeSnapshot(share, time, signal)).toEqual({ existed: false });
    for (let count = 0; count < 200; count += 1) await engine.snapshotShare('teamstore', 'shared', `x${count}`, signal);
    expect(await refusal(control().shares.takeSnapshot(share, signal))).toBe('QuotaExceeded');
  });
});

describe('a restore', () => {
  const begin = (control: SimControl, path = '') =>
    control.shareDesk.order({ do: 'restore', share: 'teamstore/shared', snapshot: 'x', path }, signal);
  const restores = async (control: SimControl) => (await control.shareDesk.show('teamstore/shared', signal)).restores;

  it('keeps how it was, restores, and says so; of one share one at a time', async () => {
    const { control, engine, turns, asked } = await prepare();
    expect(await refusal(begin(control()))).toBe('ResourceNotFound');
    await engine.snapshotShare('teamstore', 'shared', 'x', signal);
    expect(await refusal(begin(control(), 'a/../b'))).toBe('InvalidParameter');
    await begin(control(), '/notebooks/alice/');
    expect(await refusal(begin(control()))).toBe('Conflict');
    await turns(1);
    expect(asked).toEqual([{ account: 'teamstore', share: 'shared', snapshot: 'x', path: ['notebooks', 'alice'] }]);
    const [restore] = await restores(control());
    expect(restore).toMatchObject({ state: 'Succeeded', files: 3, removed: 1, path: 'notebooks/alice' });
    const names = (await engine.listSnapshots('teamstore', 'shared', signal)).map(({ name }) => name);
    expect(names).toContain(restore?.before);
    await turns(1);
    expect(asked).toHaveLength(1);
    await begin(control());
  });

  it('waits for a file server that is away, and tells what fails for good', async () => {
    const { control, engine, turns, asked, answers } = await prepare();
    await engine.snapshotShare('teamstore', 'shared', 'x', signal);
    answers.push(
      new PoolhouseError('Unavailable', 'The file server starts.', { retryable: true }),
      new PoolhouseError('QuotaExceeded', 'It does not fit.'),
    );
    await begin(control());
    await turns(1);
    expect((await restores(control()))[0]).toMatchObject({
      state: 'Running',
      message: 'It waits: The file server starts.',
    });
    await turns(1);
    expect((await restores(control()))[0]).toMatchObject({ state: 'Failed', message: expect.stringContaining('It does not fit.') as string }); // prettier-ignore
    expect(asked).toHaveLength(2);
  });

  it('does not wait for ever: not for a share that was deleted, and a day at most', async () => {
    const { control, clock, engine, turns, answers } = await prepare();
    await engine.snapshotShare('teamstore', 'shared', 'x', signal);
    const away = () => new PoolhouseError('Unavailable', 'The file server starts.', { retryable: true });
    const outcome = async () => (await restores(control()))[0];
    answers.push(away(), away());
    await begin(control());
    await turns(1);
    clock.advance(day);
    await turns(1);
    expect(await outcome()).toMatchObject({ state: 'Failed', message: expect.stringMatching(/no longer after a day: The file server starts/) as string }); // prettier-ignore
    answers.push(away());
    await begin(control());
    await turns(1);
    await control().service.remove(share);
    await turns(1);
    expect(await outcome()).toMatchObject({ state: 'Failed', message: expect.stringContaining('deleted') as string });
  });

  it('goes on to its end wherever control is killed', async () => {
    const { control, engine, restart, turns } = await prepare();
    await engine.snapshotShare('teamstore', 'shared', 'x', signal);
    for (let steps = 1; ; steps += 5) {
      await begin(control());
      const life = await restart(steps);
      await turns(1).catch((error: unknown) => {
        if (!life.isOver) throw error;
      });
      const died = life.isOver;
      await restart();
      await turns(1);
      expect((await restores(control())).filter(({ state }) => state !== 'Succeeded')).toEqual([]);
      if (!died) return;
    }
  });
});

describe('an account’s keys', () => {
  it('are both there, old or new, wherever control is killed while one is made anew', async () => {
    const keys = async (control: SimControl) => {
      const { body } = await control.service.act(account, 'listkeys', {});
      return [0, 1].map((index) => dig(body, 'keys', index, 'value'));
    };
    const { control, restart } = await prepare();
    for (let steps = 1; ; steps += 1) {
      const before = await keys(control());
      await restart(steps);
      const done = await control()
        .service.act(account, 'regeneratekey', { keyName: 'key1' })
        .then(
          ({ body }) => dig(body, 'keys', 0, 'value'),
          () => undefined,
        );
      await restart();
      const after = await keys(control());
      expect(after[1]).toBe(before[1]);
      expect(after.every((key) => typeof key === 'string' && /^[A-Za-z0-9+/]{86}==$/.test(key))).toBe(true);
      if (done === undefined) continue;
      expect(after[0]).toBe(done);
      expect(after[0]).not.toBe(before[0]);
      return;
    }
  });
});
