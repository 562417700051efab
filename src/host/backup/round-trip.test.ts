/** What shares hold, all the way into a file and back: over control's socket, through the worker that does it in the file server. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, link, mkdir, mkdtemp, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startAdminServer } from '../../control/admin-server.ts';
import { createShareBackup } from '../../control/share-backup.ts';
import type { World } from '../../control/world.ts';
import { homeAt, runtimeFolderOf } from '../../core/home.ts';
import { keyOf, type ResourceId } from '../../core/resource-id.ts';
import { systemClock } from '../../core/system-clock.ts';
import { createSimEngine } from '../../engines/sim/sim-engine.ts';
import { prepareWorker, workerMissing, type TestWorker } from '../../files/test-worker.ts';
import { createWorkerLink } from '../../files/worker-link.ts';
import { openKeyring } from '../../secrets/keyring.ts';
import { saveResource } from '../../store/resource-records.ts';
import { openStore } from '../../store/store.ts';
import { silentProgress } from '../progress.ts';
import { fillShares } from './fill-shares.ts';
import { checkBackup } from './read-backup.ts';
import { readRestoring, writeRestoring } from './restoring.ts';
import { writeBackup } from './write-backup.ts';

const { signal } = new AbortController();
const quiet = () => undefined;
const log = { info: quiet, warn: quiet, error: quiet, debug: quiet };

/** A home with a store that knows one share, control's socket, and a worker on a folder of this machine. */
async function prepare(isRestoring: boolean) {
  const folder = await mkdtemp(join(tmpdir(), 'poolhouse-round-'));
  const home = homeAt(join(folder, 'home'));
  await mkdir(home.folder);
  const id = randomBytes(4).toString('hex');
  const uuid = (digit: number) => `00000000-0000-4000-8000-00000000000${String(digit)}`;
  await writeFile(
    home.installation,
    JSON.stringify({
      ...{ id, engine: 'sim', apiPort: 1, addressBlock: '127.77.7.0/24', createdAt: '2026-01-01T00:00:00Z' },
      ...{ subscriptionId: uuid(1), tenantId: uuid(2), clientId: uuid(3) },
    }),
  );
  const store = await openStore(home.store);
  await openKeyring(store, [Buffer.alloc(32, 7)], 0);
  const share =
    '/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/team/fileServices/default/shares/shared';
  await saveResource(store.db, {
    ...{ key: keyOf(share), id: share as ResourceId, groupKey: keyOf('/g'), parentKey: '' }, // as formatResourceId makes it
    typeKey: 'microsoft.storage/storageaccounts/fileservices/shares',
    document: {},
    ...{ found: {}, provisioningState: 'Succeeded', error: undefined, generation: 1, etag: 'e' },
    ...{ createdAt: 1, changedAt: 1, deletingSince: undefined },
  });
  const worker = await prepareWorker();
  const files = createWorkerLink({ log: log as never }); // as much of a log as it uses
  await files.listen(worker.socketPath);
  const engine = createSimEngine({ clock: systemClock });
  const world = {
    ...{ store, clock: systemClock, log, shareFiles: files.files, newId: () => randomBytes(8).toString('hex') },
    engine: withFolders(engine, worker),
  } as unknown as World; // what this is about asks for no more of it
  const run = runtimeFolderOf(home, id, process.getuid?.() === 0);
  await mkdir(run.folder, { recursive: true });
  const never = () => Promise.reject(new Error('nobody asks this here'));
  const admin = await startAdminServer({
    ...{ socketPath: run.adminSocket, status: never, journal: never, clientSecret: never, changeMasterKey: never },
    ...{ why: never, poolHistory: never, drain: never, costs: never, hostKeys: () => [], onError: quiet },
    sessions: { list: never, order: never },
    shares: { list: never, show: never, order: never },
    ...{ giveUpMount: never, workspaces: never },
    shareBackup: createShareBackup(world, () => isRestoring),
  });
  onTestFinished(async () => {
    await admin.close();
    await files.close();
    await worker.remove();
    await store.close();
    for (const path of [run.folder, folder]) await rm(path, { recursive: true, force: true });
  });
  return { folder, home, worker, engine, socket: run.adminSocket };
}

