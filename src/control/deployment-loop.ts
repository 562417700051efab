/**
 * Carries deployments out: asks `template/schedule` what can start, PUTs those resources as any client would, watches
 * their operations, and writes down how each ended.
 */
import { errorBodyOf, PoolhouseError, type ErrorBody } from '../core/errors.ts';
import { isObject, type Json, type JsonObject } from '../core/json.ts';
import { redactError } from '../core/redact.ts';
import { keyOf, parseResourceId, type ResourceId } from '../core/resource-id.ts';
import { planDeployment, type DeploymentInput, type DeploymentPlan } from '../providers/resources/deployment-plan.ts';
import { duration, scopeOf } from '../providers/resources/deployments.ts';
import { objectAt } from '../providers/read-body.ts';
import { hideIn, revealIn, secretsBetween } from '../secrets/secrets.ts';
import { endOperation, findOperation, openOperations } from '../store/operations.ts';
import { findResource, findResources, saveResource, type ResourceRecord } from '../store/resource-records.ts';
import { NeedsRuntime, type RuntimeNeed } from '../template/evaluate.ts';
import type { ExpandedResource, Runtime } from '../template/expand.ts';
import { scheduleDeployment, type StepStatus } from '../template/schedule.ts';
import type { DeploymentStepRow } from '../store/schema.ts';
import { endedOperations } from './ended-operations.ts';
import type { World } from './world.ts';

const busyDelay = 1_000;
const settledDelay = 30_000;
/** Rounds of asking for what an expression needs: each round learns at least one thing. */
const mostRounds = 50;

