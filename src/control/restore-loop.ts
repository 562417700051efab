/**
 * Carries on restores of shares until they are done, also those that a control before this one began: first a snapshot of how the share
 * is now, then the files, by the file server. What was restored already is the same the second time, and is not touched.
 */
import { errorBodyOf, PoolhouseError } from '../core/errors.ts';
import { noteActivity } from '../store/activity-log.ts';
import { findResources, type ResourceRecord } from '../store/resource-records.ts';
import {
  findShareRestores,
  forgetShareRestores,
  saveShareRestore,
  type ShareRestore,
} from '../store/share-restores.ts';
import { engineNamesOf } from '../providers/storage/share-service.ts';
import { describePlace } from './share-place.ts';
import type { World } from './world.ts';

const lookEvery = 5_000;
const keptFor = 30 * 24 * 3_600_000;
/** What is in the way for so long does not pass by itself, and other restores of the share wait for this one. */
const longestWait = 24 * 3_600_000;

export interface RestoreLoop {
  pass(signal: AbortSignal): Promise<number>;
  /** Waits until none is under way. */
  idle(): Promise<void>;
}

export function createRestoreLoop(world: World): RestoreLoop {
  const { store, engine, shareFiles, clock, log } = world;
  const underWay = new Map<string, Promise<void>>();

  async function carryOn(restore: ShareRestore, signal: AbortSignal): Promise<void> {
    const { account, share, snapshot, path, beforeName } = restore;
    const place = describePlace(restore);
    const resource = await shareOf(restore);
    if (resource === undefined || resource.deletingSince !== undefined) {
      await end(restore, 'Failed', {
        ...{ files: 0, removed: 0 },
        message: `${place} was not restored, or in part: the share was deleted meanwhile. 'poolhouse shares list' shows whether it is kept.`,
      });
      return;
    }
    try {
      await engine.snapshotShare(account, share, beforeName, signal);
      log.info({ restore: restore.id, place, snapshot }, 'a share is being restored');
      const result = await shareFiles.restore({ account, share, snapshot, path }, signal);
      await end(restore, 'Succeeded', {
        ...result,
        message: `${place} is as it was in ${snapshot}: ${count(result.files, 'file')} restored, ${String(result.removed)} made since removed. How it was before is in .snapshots/${beforeName}.`,
      });
    } catch (error) {
      if (signal.aborted) return; // the next control goes on
      const { message } = errorBodyOf(error);
      const isLate = clock.now() - restore.startedAt > longestWait;
      if (error instanceof PoolhouseError && error.retryable && !isLate) {
        await saveShareRestore(store.db, { ...restore, message: `It waits: ${message}` });
        log.warn({ err: error, restore: restore.id, place }, 'a restore waits, and is tried again');
        return;
      }
      await end(restore, 'Failed', {
        ...{ files: 0, removed: 0 },
        message: `${place} was restored in part at most${isLate ? ', and is tried no longer after a day' : ''}: ${message} How it was before is in .snapshots/${beforeName}. The same restore, once more, goes on where it ended.`,
      });
      if (!(error instanceof PoolhouseError)) log.error({ err: error, restore: restore.id }, 'a restore failed');
    }
  }

  async function shareOf({ account, share }: ShareRestore): Promise<ResourceRecord | undefined> {
    const shares = await findResources(store.db, { type: 'Microsoft.Storage/storageAccounts/fileServices/shares' });
    return shares.find(({ id }) => {
      const names = engineNamesOf(id);
      return names.account === account && names.share === share;
    });
  }

  async function end(
    restore: ShareRestore,
    state: 'Succeeded' | 'Failed',
    outcome: Pick<ShareRestore, 'files' | 'removed' | 'message'>,
  ): Promise<void> {
    const resource = await shareOf(restore);
    await store.transaction(async (tx) => {
      await saveShareRestore(tx, { ...restore, ...outcome, state, endedAt: clock.now() });
      if (resource === undefined) return;
      await noteActivity(tx, {
        ...{ id: world.newId(), at: clock.now(), resourceId: resource.id, instanceId: undefined },
        operation: 'Microsoft.Storage/storageAccounts/fileServices/shares/restore/action',
        ...{ status: state, level: state === 'Failed' ? 'Error' : 'Informational', caller: 'poolhouse' },
        message: outcome.message,
        properties: { snapshot: restore.snapshot, before: restore.beforeName },
      });
    });
    log[state === 'Failed' ? 'error' : 'info']({ restore: restore.id, state }, outcome.message);
  }

  return {
    async pass(signal) {
      await forgetShareRestores(store.db, clock.now() - keptFor);
      for (const restore of await findShareRestores(store.db, { state: 'Running' })) {
        if (underWay.has(restore.id)) continue;
        const done = carryOn(restore, signal)
          .catch((error: unknown) => {
            if (!signal.aborted) log.error({ err: error, restore: restore.id }, 'a restore could not be noted: it is tried again'); // prettier-ignore
          })
          .finally(() => underWay.delete(restore.id));
        underWay.set(restore.id, done);
      }
      return lookEvery;
    },
    async idle() {
      await Promise.all(underWay.values());
    },
  };
}

const count = (number: number, one: string) => `${String(number)} ${one}${number === 1 ? '' : 's'}`;
