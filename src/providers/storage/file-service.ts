/** The one file service of a storage account, which is always there: what becomes of shares that are deleted. */
import { PoolhouseError } from '../../core/errors.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import type { ResourceRecord } from '../../store/resource-records.ts';
import { invalid, objectAt, optionalBoolean, optionalInteger } from '../read-body.ts';
import type { VirtualType } from '../resource-type.ts';

/** What deleted shares are kept for; undefined days: they go at once. */
export interface ShareRetention {
  days: number | undefined;
}

/** As Azure gives new accounts. */
const usualDays = 7;
const accountType = 'Microsoft.Storage/storageAccounts';

/** How long the account of this document keeps deleted shares. */
export function shareRetention(account: JsonObject): ShareRetention {
  const policy = policyOf(account['$fileService']);
  return { days: policy.enabled ? policy.days : undefined };
}

function policyOf(service: JsonObject[string] | undefined): { enabled: boolean; days?: number } {
  if (!isObject(service)) return { enabled: true, days: usualDays };
  const enabled = optionalBoolean(service, 'shareDeleteRetentionPolicy', 'enabled');
  if (enabled === undefined) return { enabled: true, days: usualDays };
  const days = optionalInteger(service, { minimum: 1, maximum: 365 }, 'shareDeleteRetentionPolicy', 'days');
  return { enabled, ...(days === undefined ? {} : { days }) };
}

/** The properties of a file service as they are kept with the account. Throws where they are not valid. */
export function readFileService(properties: JsonObject): JsonObject {
  const asked = objectAt(properties, 'shareDeleteRetentionPolicy');
  const enabled = optionalBoolean(asked, 'enabled');
  // Clients send 0 days with a policy that is off.
  const days = enabled === false ? undefined : optionalInteger(asked, { minimum: 1, maximum: 365 }, 'days');
  if (enabled === true && days === undefined)
    throw invalid(
      'properties.shareDeleteRetentionPolicy.days',
      `A policy that is enabled says for how many days: 'properties.shareDeleteRetentionPolicy.days' from 1 to 365 is expected.`,
    );
  return {
    ...properties,
    ...(enabled === undefined
      ? {}
      : { shareDeleteRetentionPolicy: { enabled, ...(days === undefined ? {} : { days }) } }),
  };
}

export const fileServices: VirtualType = {
  kind: 'virtual',
  type: `${accountType}/fileServices`,
  get(parent, path) {
    refuseOthers(path.names.at(-1) ?? '');
    return Promise.resolve(fileService(parent));
  },
  list: (parent) => Promise.resolve([fileService(parent)]),
  put(parent, path, body) {
    refuseOthers(path.names.at(-1) ?? '');
    return Promise.resolve({ ...parent.document, fileService: readFileService(objectAt(body, 'properties')) });
  },
};

function refuseOthers(name: string): void {
  if (name.toLowerCase() === 'default') return;
  throw new PoolhouseError(
    'ResourceNotFound',
    `A storage account has one file service, and its name is 'default', not '${name}'.`,
  );
}

function fileService(parent: ResourceRecord): JsonObject {
  const kept = parent.document['$fileService'];
  return {
    id: `${parent.id}/fileServices/default`,
    name: 'default',
    type: `${accountType}/fileServices`,
    properties: {
      cors: { corsRules: [] },
      ...(isObject(kept) ? kept : {}),
      shareDeleteRetentionPolicy: { ...policyOf(kept) },
    },
  };
}
