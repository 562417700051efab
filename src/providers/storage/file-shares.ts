import { PoolhouseError } from '../../core/errors.ts';
import type { JsonObject } from '../../core/json.ts';
import { keyOf, parentId, parseResourceId } from '../../core/resource-id.ts';
import { nameOf } from '../../store/resource-records.ts';
import { objectAt, optionalInteger, requiredString } from '../read-body.ts';
import type { StoredType } from '../resource-type.ts';
import { findDeletedShare, nameIsKept, reviveShare } from './deleted-shares.ts';

/** A file share: the same files on every instance that mounts it. A loop keeps an engine volume of its size for it. */
export const fileShares: StoredType = {
  kind: 'stored',
  type: 'Microsoft.Storage/storageAccounts/fileServices/shares',
  reconciled: true,
  removedByLoop: true,
  needsLocation: false,
  check(body, _surroundings, path) {
    const [, service = '', share = ''] = path.names;
    if (service.toLowerCase() !== 'default') {
      throw new PoolhouseError(
        'ResourceNotFound',
        `A storage account has one file service, and its name is 'default', not '${service}'.`,
      );
    }
    if (!/^[a-z0-9](?!.*--)[a-z0-9-]{1,61}[a-z0-9]$/.test(share)) {
      throw new PoolhouseError(
        'InvalidResourceName',
        `The specified resource name contains invalid characters: '${share.slice(0, 80)}'. Share names have 3 to 63 lower-case letters, digits and single hyphens, beginning and ending with a letter or digit.`,
        { target: 'name' },
      );
    }
    shareQuotaGiB(body);
  },
  async accept(body, { queries, existing, id, now }) {
    const kept = existing === undefined ? await findDeletedShare(queries, id) : undefined;
    if (kept !== undefined) throw nameIsKept(kept, now);
    return body;
  },
  properties(record) {
    return Promise.resolve({
      accessTier: 'TransactionOptimized',
      enabledProtocols: 'SMB',
      ...{ leaseStatus: 'unlocked', leaseState: 'available' },
      ...objectAt(record.document, 'properties'),
      shareQuota: shareQuotaGiB(record.document),
      lastModifiedTime: new Date(record.changedAt).toISOString(),
    });
  },
  actionsOnNothing: new Set(['restore']),
  actions: {
    /** Brings back one that was deleted, under its own name. */
    async restore(record, body, context) {
      const name = requiredString(body, 'deletedShareName').toLowerCase();
      const version = requiredString(body, 'deletedShareVersion');
      if (name !== nameOf(record.id).toLowerCase())
        throw new PoolhouseError(
          'OperationNotAllowed',
          `A share comes back under its own name here: '${name.slice(0, 80)}' cannot be restored as '${nameOf(record.id)}'.`,
          { target: 'deletedShareName' },
        );
      if (record.generation > 0)
        throw new PoolhouseError('Conflict', `There is a share '${nameOf(record.id)}' already.`, { target: 'name' });
      const deleted = await findDeletedShare(context.queries, record.id);
      if (deleted?.version !== version)
        throw new PoolhouseError(
          'ResourceNotFound',
          `There is no deleted share '${name.slice(0, 80)}' of the version '${version.slice(0, 40)}'. 'az storage share-rm list --include-deleted' shows what can be restored.`,
        );
      if (deleted.isPurged || deleted.until <= context.now)
        throw new PoolhouseError(
          'Conflict',
          `The deleted share '${name}' is being given up, because its days are over or an operator has said so: it can no longer be restored.`,
        );
      const generation = await reviveShare(context.queries, deleted, {
        ...{ id: record.id, typeKey: record.typeKey, parentKey: keyOf(parentId(parseResourceId(record.id)) ?? '') },
        ...{ etag: context.newId(), now: context.now },
      });
      return { ...(await context.begin('put', generation)), body: {} };
    },
  },
};

/** Azure's default and largest quota of an ordinary share, in GiB: 5,120 unless asked for less; 102,400 at most. */
export function shareQuotaGiB(document: JsonObject): number {
  return optionalInteger(document, { minimum: 1, maximum: 102_400 }, 'properties', 'shareQuota') ?? 5_120;
}
