import { createHash } from 'node:crypto';
import { PoolhouseError } from '../../core/errors.ts';
import { dig, isObject, withoutDeep, type JsonObject } from '../../core/json.ts';
import { hideIn, isPlaceholder } from '../../secrets/secrets.ts';
import { findInstances, saveModel } from '../../store/instance-records.ts';
import { uidOf } from '../../store/accounts.ts';
import { keyOf, tryParseResourceId } from '../../core/resource-id.ts';
import { findResources, type ResourceRecord } from '../../store/resource-records.ts';
import { invalid, objectAt, objects } from '../read-body.ts';
import type { AcceptContext, RoomContext, StoredType } from '../resource-type.ts';
import { requireFreeAdminName } from '../identity/names-in-use.ts';
import { modelVersion } from './model-version.ts';
import { readPoolTags } from './pool-tags.ts';
import { provisioningStateOf } from './provisioning-state.ts';
import { scaleSetActions } from './scale-set-actions.ts';
import {
  isApplicationHealth,
  isCustomScript,
  readApplicationHealth,
  readCustomScript,
  readScaleSet,
} from './scale-set-model.ts';
import { allSizes, sizeOf } from './sizes.ts';

const type = 'Microsoft.Compute/virtualMachineScaleSets';

/** A scale set: the asked-for number of identical instances. Loops in control make it so. */
export function scaleSets(): StoredType {
  return {
    kind: 'stored',
    type,
    reconciled: true,
    removedByLoop: true,
    needsLocation: true,
    complete(body, existing) {
      // `az vmss scale` PUTs location and sku alone, and a template that scales an existing set does the same.
      const before = existing.document;
      if (dig(body, 'properties', 'virtualMachineProfile') !== undefined) return withUnseenOf(body, before);
      return {
        ...before,
        ...body,
        sku: { ...objectAt(before, 'sku'), ...objectAt(body, 'sku') },
        properties: { ...objectAt(before, 'properties'), ...objectAt(body, 'properties') },
      };
    },
    check(body, surroundings, path) {
      const name = path.names[0] ?? '';
      if (!/^[A-Za-z0-9]([A-Za-z0-9_.-]{0,62}[A-Za-z0-9_])?$/.test(name)) {
        throw invalid(
          'name',
          `The scale set name '${name.slice(0, 80)}' is not valid: 1 to 64 letters, digits, '-', '_' and '.', beginning with a letter or digit.`,
        );
      }
      readPoolTags(body);
      const model = readScaleSet(body);
      surroundings.recipeOf(model.profile.image);
      const size = sizeOf(model.sizeName);
      if (surroundings.engine.real && size.memoryGiB * 2 ** 30 * model.capacity > surroundings.engine.memoryBytes) {
        throw new PoolhouseError(
          'AllocationFailed',
          `Allocation failed: ${model.capacity} instances of ${size.name} need ${size.memoryGiB * model.capacity} GiB of memory, and this host has ${Math.floor(surroundings.engine.memoryBytes / 2 ** 30)} GiB. Ask for fewer instances or a smaller size.`,
          { target: 'sku.capacity' },
        );
      }
      for (const extension of model.profile.extensions) {
        if (isApplicationHealth(extension)) readApplicationHealth(extension.settings);
        else if (!isCustomScript(extension)) {
          throw invalid(
            `extensionProfile.extensions.${extension.name}`,
            `The extension '${extension.publisher}/${extension.type}' is not known here. Known: Microsoft.Azure.Extensions/CustomScript, Microsoft.ManagedServices/ApplicationHealthLinux.`,
          );
        }
        const unknown = extension.provisionAfter.find(
          (name) => !model.profile.extensions.some((other) => other.name === name),
        );
        if (unknown !== undefined)
          throw invalid(
            `extensionProfile.extensions.${extension.name}`,
            `The extension '${extension.name}' is to run after '${unknown}', which does not exist.`,
          );
        if (isApplicationHealth(extension)) continue;
        if (extension.protectedSettings === undefined) readCustomScript(extension.settings, {});
        else if (!isPlaceholder(extension.protectedSettings)) {
          const parsed: unknown = JSON.parse(extension.protectedSettings);
          readCustomScript(extension.settings, isObject(parsed) ? parsed : {});
        }
      }
    },
    references(body) {
      const { profile } = readScaleSet(body);
      return [...profile.subnetIds, ...profile.backendPoolIds, ...profile.natPoolIds];
    },
    checkRoom: requireMemory,
    async checkKnown(known, queries) {
      const admin = dig(known, 'properties', 'virtualMachineProfile', 'osProfile', 'adminUsername');
      if (typeof admin === 'string') await requireFreeAdminName(queries, admin);
    },
    accept: acceptScaleSet,
    properties(record) {
      return Promise.resolve({
        ...withoutDeep(objectAt(record.document, 'properties'), 'adminPassword', 'customData', 'protectedSettings'),
        uniqueId: uuidOf(record.id),
      });
    },
    /** Its instances stay, as in Azure; what ends is their scripts. */
    async cancel(record, { queries }) {
      await queries
        .updateTable('resources')
        .set({ found_json: JSON.stringify({ ...record.found, $canceled: record.generation }) })
        .where('key', '=', record.key)
        .execute();
    },
    async cleanUp(record, { queries }) {
      await queries.deleteFrom('models').where('scale_set_key', '=', record.key).execute();
      await queries.deleteFrom('instances').where('scale_set_key', '=', record.key).execute();
    },
    actions: {
      instanceview: async (record, _body, { queries }) => {
        const instances = await findInstances(queries, record.key);
        const count = new Map<string, number>();
        for (const instance of instances) {
          if (instance.state.standby !== undefined) continue;
          const code = `ProvisioningState/${provisioningStateOf(instance.state).toLowerCase()}`;
          count.set(code, (count.get(code) ?? 0) + 1);
        }
        return {
          body: {
            virtualMachine: { statusesSummary: [...count].map(([code, number]) => ({ code, count: number })) },
            statuses: [
              {
                code: `ProvisioningState/${record.provisioningState.toLowerCase()}`,
                level: 'Info',
                displayStatus: `Provisioning ${record.provisioningState.toLowerCase()}`,
              },
            ],
            orchestrationServices: [
              {
                serviceName: 'AutomaticRepairs',
                serviceState:
                  readScaleSet(record.document).repairs === undefined
                    ? 'NotRunning'
                    : repairsSuspended(record)
                      ? 'Suspended'
                      : 'Running',
              },
            ],
          },
        };
      },
      skus: () =>
        Promise.resolve({
          body: {
            value: allSizes().map((size) => ({
              resourceType: 'Microsoft.Compute/virtualMachineScaleSets',
              sku: { name: size.name, tier: 'Standard' },
              capacity: { minimum: 0, maximum: 1000, defaultCapacity: 1, scaleType: 'Automatic' },
            })),
          },
        }),
      ...scaleSetActions,
    },
    extra: () => Promise.resolve({}),
  };

  async function acceptScaleSet(body: JsonObject, context: AcceptContext): Promise<JsonObject> {
    const { queries: tx, secrets, now } = context;
    const owner = context.id.toLowerCase();
    const hide = (value: string) => secrets.hide(tx, owner, value, now);
    const document = structuredClone(body);
    const osProfile = objectAt(document, 'properties', 'virtualMachineProfile', 'osProfile');
    for (const member of Object.keys(osProfile)) {
      const value = osProfile[member];
      const secret = ['adminpassword', 'customdata'].includes(member.toLowerCase());
      if (secret && typeof value === 'string' && !isPlaceholder(value)) osProfile[member] = await hide(value);
    }
    for (const extension of objects(
      document,
      'properties',
      'virtualMachineProfile',
      'extensionProfile',
      'extensions',
    )) {
      const properties = objectAt(extension, 'properties');
      for (const member of Object.keys(properties)) {
        const value = properties[member];
        if (member.toLowerCase() === 'protectedsettings' && isObject(value))
          properties[member] = await hide(JSON.stringify(value));
      }
    }
    const hidden = await hideIn(document, context.secretValues, hide);
    const model = readScaleSet(hidden);
    await requireFreeAdminName(tx, model.profile.admin.name);
    await requireMemory(hidden, { ...context, planned: [] });
    const profile = objectAt(hidden, 'properties', 'virtualMachineProfile');
    await saveModel(tx, owner, { version: modelVersion(hidden), profile, sizeName: sizeOf(model.sizeName).name });
    await uidOf(tx, owner, model.profile.admin.name);
    return hidden;
  }

  /**
   * All scale sets together must fit the host: memory counts in full. Of a set that its template changes too the larger
   * size counts: which of them changes first is not known.
   */
  async function requireMemory(asked: JsonObject, context: RoomContext): Promise<void> {
    const { queries, id, existing, surroundings, planned } = context;
    const { real, memoryBytes } = surroundings.engine;
    if (!real) return;
    const isSpot = readScaleSet(asked).spot !== undefined;
    const sizes = new Map<string, number>();
    for (const set of await findResources(queries, { type }))
      // What is preemptible makes room for what is not.
      if (set.deletingSince === undefined && (isSpot || readScaleSet(set.document).spot === undefined))
        sizes.set(set.key, memoryOf(set.document));
    for (const other of planned) {
      const path = tryParseResourceId(other.id);
      if (path?.type.toLowerCase() !== type.toLowerCase()) continue;
      const key = keyOf(other.id);
      sizes.set(key, Math.max(sizes.get(key) ?? 0, plannedMemory(other.body)));
    }
    sizes.delete(keyOf(id));
    const own = memoryOf(asked);
    const others = [...sizes.values()].reduce((sum, size) => sum + size, 0);
    const host = Math.floor(memoryBytes / 2 ** 30);
    // What does not grow is not refused: it may be the way out.
    if (own > (existing === undefined ? 0 : memoryOf(existing.document)) && own + others > host) {
      throw new PoolhouseError(
        'AllocationFailed',
        `Allocation failed: these instances need ${own} GiB of memory, the other scale sets have ${others} GiB, and this host has ${host} GiB. Ask for fewer instances or a smaller size, or make another scale set smaller.`,
        { target: 'sku.capacity' },
      );
    }
  }
}

