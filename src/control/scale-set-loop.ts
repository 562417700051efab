/**
 * Makes every scale set as it is asked for: reads a snapshot, asks `pool/plan` what has to happen, and carries the
 * steps out. A step runs beside the loop, one at a time for each instance, and wakes the loop when it has ended.
 */
import { errorBodyOf, PoolhouseError } from '../core/errors.ts';
import type { EpochMillis } from '../core/time.ts';
import type { EngineInstance } from '../engines/engine.ts';
import { drainCause, failureOf } from '../pool/instance-state.ts';
import { plan } from '../pool/plan.ts';
import { isEmpty, type ScaleSetSnapshot } from '../pool/scale-set-snapshot.ts';
import type { Step } from '../pool/steps.ts';
import { scaleSetOutcome } from '../pool/scale-set-outcome.ts';
import { eraseResource } from '../providers/erase-resource.ts';
import { scriptsCanceled } from '../providers/compute/scale-sets.ts';
import { readPeople, type People } from '../providers/identity/people.ts';
import { findInstances, updateInstanceState, type InstanceRecord } from '../store/instance-records.ts';
import { endOperation, openOperations } from '../store/operations.ts';
import { findResource, findResources, saveResource, type ResourceRecord } from '../store/resource-records.ts';
import { endedOperations } from './ended-operations.ts';
import { readModel, type InstanceModel } from './instance-model.ts';
import type { Placements } from './placements.ts';
import type { ScaleSetSteps } from './scale-set-steps.ts';
import type { ImageKeeper } from './image-keeper.ts';
import { createTakeSnapshot, roomOf, type Room } from './take-snapshot.ts';
import type { Unclaimed } from './unclaimed.ts';
import type { World } from './world.ts';

const settledDelay = 5_000;
const unsettledDelay = 1_000;
/** A step that fails is tried again after 1, 2, 4 … seconds. */
const longestRetry = 60_000;

/** Why a script is not begun, or is ended: its executor writes this down. */
const canceled = new PoolhouseError(
  'Canceled',
  'the deployment was cancelled, and the script with it. Deploy again to run it.',
);

/** Steps that run programs inside the instance. */
const isInside = (step: Step['step']) => step === 'provision' || step === 'runExtension';

interface UnderWay {
  step: Step['step'];
  stop: AbortController;
}

export interface ScaleSetLoop {
  pass(signal: AbortSignal): Promise<number>;
  /** Waits until no step is under way; for an orderly end. */
  idle(): Promise<void>;
}