export function createDeploymentLoop(world: World) {
  const { store, service, clock, log } = world;
  const plans = new Map<string, { generation: number; plan: DeploymentPlan }>();

  async function planOf(record: ResourceRecord): Promise<DeploymentPlan> {
    const known = plans.get(record.key);
    if (known?.generation === record.generation) return known.plan;
    const sealed = record.document['$input'];
    const input = JSON.parse(
      await world.secrets.reveal(store.db, record.key, typeof sealed === 'string' ? sealed : ''),
    ) as DeploymentInput;
    const scope = await scopeOf(
      { queries: store.db },
      parseResourceId(record.id),
      modeOf(record),
      service.subscription(),
    );
    const plan = planDeployment(input, scope);
    plans.set(record.key, { generation: record.generation, plan });
    return plan;
  }

  async function step(record: ResourceRecord): Promise<void> {
    const plan = await planOf(record);
    const rows = new Map(
      (
        await store.db.selectFrom('deployment_steps').selectAll().where('deployment_key', '=', record.key).execute()
      ).map((row) => [row.resource_key, row]),
    );
    for (const row of rows.values()) await settle(record, row);
    const canceled = record.found['$canceled'] === true;
    if (canceled) for (const row of rows.values()) await giveUp(record, row);
    const schedule = scheduleDeployment(
      plan.resources,
      (key) => (rows.get(key)?.status ?? 'pending') as StepStatus,
      canceled,
    );
    for (const key of schedule.skip)
      await write(record, key, { status: canceled ? 'canceled' : 'skipped', ended_at: clock.now() });
    await Promise.all(
      schedule.start.map(async (key) => {
        const resource = plan.resources.find((one) => one.key === key);
        if (resource !== undefined) await start(record, plan, resource);
      }),
    );
    if (schedule.start.length > 0) world.changed();
    else if (schedule.outcome !== 'running') await finish(record, plan, schedule.outcome);
  }

  /** Looks whether the operation of a running step has ended. */
  async function settle(record: ResourceRecord, row: DeploymentStepRow): Promise<void> {
    if (row.status !== 'running') return;
    // Begun, and never heard of again: the process was ended in between. A PUT can be repeated.
    if (row.operation_id === null) return write(record, row.resource_key, { status: (row.status = 'pending') });
    const operation = await findOperation(store.db, row.operation_id);
    if (operation?.status === 'InProgress') return;
    const failed = operation === undefined || operation.status !== 'Succeeded';
    const error = failed ? (operation?.error ?? { code: 'Conflict', message: 'The operation was lost.' }) : undefined;
    row.status = failed ? 'failed' : 'succeeded';
    await write(record, row.resource_key, {
      status: row.status,
      error_json: error === undefined ? null : JSON.stringify(error),
      ended_at: clock.now(),
    });
  }

  /** Nobody waits any longer for what a cancelled deployment has begun. */
  async function giveUp(record: ResourceRecord, row: DeploymentStepRow): Promise<void> {
    if (row.status !== 'running') return;
    if (row.operation_id !== null) await service.cancel(row.operation_id);
    row.status = 'canceled';
    await write(record, row.resource_key, { status: row.status, ended_at: clock.now() });
  }

  async function start(record: ResourceRecord, plan: DeploymentPlan, resource: ExpandedResource): Promise<void> {
    await write(record, resource.key, { status: 'running', started_at: clock.now() });
    const secretValues = [...plan.secretValues];
    try {
      const body = await resolve((runtime) => resource.resolve(runtime), secretValues);
      const written = await service.put(resource.id, body, { secretValues });
      if (written.operation === undefined)
        await write(record, resource.key, { status: 'succeeded', ended_at: clock.now() });
      else await write(record, resource.key, { operation_id: written.operation.id });
    } catch (thrown) {
      const error = redactError(thrown, secretValues);
      if (!(error instanceof PoolhouseError))
        log.error({ err: error, resource: resource.key }, 'a resource could not be deployed');
      await write(record, resource.key, {
        status: 'failed',
        error_json: JSON.stringify(errorBodyOf(error)),
        ended_at: clock.now(),
      });
    }
    world.changed();
  }

  /**
   * Evaluates, asking for what is missing until nothing is. What turns out to be secret is added to `secrets`: what
   * `list*` gave, and outputs that another deployment hides.
   */
  async function resolve(evaluate: (runtime: Runtime) => JsonObject, secrets: string[]): Promise<JsonObject> {
    const known = new Map<string, Json>();
    const nameOf = (need: RuntimeNeed) => `${need.kind.toLowerCase()} ${need.full} ${keyOf(need.id)}`;
    for (let round = 0; round < mostRounds; round += 1) {
      try {
        return evaluate((need) => {
          const value = known.get(nameOf(need));
          if (value === undefined) throw new NeedsRuntime(need);
          return value;
        });
      } catch (error) {
        if (!(error instanceof NeedsRuntime)) throw error;
        known.set(nameOf(error.need), await answer(error.need, secrets));
      }
    }
    throw new PoolhouseError(
      'InvalidTemplate',
      `A resource of the template asks for more than ${mostRounds} other resources.`,
    );
  }

  async function answer(need: RuntimeNeed, secrets: string[]): Promise<Json> {
    const id = need.id as ResourceId; // checked where it is parsed
    if (need.kind.toLowerCase() !== 'reference') {
      const listed = (await service.act(id, need.kind, {})).body ?? {};
      secrets.push(...longStrings(listed));
      return listed;
    }
    const shown = await service.get(id);
    const document = await revealIn(shown, async (text) => {
      // Only a deployment's outputs are meant to be handed on.
      if (!isDeployment(id)) return text;
      const revealed = await world.secrets.reveal(store.db, keyOf(id), text);
      secrets.push(...secretsBetween(text, revealed));
      return revealed;
    });
    return need.full ? document : (document['properties'] ?? {});
  }

  async function write(record: ResourceRecord, key: string, change: Partial<DeploymentStepRow>): Promise<void> {
    await store.db
      .updateTable('deployment_steps')
      .set(change)
      .where('deployment_key', '=', record.key)
      .where('resource_key', '=', key)
      .execute();
  }

  async function finish(
    record: ResourceRecord,
    plan: DeploymentPlan,
    outcome: 'succeeded' | 'failed' | 'canceled',
  ): Promise<void> {
    if (outcome === 'succeeded' && modeOf(record) === 'Complete' && !(await removeOthers(record, plan))) return;
    let error: ErrorBody | undefined;
    let outputs: JsonObject = {};
    const secretValues = [...plan.secretValues];
    if (outcome === 'failed') error = await failureOf(record);
    if (outcome === 'canceled') error = { code: 'DeploymentCanceled', message: `The deployment was cancelled.` };
    if (outcome === 'succeeded') {
      try {
        outputs = await resolve((runtime) => plan.resolveOutputs(runtime), secretValues);
      } catch (thrown) {
        error = errorBodyOf(redactError(thrown, secretValues));
      }
    }
    const state = outcome === 'canceled' ? 'Canceled' : error === undefined ? 'Succeeded' : 'Failed';
    const ended = endedOperations(world);
    await store.transaction(async (tx) => {
      const current = await findResource(tx, record.id);
      if (current?.generation !== record.generation) return;
      const now = clock.now();
      const found: JsonObject = {
        ...(await hideIn({ outputs }, secretValues, (value) => world.secrets.hide(tx, record.key, value, now))),
        outputResources: plan.resources.map((resource) => ({ id: resource.id })),
        duration: duration(now - current.changedAt),
        timestamp: new Date(now).toISOString(),
      };
      await saveResource(tx, { ...current, found, provisioningState: state, error });
      for (const operation of await openOperations(tx, record.key)) {
        await endOperation(tx, operation.id, { status: state, ...(error === undefined ? {} : { error }), at: now });
        ended.note(record, operation, state, now);
      }
    });
    ended.tell();
    plans.delete(record.key);
    const fields = { deployment: record.key, state, ...(error === undefined ? {} : { code: error.code }) };
    if (state === 'Failed') log.warn(fields, 'deployment failed');
    else log.info(fields, `deployment ${state.toLowerCase()}`);
    world.changed();
  }

  /** Complete mode: what the template does not name goes. True when all of it is gone. */
  async function removeOthers(record: ResourceRecord, plan: DeploymentPlan): Promise<boolean> {
    const kept = new Set<string>(plan.resources.map((resource) => resource.key));
    const others = (await findResources(store.db, { groupKey: record.groupKey })).filter(
      (one) =>
        one.parentKey === '' &&
        one.key !== record.groupKey &&
        one.typeKey !== 'microsoft.resources/deployments' &&
        !kept.has(one.key),
    );
    for (const other of others) {
      if (other.deletingSince !== undefined) continue;
      await service.remove(other.id).catch((error: unknown) => {
        // Another one that goes too may still need it: the next pass tries again.
        if (!(error instanceof PoolhouseError)) throw error;
      });
    }
    return others.length === 0;
  }

  async function failureOf(record: ResourceRecord): Promise<ErrorBody> {
    const rows = await store.db
      .selectFrom('deployment_steps')
      .selectAll()
      .where('deployment_key', '=', record.key)
      .where('status', '=', 'failed')
      .orderBy('position')
      .execute();
    const details = rows.map((row): ErrorBody => {
      const error = JSON.parse(row.error_json ?? '{"code":"Conflict","message":""}') as ErrorBody;
      return { ...error, target: error.target ?? row.resource_id };
    });
    return {
      code: 'DeploymentFailed',
      message:
        'At least one resource deployment operation failed. Please list deployment operations for details. Please see https://aka.ms/arm-deployment-operations for usage details.',
      details,
    };
  }

  return async function pass(): Promise<number> {
    const running = (await findResources(store.db, { type: 'Microsoft.Resources/deployments' })).filter((record) =>
      ['Accepted', 'Running'].includes(record.provisioningState),
    );
    for (const record of running) {
      try {
        await step(record);
      } catch (error) {
        if (!(error instanceof PoolhouseError)) throw error;
        await fail(record, error);
      }
    }
    return running.length > 0 ? busyDelay : settledDelay;
  };

  /** The plan itself cannot be made any more: its group is gone, say. */
  async function fail(record: ResourceRecord, error: PoolhouseError): Promise<void> {
    log.error({ err: error, deployment: record.key }, 'a deployment cannot go on');
    const ended = endedOperations(world);
    await store.transaction(async (tx) => {
      const current = await findResource(tx, record.id);
      if (current === undefined) return;
      await saveResource(tx, { ...current, provisioningState: 'Failed', error: error.toBody() });
      for (const operation of await openOperations(tx, record.key)) {
        await endOperation(tx, operation.id, { status: 'Failed', error: error.toBody(), at: clock.now() });
        ended.note(record, operation, 'Failed', clock.now());
      }
    });
    ended.tell();
  }
}

const isDeployment = (id: string) => /\/providers\/microsoft\.resources\/deployments\/[^/]+$/i.test(id);

function modeOf(record: ResourceRecord): 'Incremental' | 'Complete' {
  return objectAt(record.document, 'properties')['mode'] === 'Complete' ? 'Complete' : 'Incremental';
}

/** Values long enough to be keys or tokens. */
function longStrings(value: Json): string[] {
  if (typeof value === 'string') return value.length >= 16 ? [value] : [];
  if (Array.isArray(value)) return value.flatMap(longStrings);
  return isObject(value) ? Object.values(value).flatMap(longStrings) : [];
}
