/**
 * What clients ask of a scale set beyond its document: to start, stop, restart, make anew, upgrade or delete instances, by their
 * ids or all of them. An action writes down what is asked for; the loops of control make it so, and end its operation.
 */
import { PoolhouseError } from '../../core/errors.ts';
import type { JsonObject } from '../../core/json.ts';
import { beginDraining, drainCause, isLeaving, type InstanceState } from '../../pool/instance-state.ts';
import { findInstances, updateInstanceState, type InstanceRecord } from '../../store/instance-records.ts';
import type { ResourceRecord } from '../../store/resource-records.ts';
import { invalid, objectAt, optionalChoice } from '../read-body.ts';
import type { ActionContext, StoredType } from '../resource-type.ts';
import type { ActionOutcome } from '../resource-service.ts';
import { modelVersion } from './model-version.ts';
import { requireMemoryToStart } from './promised-memory.ts';
import { readScaleSet } from './scale-set-model.ts';

/** What an action changes of an instance. */
export type InstanceChange = (state: InstanceState, now: number) => InstanceState;

/** By the action's name in lower case: on a scale set for some or all of its instances, and on one instance. */
export const instanceChanges = {
  start: (state) => ({ ...state, power: 'running' }),
  poweroff: (state) => ({ ...state, power: 'stopped' }),
  deallocate: (state) => ({ ...state, power: 'stopped' }),
  restart: (state, since) => ({ ...state, power: 'running', restart: { since } }),
  reimage: (state, since) => ({ ...state, remake: { since, reason: 'it was reimaged' } }),
  reimageall: (state, since) => ({ ...state, remake: { since, reason: 'it was reimaged' } }),
  simulateeviction: (state, since) =>
    state.standby === undefined ? beginDraining(state, { since, until: since + 30_000, by: 'eviction' }) : state,
} as const satisfies Record<string, InstanceChange>;
export type InstanceActionName = keyof typeof instanceChanges;

/** Azure's spelling, for the operation. */
const operationNames: Record<InstanceActionName, string> = {
  start: 'start',
  poweroff: 'powerOff',
  deallocate: 'deallocate',
  restart: 'restart',
  reimage: 'reimage',
  reimageall: 'reimageAll',
  simulateeviction: 'simulateEviction',
};

export const scaleSetActions: NonNullable<StoredType['actions']> = {
  ...Object.fromEntries(
    (Object.keys(instanceChanges) as InstanceActionName[]).map((name) => [
      name,
      (record: ResourceRecord, body: JsonObject, context: ActionContext) => changeMany(record, body, context, name),
    ]),
  ),
  async delete(record, body, context) {
    return deleteInstances(record, await namedInstances(record, body, context), context);
  },
  /** `az vmss update-instances`: the latest model, for those that are named. */
  async manualupgrade(record, body, context) {
    const latest = modelVersion(record.document);
    for (const instance of await namedInstances(record, body, context))
      if (instance.modelVersion !== latest)
        await updateInstanceState(context.queries, instance, (state) => ({
          ...state,
          upgrade: { since: context.now },
        }));
    return beginWork(record, record.found, 'manualUpgrade', context);
  },
  /** Instances that were begun are carried to their end; no other is begun until there is another model. */
  cancelrollingupgrade: (record, _body, context) =>
    beginWork(record, { ...record.found, $upgradeCanceled: modelVersion(record.document) }, 'cancel', context),
  async setorchestrationservicestate(record, body, context) {
    optionalChoice(body, ['AutomaticRepairs'], 'serviceName');
    const action = optionalChoice(body, ['Resume', 'Suspend'], 'action');
    if (action === undefined) throw invalid('action', `Required parameter 'action' is missing (null).`);
    const { $repairsSuspended: _before, ...found } = record.found;
    const changed = action === 'Suspend' ? { ...found, $repairsSuspended: true } : found;
    return beginWork(record, changed, 'setOrchestrationServiceState', context);
  },
};

