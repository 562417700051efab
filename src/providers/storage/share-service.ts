/**
 * What clients ask of shares beside their documents: how much is used, snapshots, those that were deleted. Snapshots are kept by the
 * engine alone, and taken at once: nothing of them is in the store that could differ.
 */
import { PoolhouseError } from '../../core/errors.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import { parseResourceId, type ResourceId } from '../../core/resource-id.ts';
import type { Clock } from '../../core/time.ts';
import type { Engine, ShareSnapshot } from '../../engines/engine.ts';
import { nameOf } from '../../store/resource-records.ts';
import { snapshotsInUse } from '../../store/share-restores.ts';
import type { Store } from '../../store/store.ts';
import type { ResourceService } from '../resource-service.ts';
import { daysLeft, findDeletedShares } from './deleted-shares.ts';
import { nameAvailability } from './storage-accounts.ts';
import {
  findSnapshot,
  nextSnapshotTime,
  parseSnapshotName,
  snapshotName,
  snapshotTime,
  type SnapshotKind,
} from './snapshot-names.ts';

export interface ShareService {
  usedBytes(share: ResourceId, signal: AbortSignal): Promise<number>;
  /** Takes one now; its document. */
  takeSnapshot(share: ResourceId, signal: AbortSignal): Promise<JsonObject>;
  /** The document of the one of this time, as Azure writes times. `ResourceNotFound` where there is none. */
  snapshot(share: ResourceId, time: string, signal: AbortSignal): Promise<JsonObject>;
  /** `Conflict` as long as a restore reads it. */
  removeSnapshot(share: ResourceId, time: string, signal: AbortSignal): Promise<{ existed: boolean }>;
  /** Of one share, oldest first. */
  snapshots(share: ResourceId, signal: AbortSignal): Promise<JsonObject[]>;
  /** How many of them somebody took, rather than a schedule. */
  countByHand(share: ResourceId, signal: AbortSignal): Promise<number>;
  /** Of an account: those that can be restored. */
  deleted(account: ResourceId): Promise<JsonObject[]>;
  nameAvailability(name: string): Promise<JsonObject>;
}

export interface ShareServiceParts {
  store: Pick<Store, 'db'>;
  service: Pick<ResourceService, 'get'>;
  engine: Pick<Engine, 'listShares' | 'listSnapshots' | 'snapshotShare' | 'deleteSnapshot'>;
  clock: Pick<Clock, 'now'>;
}

/** As many as Azure keeps of a share. */
const mostSnapshots = 200;
const shareType = 'Microsoft.Storage/storageAccounts/fileServices/shares';

/** How the engine calls a share. */
export function engineNamesOf(id: ResourceId): { account: string; share: string } {
  const [account = '', , share = ''] = parseResourceId(id).names;
  return { account: account.toLowerCase(), share: share.toLowerCase() };
}

/** Takes a snapshot under a name that no other of the share has. `QuotaExceeded` where there are as many as there may be. */
export async function takeSnapshot(
  { engine, clock }: Pick<ShareServiceParts, 'engine' | 'clock'>,
  { account, share }: { account: string; share: string },
  kind: SnapshotKind,
  signal: AbortSignal,
): Promise<ShareSnapshot> {
  const present = await engine.listSnapshots(account, share, signal);
  if (present.length >= mostSnapshots)
    throw new PoolhouseError(
      'QuotaExceeded',
      `The share '${share}' of '${account}' has ${present.length} snapshots, and ${mostSnapshots} are kept at most: delete some that nobody needs (az storage share-rm delete --snapshot TIME).`,
    );
  const names = present.map(({ name }) => name);
  const name = snapshotName({ kind, takenAt: nextSnapshotTime(names, clock.now()) });
  await engine.snapshotShare(account, share, name, signal);
  return { name, createdAt: clock.now() };
}

export function createShareService({ store, service, engine, clock }: ShareServiceParts): ShareService {
  /** The share's document, whose row there is. */
  async function documentOf(share: ResourceId): Promise<JsonObject> {
    return service.get(share);
  }

  function snapshotDocument(share: JsonObject, name: string): JsonObject {
    const label = parseSnapshotName(name);
    const { properties, ...members } = share;
    return {
      ...members,
      properties: {
        ...(isObject(properties) ? properties : {}),
        ...(label === undefined ? {} : { snapshotTime: snapshotTime(label.takenAt) }),
      },
    };
  }

  async function present(id: ResourceId, signal: AbortSignal): Promise<ShareSnapshot[]> {
    const { account, share } = engineNamesOf(id);
    return engine.listSnapshots(account, share, signal).catch((error: unknown) => {
      if (error instanceof PoolhouseError && error.code === 'ShareNotFound') return []; // not made yet
      throw error;
    });
  }

  async function find(share: ResourceId, time: string, signal: AbortSignal) {
    const { account, share: name } = engineNamesOf(share);
    return findSnapshot(await engine.listSnapshots(account, name, signal), time);
  }

  return {
    async usedBytes(id, signal) {
      const { account, share } = engineNamesOf(id);
      const found = (await engine.listShares(signal)).find((one) => one.account === account && one.share === share);
      return found?.usedBytes ?? 0;
    },

    async takeSnapshot(id, signal) {
      const share = await documentOf(id);
      const { name } = await takeSnapshot({ engine, clock }, engineNamesOf(id), 'hand', signal);
      return snapshotDocument(share, name);
    },

    async snapshot(id, time, signal) {
      const share = await documentOf(id);
      const found = await find(id, time, signal);
      if (found !== undefined) return snapshotDocument(share, found.name);
      throw new PoolhouseError(
        'ResourceNotFound',
        `The share '${nameOf(id)}' has no snapshot of the time '${time.slice(0, 40)}'. 'az storage share-rm list --include-snapshot' shows those that there are.`,
      );
    },

    async removeSnapshot(id, time, signal) {
      await documentOf(id);
      const found = await find(id, time, signal);
      if (found === undefined) return { existed: false };
      const { account, share } = engineNamesOf(id);
      if ((await snapshotsInUse(store.db, account, share)).has(found.name))
        throw new PoolhouseError(
          'Conflict',
          `The share '${share}' of '${account}' is being restored, and the snapshot of the time '${time}' is needed for it: delete it when that is over ('poolhouse shares show ${account}/${share}' tells how far it is).`,
        );
      await engine.deleteSnapshot(account, share, found.name, signal);
      return { existed: true };
    },

    async snapshots(id, signal) {
      const document = await documentOf(id);
      return (await present(id, signal))
        .filter(({ name }) => parseSnapshotName(name) !== undefined)
        .map(({ name }) => snapshotDocument(document, name));
    },

    async countByHand(id, signal) {
      return (await present(id, signal)).filter(({ name }) => parseSnapshotName(name)?.kind === 'hand').length;
    },

    async deleted(account) {
      const now = clock.now();
      return (await findDeletedShares(store.db, account)).map((deleted) => {
        const { properties } = deleted.record.document;
        return {
          ...{ id: `${account}/fileServices/default/shares/${deleted.share}`, name: deleted.share, type: shareType },
          properties: {
            ...(isObject(properties) ? properties : {}),
            ...{ deleted: true, deletedTime: new Date(deleted.deletedAt).toISOString(), version: deleted.version },
            remainingRetentionDays: daysLeft(deleted, now),
          },
        };
      });
    },

    nameAvailability: (name) => nameAvailability(store.db, name),
  };
}
