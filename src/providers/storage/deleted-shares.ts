/**
 * Shares that were deleted, and are kept for a while: the row of one leaves its place, so that nothing that looks for shares finds it,
 * and its volume stays with all that is in it. Its name stays taken: volumes are called by their shares.
 */
import { PoolhouseError } from '../../core/errors.ts';
import { dig, isObject, textOf, type JsonObject } from '../../core/json.ts';
import { keyOf, type ResourceId } from '../../core/resource-id.ts';
import type { EpochMillis } from '../../core/time.ts';
import {
  findResource,
  findResources,
  nameOf,
  saveResource,
  type ResourceRecord,
} from '../../store/resource-records.ts';
import type { Queries } from '../../store/store.ts';

const deletedType = 'microsoft.storage/storageaccounts/deletedshares';
const day = 24 * 3_600_000;
/** Between 1601 and 1970: versions are times as Windows counts them, as they are in Azure. */
const windowsEpoch = 11_644_473_600_000n;

export interface DeletedShare {
  record: ResourceRecord;
  account: string;
  share: string;
  /** By which it is restored. */
  version: string;
  deletedAt: EpochMillis;
  until: EpochMillis;
  /** An operator does not want it kept any longer. */
  isPurged: boolean;
}

/** Where a share was shown when it was deleted. */
export interface LostAttachment {
  instance: string;
  folder: string;
  path: string;
}

/** `/…/storageAccounts/ACCOUNT/fileServices/default/shares/SHARE` → `/…/storageAccounts/ACCOUNT`. */
export function accountIdOf(share: Pick<ResourceRecord, 'id'>): ResourceId {
  return share.id.split('/').slice(0, -4).join('/') as ResourceId; // the beginning of an id is one
}

const deletedIdOf = (share: Pick<ResourceRecord, 'id'>) => `${accountIdOf(share)}/deletedShares/${nameOf(share.id)}`;

/** All that are kept; of one account where it is named. */
export async function findDeletedShares(queries: Queries, accountId?: string): Promise<DeletedShare[]> {
  const records = await findResources(queries, {
    type: deletedType,
    ...(accountId === undefined ? {} : { parentKey: keyOf(accountId) }),
  });
  return records.map(deletedShareOf);
}

/** The one that stands in the way of this share; undefined where there is none. */
export async function findDeletedShare(queries: Queries, shareId: ResourceId): Promise<DeletedShare | undefined> {
  const record = await findResource(queries, deletedIdOf({ id: shareId }));
  return record === undefined ? undefined : deletedShareOf(record);
}

function deletedShareOf(record: ResourceRecord): DeletedShare {
  const number = (name: string) => Number(dig(record.found, 'deleted', name));
  return {
    ...{ record, account: record.key.split('/').at(-3) ?? '', share: record.key.split('/').at(-1) ?? '' },
    ...{ version: textOf(dig(record.found, 'deleted', 'version')), deletedAt: number('at'), until: number('until') },
    isPurged: dig(record.found, 'deleted', 'purged') === true,
  };
}

/** Takes a share out of its place, for so many days. */
export async function buryShare(
  tx: Queries,
  share: ResourceRecord,
  { now, days, attachments }: { now: EpochMillis; days: number; attachments: readonly LostAttachment[] },
): Promise<void> {
  const id = deletedIdOf(share) as ResourceId; // made from one
  const version = ((BigInt(now) + windowsEpoch) * 10_000n).toString(16).toUpperCase().padStart(16, '0');
  const deleted: JsonObject = { id: share.id, at: now, until: now + days * day, version };
  await tx.deleteFrom('resources').where('key', '=', share.key).execute();
  await saveResource(tx, {
    ...share,
    ...{ key: keyOf(id), id, typeKey: deletedType, parentKey: keyOf(accountIdOf(share)) },
    found: { ...share.found, deleted, attachments: attachments.map((one) => ({ ...one })) },
  });
}

/** Puts it back in its place, where a loop makes it as it was. Gives its new generation. */
export async function reviveShare(
  tx: Queries,
  deleted: DeletedShare,
  share: { id: ResourceId; typeKey: string; parentKey: ResourceRecord['parentKey']; etag: string; now: EpochMillis },
): Promise<number> {
  const { record } = deleted;
  const { deleted: _deleted, ...found } = record.found;
  const generation = record.generation + 1;
  await tx.deleteFrom('resources').where('key', '=', record.key).execute();
  await saveResource(tx, {
    ...record,
    ...{ key: keyOf(share.id), id: share.id, typeKey: share.typeKey, parentKey: share.parentKey, etag: share.etag },
    ...{ found, provisioningState: 'Updating', error: undefined, generation },
    ...{ changedAt: share.now, deletingSince: undefined },
  });
  return generation;
}

/**
 * Has a loop take it down soon, with all that is in it: from then on nobody can restore it.
 *
 * @returns false where it was restored meanwhile, and perhaps deleted again: that one is another
 */
export async function purgeShare(tx: Queries, { record, version }: DeletedShare): Promise<boolean> {
  const current = await findResource(tx, record.id);
  if (current === undefined || deletedShareOf(current).version !== version) return false;
  const deleted = current.found['deleted'];
  await saveResource(tx, {
    ...current,
    found: { ...current.found, deleted: { ...(isObject(deleted) ? deleted : {}), purged: true } },
  });
  return true;
}

/** Where a share that was restored is to be shown again. */
export function lostAttachments({ found }: Pick<ResourceRecord, 'found'>): LostAttachment[] {
  const list = found['attachments'];
  return (Array.isArray(list) ? list : [])
    .filter(isObject)
    .map((one) => ({ instance: textOf(one['instance']), folder: textOf(one['folder']), path: textOf(one['path']) }));
}

export const daysLeft = ({ until }: Pick<DeletedShare, 'until'>, now: EpochMillis): number =>
  Math.max(0, Math.ceil((until - now) / day));

export function nameIsKept({ account, share, until }: DeletedShare, now: EpochMillis): PoolhouseError {
  return new PoolhouseError(
    'Conflict',
    `The share '${share}' of '${account}' was deleted, and is kept for ${daysLeft({ until }, now)} more days: its name is not free. Restore it (az storage share-rm restore, or 'poolhouse shares undelete ${account}/${share}'), or give up what is in it: poolhouse shares purge ${account}/${share}`,
    { target: 'name' },
  );
}
