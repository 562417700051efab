/** Schedules and requests to delete, on simulated shares, while one of them is being restored. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { keyOf, type ResourceId } from '../core/resource-id.ts';
import { createSimEngine } from '../engines/sim/sim-engine.ts';
import { createShareService } from '../providers/storage/share-service.ts';
import { saveResource } from '../store/resource-records.ts';
import { saveShareRestore, type ShareRestore } from '../store/share-restores.ts';
import { openStore } from '../store/store.ts';
import { createSnapshotLoop } from './snapshot-loop.ts';
import type { World } from './world.ts';

const noon = Date.UTC(2026, 10, 26, 12);
const { signal } = new AbortController();
const account = '/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/team';
const share = `${account}/fileServices/default/shares/shared` as ResourceId; // as formatResourceId makes it
const old = 'auto-2026-11-26T08-00-00Z';

async function prepare() {
  const store = await openStore(':memory:', { now: 0 });
  onTestFinished(() => store.close());
  let now = noon;
  const clock = { now: () => now, sleep: () => Promise.resolve() };
  const engine = createSimEngine({ clock });
  const rows = [
    { id: account as ResourceId, typeKey: 'microsoft.storage/storageaccounts', document: { tags: { 'poolhouse-snapshots': 'hourly=1' } } },
    { id: share, typeKey: 'microsoft.storage/storageaccounts/fileservices/shares', document: {} },
  ]; // prettier-ignore
  for (const row of rows)
    await saveResource(store.db, {
      ...{ ...row, key: keyOf(row.id), groupKey: keyOf('/g'), parentKey: '' },
      ...{ found: {}, provisioningState: 'Succeeded', error: undefined, generation: 1, etag: 'e' },
      ...{ createdAt: 1, changedAt: 1, deletingSince: undefined },
    });
  await engine.ensureShare({ account: 'team', share: 'shared', quotaBytes: 1 }, signal);
  await engine.snapshotShare('team', 'shared', old, signal);
  const quiet = () => undefined;
  const world = { store, engine, clock, log: { info: quiet, warn: quiet, error: quiet }, newId: () => 'id' };
  const restore = (state: ShareRestore['state']) =>
    saveShareRestore(store.db, {
      ...{ id: 'r', account: 'team', share: 'shared', snapshot: old, path: [], beforeName: 'before' },
      ...{ state, files: 0, removed: 0, message: '', startedAt: noon },
      endedAt: state === 'Running' ? undefined : noon,
    });
  return {
    restore,
    tick: (milliseconds: number) => (now += milliseconds),
    pass: createSnapshotLoop(world as unknown as World), // what this is about asks for no more of it
    service: createShareService({ store, engine, clock, service: { get: () => Promise.resolve({}) } }),
    names: async () => (await engine.listSnapshots('team', 'shared', signal)).map(({ name }) => name),
  };
}

describe('a snapshot that a restore reads', () => {
  it('is not taken away by the schedule before the restore is over', async () => {
    const { restore, pass, names, tick } = await prepare();
    await restore('Running');
    await pass(signal);
    expect(await names()).toEqual([old, 'auto-2026-11-26T12-00-00Z']);
    await restore('Succeeded');
    tick(60_000);
    await pass(signal);
    expect(await names()).toEqual(['auto-2026-11-26T12-00-00Z']);
  });

  it('cannot be deleted before the restore is over', async () => {
    const { restore, service, names } = await prepare();
    await restore('Running');
    const remove = () => service.removeSnapshot(share, '2026-11-26T08:00:00.0000000Z', signal);
    await expect(remove()).rejects.toMatchObject({ code: 'Conflict' });
    expect(await names()).toEqual([old]);
    await restore('Failed');
    expect(await remove()).toEqual({ existed: true });
  });
});
