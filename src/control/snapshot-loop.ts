/** Has snapshots of shares taken and taken away by the schedules of their accounts. */
import { PoolhouseError } from '../core/errors.ts';
import type { EpochMillis } from '../core/time.ts';
import { nextSnapshotAt, planSnapshots, type PresentSnapshot } from '../pool/plan-snapshots.ts';
import { accountIdOf } from '../providers/storage/deleted-shares.ts';
import { engineNamesOf, takeSnapshot } from '../providers/storage/share-service.ts';
import { parseSnapshotName } from '../providers/storage/snapshot-names.ts';
import { readSnapshotTag } from '../providers/storage/snapshot-tag.ts';
import { noteActivity } from '../store/activity-log.ts';
import { findResources, type ResourceRecord } from '../store/resource-records.ts';
import { snapshotsInUse } from '../store/share-restores.ts';
import { keyOf } from '../core/resource-id.ts';
import type { World } from './world.ts';

const lookEvery = 60_000;
/** Soon enough for a share that has just been made, and seldom enough for a world in which much changes. */
const lookAgainAfter = 10_000;

export function createSnapshotLoop(world: World) {
  const { store, engine, clock, log } = world;
  let nextLookAt: EpochMillis = 0;

  async function look(share: ResourceRecord, account: ResourceRecord, room: Room, signal: AbortSignal): Promise<void> {
    const names = engineNamesOf(share.id);
    const schedule = readSnapshotTag(account.document);
    const present = (await engine.listSnapshots(names.account, names.share, signal)).flatMap(
      ({ name }): PresentSnapshot[] => {
        const label = parseSnapshotName(name);
        return label === undefined ? [] : [{ name, ...label }];
      },
    );
    const plan = planSnapshots(schedule, present, clock.now(), room);
    // First what goes: there may be as many as there may be at all. What a restore reads goes after it.
    const inUse = await snapshotsInUse(store.db, names.account, names.share);
    const remove = plan.remove.filter((name) => !inUse.has(name));
    for (const name of remove) await engine.deleteSnapshot(names.account, names.share, name, signal);
    if (plan.take) await takeSnapshot(world, names, 'schedule', signal);
    if (plan.take || remove.length > 0)
      log.info({ share: share.key, taken: plan.take, removed: remove }, 'snapshots of a share by its schedule');
    if (!plan.forRoom || remove.length === 0) return;
    const message = `The snapshots of ${names.account}/${names.share} keep more than the share may hold: the oldest of its schedule, ${remove.join()}, was given up before its time.`;
    log.warn({ share: share.key }, message);
    await noteActivity(store.db, {
      ...{ id: world.newId(), at: clock.now(), resourceId: share.id, instanceId: undefined },
      ...{ operation: `${share.typeKey}/snapshots/delete`, status: 'Succeeded', level: 'Warning' },
      ...{ caller: 'poolhouse', message, properties: {} },
    });
  }

  return async function pass(signal: AbortSignal): Promise<number> {
    const now = clock.now();
    // A clock that was put back makes nobody wait.
    if (now < nextLookAt && nextLookAt - now <= lookEvery) return nextLookAt - now;
    const [shares, accounts] = await Promise.all([
      findResources(store.db, { type: 'Microsoft.Storage/storageAccounts/fileServices/shares' }),
      findResources(store.db, { type: 'Microsoft.Storage/storageAccounts' }),
    ]);
    const usage = new Map((await engine.listShares(signal)).map((one) => [`${one.account}/${one.share}`, one]));
    let nextAt = now + lookEvery;
    for (const share of shares.filter((one) => one.deletingSince === undefined)) {
      const { account: accountName, share: name } = engineNamesOf(share.id);
      const account = accounts.find((one) => one.key === keyOf(accountIdOf(share)));
      const room = usage.get(`${accountName}/${name}`);
      if (account === undefined || account.deletingSince !== undefined || room === undefined) continue;
      nextAt = Math.min(nextAt, nextSnapshotAt(readSnapshotTag(account.document), now) ?? nextAt);
      try {
        await look(share, account, room, signal);
      } catch (error) {
        // One share's trouble is not that of the others.
        if (signal.aborted || !(error instanceof PoolhouseError) || error.code === 'EngineUnavailable') throw error;
        if (error.code !== 'ShareNotFound')
          log.error({ err: error, share: share.key }, 'snapshots of a share could not be taken or removed: it is tried again'); // prettier-ignore
      }
    }
    nextLookAt = Math.max(nextAt, now + lookAgainAfter);
    return nextLookAt - now;
  };
}

interface Room {
  snapshotBytes: number;
  quotaBytes: number;
}