export function createScaleSetLoop(
  world: World,
  steps: ScaleSetSteps,
  images: ImageKeeper,
  unclaimed: Unclaimed,
  placements: Pick<Placements, 'usersOn' | 'activeUsersOn'>,
): ScaleSetLoop {
  const { store, engine, clock, log } = world;
  const takeSnapshot = createTakeSnapshot(world, placements);
  const underWay = new Map<string, UnderWay>();
  const running = new Set<Promise<void>>();
  const slotOf = (key: string, instanceId: number) => `${key}\n${instanceId}`;

  async function pass(signal: AbortSignal): Promise<number> {
    const found = await engine.list(signal);
    world.live.setEngine(found);
    const byName = new Map(found.map((instance) => [instance.name, instance]));
    const records = await findResources(store.db, { type: 'Microsoft.Compute/virtualMachineScaleSets' });
    const waiting = await unclaimed.settle(records, found, signal);
    const people = await readPeople(store.db);
    const instances = Map.groupBy(await findInstances(store.db), (one) => one.scaleSetKey);
    const rooms = roomOf(records, instances, engine.capabilities().memoryBytes);
    let settled = waiting.size === 0;
    for (const record of records) {
      if (waiting.has(record.key)) continue;
      const view = { byName, people, room: rooms.get(record.key) ?? { standbyRoom: 0, evictions: 0 } };
      if (!(await passOne(record, view, signal))) settled = false;
    }
    return settled ? settledDelay : unsettledDelay;
  }

  /** True when nothing is left to do for this scale set. */
  async function passOne(
    record: ResourceRecord,
    { byName, people, room }: { byName: ReadonlyMap<string, EngineInstance>; people: People; room: Room },
    signal: AbortSignal,
  ): Promise<boolean> {
    const instances = await findInstances(store.db, record.key);
    const now = clock.now();
    const snapshot = takeSnapshot(
      {
        record,
        instances,
        models: await modelsOf(record, instances),
        engine: byName,
        people,
        image: images.state(steps.imageOf(record)),
        ...room,
        isUnderWay: (instanceId) => underWay.has(slotOf(record.key, instanceId)),
      },
      now,
    );
    stopWhatIsUnwanted(record, snapshot);

    const planned = plan(snapshot, now);
    for (const step of planned) {
      if (step.step === 'prepareImage') images.prepare(steps.imageOf(record));
      else if (step.step === 'allocate') await steps.allocate(record, step);
      // Only written down, and whatever else is under way.
      else if (step.step === 'drain' || step.step === 'undrain' || isBusyJoin(record, step))
        await carryOut(record, step, signal);
      else begin(record, step, signal);
    }
    if (planned.some(({ step }) => step === 'drain' || step === 'undrain')) world.changed();
    if (record.deletingSince !== undefined) {
      if (instances.length === 0) await erase(record);
      return false;
    }
    if (planned.length > 0) return false;
    return conclude(record, snapshot, now);
  }

  /** A standby that is being prepared joins, and its preparation goes on. */
  const isBusyJoin = (record: ResourceRecord, step: Step) =>
    step.step === 'join' && underWay.has(slotOf(record.key, step.instanceId));

  async function modelsOf(
    record: ResourceRecord,
    instances: readonly InstanceRecord[],
  ): Promise<Map<string, InstanceModel>> {
    const versions = new Set(instances.map((instance) => instance.modelVersion));
    const models = new Map<string, InstanceModel>();
    for (const version of versions) {
      const model = await readModel(world, record.key, version);
      if (model !== undefined) models.set(version, model);
    }
    return models;
  }

  /**
   * A removal does not wait for a script that runs on and on; nor does who cancelled the deployment. In a frozen instance
   * nothing runs on at all: what is under way there is begun again once it runs.
   */
  function stopWhatIsUnwanted(record: ResourceRecord, snapshot: ScaleSetSnapshot): void {
    for (const instance of snapshot.instances) {
      const current = underWay.get(slotOf(record.key, instance.instanceId));
      if (current === undefined || current.step === 'remove') continue;
      const { state } = instance;
      const isUnwanted = drainCause(state) === 'scale-in' && isEmpty(instance) && current.step !== 'rescue';
      if (snapshot.deleting || state.removal !== undefined || isUnwanted)
        current.stop.abort(new Error('the instance is being removed'));
      if (state.remake !== undefined && current.step !== 'remake')
        current.stop.abort(new Error('the instance is being made anew'));
      if (isInside(current.step) && instance.power === 'frozen')
        current.stop.abort(new Error('the instance is frozen: nothing runs in it'));
      if (current.step === 'runExtension' && scriptsCanceled(record)) current.stop.abort(canceled);
    }
  }

  function begin(
    record: ResourceRecord,
    step: Exclude<Step, { step: 'prepareImage' | 'allocate' }>,
    signal: AbortSignal,
  ): void {
    const slot = slotOf(record.key, step.instanceId);
    const stop = new AbortController();
    if (step.step === 'runExtension' && scriptsCanceled(record)) stop.abort(canceled);
    underWay.set(slot, { step: step.step, stop });
    const work = carryOut(record, step, AbortSignal.any([signal, stop.signal])).finally(() => {
      if (underWay.get(slot)?.stop === stop) underWay.delete(slot);
      running.delete(work);
      world.changed();
    });
    running.add(work);
  }

  async function carryOut(
    { key, generation }: ResourceRecord,
    step: Exclude<Step, { step: 'prepareImage' | 'allocate' }>,
    signal: AbortSignal,
  ): Promise<void> {
    const started = clock.now();
    const { instanceId } = step;
    const about = { scaleSet: key, instance: instanceId, step: step.step };
    try {
      await steps.execute(key, step, signal);
      await store.transaction((tx) =>
        updateInstanceState(tx, { scaleSetKey: key, instanceId }, ({ failure: _ended, ...state }) => state),
      );
      log.info(
        { ...about, milliseconds: clock.now() - started, ...('reason' in step ? { reason: step.reason } : {}) },
        `${step.step} done`,
      );
    } catch (error) {
      if (signal.aborted) return;
      const body = errorBodyOf(error);
      log.error({ ...about, err: error }, `${step.step} failed: ${body.message}`);
      await store
        .transaction((tx) =>
          updateInstanceState(tx, { scaleSetKey: key, instanceId }, (state) => {
            const before = failureOf(state, generation);
            const attempts = (before?.step === step.step ? before.attempts : 0) + 1;
            const retryAt = clock.now() + Math.min(longestRetry, 1_000 * 2 ** (attempts - 1));
            const hopeless = error instanceof PoolhouseError && !error.retryable && error.code === 'AllocationFailed';
            return {
              ...state,
              failure: {
                step: step.step,
                code: body.code,
                message: body.message,
                since: before?.since ?? clock.now(),
                attempts: hopeless ? 99 : attempts,
                retryAt,
                generation,
              },
            };
          }),
        )
        .catch((failure: unknown) => {
          log.error({ ...about, err: failure }, 'the failure could not be written down');
        });
    }
  }

  async function erase(record: ResourceRecord): Promise<void> {
    const ended = endedOperations(world);
    await store.transaction(async (tx) => {
      for (const operation of await openOperations(tx, record.key)) {
        const status = operation.action === 'put' ? 'Canceled' : 'Succeeded';
        await endOperation(tx, operation.id, { status, at: clock.now() });
        ended.note(record, operation, status, clock.now());
      }
      await eraseResource(tx, record, world.registry, steps.typeContext(tx));
    });
    ended.tell();
    log.info({ scaleSet: record.key }, 'scale set removed');
    world.changed();
  }

  /** Writes down how the scale set's operations ended, once they have. */
  async function conclude(record: ResourceRecord, snapshot: ScaleSetSnapshot, now: EpochMillis): Promise<boolean> {
    const outcome = scaleSetOutcome(snapshot, images.state(steps.imageOf(record)).failure, now);
    if (outcome.outcome === 'updating') return false;
    const open = await openOperations(store.db, record.key);
    const state = outcome.outcome === 'succeeded' ? 'Succeeded' : 'Failed';
    if (open.length === 0 && record.provisioningState === state) return outcome.outcome === 'succeeded';
    const ended = endedOperations(world);
    await store.transaction(async (tx) => {
      const current = await findResource(tx, record.id);
      // A PUT in the meantime asked for something else: the next pass looks again.
      if (current?.generation !== record.generation || current.changedAt !== record.changedAt) return;
      const error =
        outcome.outcome === 'failed'
          ? {
              code: outcome.code,
              message: outcome.message,
              ...(outcome.target === undefined ? {} : { target: outcome.target }),
            }
          : undefined;
      await saveResource(tx, { ...current, provisioningState: state, error });
      for (const operation of open) {
        await endOperation(tx, operation.id, {
          status: state,
          ...(error === undefined ? {} : { error }),
          at: clock.now(),
        });
        ended.note(record, operation, state, clock.now());
      }
    });
    ended.tell();
    if (outcome.outcome === 'failed') log.warn({ scaleSet: record.key, code: outcome.code }, 'scale set failed');
    else log.info({ scaleSet: record.key }, 'scale set succeeded');
    world.changed();
    return true;
  }

  return {
    pass,
    idle: async () => {
      await Promise.allSettled(running);
    },
  };
}