/** Whether the deployment that asked for the scale set as it is now was cancelled. */
export function scriptsCanceled(record: ResourceRecord): boolean {
  return record.found['$canceled'] === record.generation;
}

/** Whether the upgrade to its latest model was cancelled. */
export function upgradeCanceled(record: ResourceRecord): boolean {
  return record.found['$upgradeCanceled'] === modelVersion(record.document);
}

/** Whether its operator has suspended automatic repairs. */
export function repairsSuspended(record: ResourceRecord): boolean {
  return record.found['$repairsSuspended'] === true;
}

/** Whether all of it was switched off, and nothing else asked for since: nobody but its operator starts it again. */
export function switchedOff(record: ResourceRecord): boolean {
  return record.found['$off'] === record.generation;
}

/** A client that PUTs what it has read (`az vmss scale`) has not seen the secrets, and may leave out the image: they stay as they were. */
function withUnseenOf(body: JsonObject, before: JsonObject): JsonObject {
  const document = structuredClone(body);
  const osProfile = objectAt(document, 'properties', 'virtualMachineProfile', 'osProfile');
  const osBefore = objectAt(before, 'properties', 'virtualMachineProfile', 'osProfile');
  for (const member of ['adminPassword', 'customData']) {
    const secret = dig(osBefore, member);
    if (dig(osProfile, member) === undefined && typeof secret === 'string') osProfile[member] = secret;
  }
  // `az vmss update` leaves out the image that it does not change.
  const storage = objectAt(document, 'properties', 'virtualMachineProfile', 'storageProfile');
  const image = dig(before, 'properties', 'virtualMachineProfile', 'storageProfile', 'imageReference');
  if (dig(storage, 'imageReference') === undefined && isObject(image)) storage['imageReference'] = image;
  const extensionsBefore = objects(before, 'properties', 'virtualMachineProfile', 'extensionProfile', 'extensions');
  for (const extension of objects(document, 'properties', 'virtualMachineProfile', 'extensionProfile', 'extensions')) {
    const earlier = extensionsBefore.find((one) => one['name'] === extension['name']);
    const secret = earlier === undefined ? undefined : dig(earlier, 'properties', 'protectedSettings');
    const properties = objectAt(extension, 'properties');
    if (secret !== undefined && dig(properties, 'protectedSettings') === undefined)
      properties['protectedSettings'] = secret;
  }
  return document;
}

/** The memory of all its instances, in GiB. */
function memoryOf(document: JsonObject): number {
  const { capacity, sizeName } = readScaleSet(document);
  return capacity * sizeOf(sizeName).memoryGiB;
}

/** The memory of a set that another resource of the same template is; none where it is wrong by itself. */
function plannedMemory(document: JsonObject): number {
  try {
    return memoryOf(document);
  } catch (error) {
    if (error instanceof PoolhouseError) return 0; // its own check says what is wrong
    throw error;
  }
}

/** The same for the same id, for ever. */
export function uuidOf(id: string): string {
  const hex = createHash('sha256').update(id.toLowerCase()).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
