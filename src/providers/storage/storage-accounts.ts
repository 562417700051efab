import { randomBytes } from 'node:crypto';
import { PoolhouseError } from '../../core/errors.ts';
import { dig, isObject, type JsonObject } from '../../core/json.ts';
import { keyOf } from '../../core/resource-id.ts';
import { findResources, nameOf, type ResourceRecord } from '../../store/resource-records.ts';
import type { Queries } from '../../store/store.ts';
import { invalid, objectAt, optionalChoice, requiredString } from '../read-body.ts';
import type { StoredType, TypeContext } from '../resource-type.ts';
import { readFileService } from './file-service.ts';
import { readSnapshotTag } from './snapshot-tag.ts';

const type = 'Microsoft.Storage/storageAccounts';
const keyNames = ['key1', 'key2'] as const;

/** A storage account: a name, two keys, and the file shares below it. Its name is unique in the installation, as it is in Azure. */
export const storageAccounts: StoredType = {
  kind: 'stored',
  type,
  reconciled: false,
  removedByLoop: true,
  needsLocation: true,
  createdStatus: 200,
  check(body, _surroundings, path) {
    const name = path.names[0] ?? '';
    if (!isAccountName(name)) throw new PoolhouseError('AccountNameInvalid', accountNameRule(name), { target: 'name' });
    optionalChoice(body, ['Storage', 'StorageV2', 'BlobStorage', 'FileStorage', 'BlockBlobStorage'], 'kind');
    if (body['sku'] !== undefined) requiredString(body, 'sku', 'name');
    readSnapshotTag(body);
  },
  async accept(body, { queries: tx, secrets, existing, id, now }) {
    const name = nameOf(id);
    if (existing === undefined) {
      const taken = (await findResources(tx, { type })).find(
        (other) => nameOf(other.id).toLowerCase() === name.toLowerCase(),
      );
      if (taken !== undefined) {
        throw new PoolhouseError(
          'StorageAccountAlreadyTaken',
          `The storage account named ${name} is already taken: ${taken.id}.`,
        );
      }
    }
    const earlier = existing === undefined ? undefined : dig(existing.document, '$keys');
    const keys = earlier ?? {
      key1: await secrets.hide(tx, keyOf(id), newKey(), now),
      key2: await secrets.hide(tx, keyOf(id), newKey(), now),
    };
    // What the file service was told stays with the account, which clients write without it.
    const { fileService, ...rest } = body;
    const service = isObject(fileService) ? readFileService(fileService) : existing?.document['$fileService'];
    return {
      ...{ kind: 'StorageV2', sku: { name: 'Standard_LRS', tier: 'Standard' }, ...rest, $keys: keys },
      ...(service === undefined ? {} : { $fileService: service }),
    };
  },
  properties(record) {
    const name = nameOf(record.id);
    return Promise.resolve({
      accessTier: 'Hot',
      ...objectAt(record.document, 'properties'),
      primaryEndpoints: { file: `https://${name}.file.core.windows.net/` },
      primaryLocation: record.document['location'] ?? 'local',
      statusOfPrimary: 'available',
      creationTime: new Date(record.createdAt).toISOString(),
    });
  },
  actions: {
    listkeys: async (record, _body, context) => ({ body: { keys: await keysOf(record, context) } }),
    async regeneratekey(record, body, context) {
      const name = requiredString(body, 'keyName');
      const known = keyNames.find((one) => one === name.toLowerCase());
      if (known === undefined)
        throw invalid('keyName', `The key '${name}' does not exist: 'key1' or 'key2' is expected.`);
      const keys = {
        ...objectAt(record.document, '$keys'),
        [known]: await context.secrets.hide(context.queries, record.key, newKey(), context.now),
      };
      const document = { ...record.document, $keys: keys };
      await context.queries
        .updateTable('resources')
        .set({ document_json: JSON.stringify(document), changed_at: context.now })
        .where('key', '=', record.key)
        .execute();
      await context.secrets.forget(context.queries, record.key, document);
      return { body: { keys: await keysOf({ ...record, document }, context) } };
    },
  },
};

/** The account's keys, in the clear: for the one who may list them, and for checking what an instance presents. */
export async function keysOf(
  record: ResourceRecord,
  context: Pick<TypeContext, 'queries' | 'secrets'>,
): Promise<JsonObject[]> {
  const keys = objectAt(record.document, '$keys');
  return Promise.all(
    keyNames.map(async (keyName) => {
      const placeholder = keys[keyName];
      return {
        keyName,
        value:
          typeof placeholder === 'string' ? await context.secrets.reveal(context.queries, record.key, placeholder) : '',
        permissions: 'FULL',
      };
    }),
  );
}

/** Whether somebody could have an account of this name: Azure's `checkNameAvailability`. */
export async function nameAvailability(queries: Queries, name: string): Promise<JsonObject> {
  if (!isAccountName(name)) return { nameAvailable: false, reason: 'AccountNameInvalid', message: accountNameRule(name) };
  const taken = (await findResources(queries, { type })).some((one) => nameOf(one.id).toLowerCase() === name);
  if (!taken) return { nameAvailable: true };
  return { nameAvailable: false, reason: 'AlreadyExists', message: `The storage account named ${name} is already taken.` };
}

const isAccountName = (name: string) => /^[a-z0-9]{3,24}$/.test(name);
const accountNameRule = (name: string) =>
  `${name.slice(0, 80)} is not a valid storage account name. Storage account name must be between 3 and 24 characters in length and use numbers and lower-case letters only.`;

function newKey(): string {
  return randomBytes(64).toString('base64');
}