async function changeMany(
  record: ResourceRecord,
  body: JsonObject,
  context: ActionContext,
  name: InstanceActionName,
): Promise<ActionOutcome> {
  const isWhole = !Array.isArray(body['instanceIds']);
  const chosen = isWhole
    ? (await findInstances(context.queries, record.key)).filter(({ state }) => state.standby === undefined)
    : await namedInstances(record, body, context);
  await requireAllowed(record, chosen, name, context);
  const change: InstanceChange = instanceChanges[name];
  for (const instance of chosen)
    // Azure's protection is against what is done to the set as a whole.
    if (!isWhole || !instance.state.protectFromScaleSetActions || name === 'start' || name === 'restart')
      await updateInstanceState(context.queries, instance, (state) => change(state, context.now));
  const { $off: _before, ...found } = record.found;
  const isOff = isWhole && (name === 'poweroff' || name === 'deallocate');
  const isOfPower = name !== 'reimage' && name !== 'reimageall' && name !== 'simulateeviction';
  const changed = !isOfPower ? record.found : isOff ? { ...found, $off: record.generation } : found;
  return beginWork(record, changed, operationNames[name], context);
}

/** `OperationNotAllowed`, or `AllocationFailed` where there is no memory for it. */
async function requireAllowed(
  record: ResourceRecord,
  chosen: readonly InstanceRecord[],
  name: InstanceActionName,
  context: ActionContext,
): Promise<void> {
  if (name === 'start') await requireMemoryToStart(record, chosen, context);
  if (name === 'simulateeviction' && readScaleSet(record.document).spot === undefined)
    throw new PoolhouseError(
      'OperationNotAllowed',
      'Only instances of a scale set with the priority Spot are evicted. Stop or delete this one instead.',
    );
}

/** One instance of a scale set, by its own path. */
export async function changeOne(
  record: ResourceRecord,
  instance: InstanceRecord,
  name: InstanceActionName,
  context: ActionContext,
): Promise<ActionOutcome> {
  await requireAllowed(record, [instance], name, context);
  const change: InstanceChange = instanceChanges[name];
  await updateInstanceState(context.queries, instance, (state) => change(state, context.now));
  return beginWork(record, record.found, operationNames[name], context);
}

/**
 * Deleting by id acts at once, whoever is there, unless the scale set has a terminate notification: then it comes when its time
 * is over. The capacity becomes lower, as in Azure: nothing comes back in its place.
 */
export async function deleteInstances(
  record: ResourceRecord,
  instances: readonly InstanceRecord[],
  context: ActionContext,
): Promise<ActionOutcome> {
  const { noticeMilliseconds } = readScaleSet(record.document);
  const { now } = context;
  let counted = 0;
  for (const instance of instances) {
    const { standby } = instance.state;
    // What drains because there are too many is not in the capacity any more.
    if (standby === undefined && !isLeaving(instance.state) && drainCause(instance.state) !== 'scale-in') counted += 1;
    // Who deletes again what was given notice wants it gone.
    const isNoticed = noticeMilliseconds > 0 && standby === undefined && !isLeaving(instance.state);
    await updateInstanceState(context.queries, instance, (state) =>
      isNoticed
        ? beginDraining(state, { since: now, until: now + noticeMilliseconds, by: 'delete' })
        : { ...state, removal: { since: now, reason: 'it was deleted by its id' } },
    );
  }
  const sku = objectAt(record.document, 'sku');
  const capacity = Math.max(0, Number(sku['capacity'] ?? 0) - counted);
  await context.queries
    .updateTable('resources')
    .set({ document_json: JSON.stringify({ ...record.document, sku: { ...sku, capacity } }) })
    .where('key', '=', record.key)
    .execute();
  return beginWork(record, record.found, 'delete', context);
}

async function beginWork(
  record: ResourceRecord,
  found: JsonObject,
  operation: string,
  context: ActionContext,
): Promise<ActionOutcome> {
  await context.queries
    .updateTable('resources')
    .set({ found_json: JSON.stringify(found), provisioning_state: 'Updating', changed_at: context.now })
    .where('key', '=', record.key)
    .execute();
  return context.begin(operation, record.generation);
}

async function namedInstances(
  record: ResourceRecord,
  body: JsonObject,
  context: ActionContext,
): Promise<InstanceRecord[]> {
  const ids = body['instanceIds'];
  if (!Array.isArray(ids) || ids.length === 0)
    throw invalid(
      'instanceIds',
      `Required parameter 'instanceIds' is missing (null): name the instances, as in {"instanceIds": ["0", "3"]}.`,
    );
  const instances = await findInstances(context.queries, record.key);
  if (ids.length === 1 && ids[0] === '*') return instances;
  return [...new Set(ids.map(String))].map((id) => {
    const instance = instances.find((one) => String(one.instanceId) === id);
    if (instance === undefined)
      throw invalid(
        'instanceIds',
        `The provided instanceId ${id.slice(0, 40)} is not an active Virtual Machine Scale Set VM instanceId.`,
      );
    return instance;
  });
}