/** Snapshots of simulated shares that are there: copies. */
function withFolders(engine: ReturnType<typeof createSimEngine>, worker: TestWorker) {
  const at = (account: string, share: string) => join(worker.root, account, share);
  const snapshotShare: typeof engine.snapshotShare = async (account, share, name, one) => {
    await engine.snapshotShare(account, share, name, one);
    const copy = join(at(account, share), '.snapshots', name);
    await mkdir(copy, { recursive: true });
    for (const entry of await readdir(at(account, share)))
      if (entry !== '.snapshots') execFileSync('cp', ['-a', join(at(account, share), entry), copy]);
  };
  const deleteSnapshot: typeof engine.deleteSnapshot = async (account, share, name, one) => {
    await engine.deleteSnapshot(account, share, name, one);
    await rm(join(at(account, share), '.snapshots', name), { recursive: true });
  };
  return { ...engine, snapshotShare, deleteSnapshot };
}

/** All that is there, with kinds, modes, owners, links, contents, and times but those of links. */
const picture = (folder: string) =>
  execFileSync(
    'sh',
    [
      '-c',
      'find . -name .snapshots -prune -o -mindepth 1 -printf "%P %y %m %U:%G %n %l " \\( -type l -o -printf "%T@ " \\) \\( -type f -exec sha256sum {} \\; -o -printf "\\n" \\) | sort',
    ],
    { cwd: folder, encoding: 'utf8' },
  );

describe.skipIf(workerMissing !== undefined)('what shares hold', () => {
  it('comes back as it was when the backup began, from a file server that is late', { timeout: 60_000 }, async () => {
    const before = await prepare(false);
    const share = await before.worker.makeShare('team', 'shared');
    await before.engine.ensureShare({ account: 'team', share: 'shared', quotaBytes: 1 }, signal);
    await mkdir(join(share, 'notebooks', 'alice'), { recursive: true });
    const at = (name: string) => join(share, 'notebooks', 'alice', name);
    await writeFile(at('large'), randomBytes(9_000_000), { mode: 0o640 });
    await writeFile(at('model'), 'weights');
    await link(at('model'), at('same'));
    await symlink('/etc/shadow', at('link'));
    await utimes(at('model'), 1_580_000_000, 1_580_000_000);
    await chmod(join(share, 'notebooks', 'alice'), 0o700);
    const kept = picture(share);
    before.worker.start();

    const file = join(before.folder, 'backup.tar');
    const { manifest } = await writeBackup(before.home, { file, shares: true }, silentProgress, signal);
    expect(manifest.shares).toEqual([{ account: 'team', share: 'shared', folders: [] }]);
    await expect.poll(() => readdir(join(share, '.snapshots'))).toEqual([]);
    expect((await readdir(before.folder)).toSorted()).toEqual(['backup.tar', 'home']);

    const after = await prepare(true);
    const other = await after.worker.makeShare('team', 'shared');
    await writeRestoring(after.home, {
      backup: manifest.backup,
      createdAt: manifest.createdAt,
      phase: 'shares',
      filled: [],
    });
    const backup = await checkBackup(file, quiet, signal);
    const fill = () => fillShares(after.home, after.socket, backup, quiet, signal);
    setTimeout(() => {
      after.worker.start();
    }, 1_000);
    expect(await fill()).toEqual({ shares: 1, passedOver: [] });
    expect(picture(other)).toBe(kept);
    expect((await readRestoring(after.home))?.filled).toEqual(['shares/team/shared']);
    // What is filled is passed over: nobody answers, and nobody is asked.
    await after.worker.kill();
    expect(await fill()).toEqual({ shares: 1, passedOver: [] });
  });

  it(
    'is not kept by half: a file server that ends fails the backup, and nothing is left',
    { timeout: 60_000 },
    async () => {
      const { folder, home, worker, engine } = await prepare(false);
      const share = await worker.makeShare('team', 'shared');
      await engine.ensureShare({ account: 'team', share: 'shared', quotaBytes: 1 }, signal);
      await writeFile(join(share, 'large'), randomBytes(60_000_000));
      worker.start();
      const progress = {
        ...silentProgress,
        step: <T>(_title: string, work: (phase: (text: string) => void) => Promise<T>) =>
          work((text) => {
            if (text.includes('MiB so far')) void worker.kill();
          }),
      };
      const file = join(folder, 'backup.tar');
      await expect(writeBackup(home, { file, shares: true }, progress, signal)).rejects.toMatchObject({
        code: expect.stringMatching(/Unavailable|InternalServerError/) as string,
      });
      expect(await readdir(folder)).toEqual(['home']);
      await expect.poll(() => readdir(join(share, '.snapshots'))).toEqual([]);
      const stopped = AbortSignal.abort(new Error('Ctrl-C'));
      await expect(writeBackup(home, { file, shares: true }, silentProgress, stopped)).rejects.toThrow('Ctrl-C');
      expect(await readdir(folder)).toEqual(['home']);
    },
  );
});
