import { PoolhouseError } from '../../core/errors.ts';
import type { JsonObject } from '../../core/json.ts';
import { objectAt, optionalInteger } from '../read-body.ts';
import type { StoredType } from '../resource-type.ts';

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
  properties(record) {
    return Promise.resolve({
      accessTier: 'TransactionOptimized',
      enabledProtocols: 'SMB',
      ...objectAt(record.document, 'properties'),
      shareQuota: shareQuotaGiB(record.document),
      lastModifiedTime: new Date(record.changedAt).toISOString(),
    });
  },
};

/** Azure's default and largest quota of an ordinary share, in GiB: 5,120 unless asked for less; 102,400 at most. */
export function shareQuotaGiB(document: JsonObject): number {
  return optionalInteger(document, { minimum: 1, maximum: 102_400 }, 'properties', 'shareQuota') ?? 5_120;
}
