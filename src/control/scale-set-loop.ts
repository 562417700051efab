/**
 * Makes every scale set as it is asked for: reads a snapshot, asks `pool/plan` what has to happen, and carries the
 * steps out. A step runs beside the loop, one at a time for each instance, and wakes the loop when it has ended.
 */
import { errorBodyOf, PoolhouseError } from '../core/errors.ts';
import type { EpochMillis } from '../core/time.ts';
import type { EngineInstance } from '../engines/engine.ts';
import { poolAccounts } from '../identity/render-accounts.ts';
import { failureOf } from '../pool/instance-state.ts';
import { plan, type InstanceSnapshot, type ScaleSetSnapshot, type Step } from '../pool/plan.ts';
import { scaleSetOutcome } from '../pool/scale-set-outcome.ts';
import { eraseResource } from '../providers/erase-resource.ts';
import { peopleDigest } from './provision-document.ts';
import { readPoolTags } from '../providers/compute/pool-tags.ts';
import { readScaleSet, type ScaleSetModel } from '../providers/compute/scale-set-model.ts';
import { scriptsCanceled } from '../providers/compute/scale-sets.ts';
import { readPeople, type People } from '../providers/identity/people.ts';
import { poolNameOf } from '../providers/identity/pool-names.ts';
import { findInstances, updateInstanceState, type InstanceRecord } from '../store/instance-records.ts';
import { endOperation, openOperations } from '../store/operations.ts';
import { findResource, findResources, saveResource, type ResourceRecord } from '../store/resource-records.ts';
import { endedOperations } from './ended-operations.ts';
import { readModel, type InstanceModel } from './instance-model.ts';
import type { Placements } from './placements.ts';
import type { ScaleSetSteps } from './scale-set-steps.ts';
import type { ImageKeeper } from './image-keeper.ts';
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

/** One whose making was cut off is as good as none: it is made again. */
const powerOf = (found: EngineInstance | undefined) => (found?.made === true ? found.power : 'absent');

/** Steps that run programs inside the instance. */
const isInside = (step: Step['step']) => step === 'provision' || step === 'runExtension';

interface UnderWay {
  step: Step['step'];
  /** Of a removal. */
  reason?: string;
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
  placements: Pick<Placements, 'usersOn'>,
): ScaleSetLoop {
  const { store, engine, clock, log } = world;
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
    let settled = waiting.size === 0;
    for (const record of records) {
      if (waiting.has(record.key)) continue;
      if (!(await passOne(record, byName, people, signal))) settled = false;
    }
    return settled ? settledDelay : unsettledDelay;
  }

  /** True when nothing is left to do for this scale set. */
  async function passOne(
    record: ResourceRecord,
    byName: ReadonlyMap<string, EngineInstance>,
    people: People,
    signal: AbortSignal,
  ): Promise<boolean> {
    const asked = readScaleSet(record.document);
    const instances = await findInstances(store.db, record.key);
    const models = await modelsOf(record, instances);
    const snapshot = takeSnapshot(record, asked, instances, models, byName, people);
    const now = clock.now();
    stopWhatIsUnwanted(record, snapshot);

    const planned = plan(snapshot, now);
    for (const step of planned) {
      if (step.step === 'prepareImage') images.prepare(steps.imageOf(record));
      else if (step.step === 'allocate') await steps.allocate(record, step);
      else begin(record, step, signal);
    }
    if (record.deletingSince !== undefined) {
      if (instances.length === 0) await erase(record);
      return false;
    }
    if (planned.length > 0) return false;
    return conclude(record, snapshot, now);
  }

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

  function takeSnapshot(
    record: ResourceRecord,
    asked: ScaleSetModel,
    instances: readonly InstanceRecord[],
    models: ReadonlyMap<string, InstanceModel>,
    byName: ReadonlyMap<string, EngineInstance>,
    { users, groups }: People,
  ): ScaleSetSnapshot {
    const image = images.state(steps.imageOf(record));
    const isKnown = world.reports.isComplete(clock.now());
    const tags = readPoolTags(record.document);
    const people = peopleDigest(poolAccounts(users, groups, poolNameOf(record.id)), tags.signIn);
    return {
      capacity: asked.capacity,
      generation: record.generation,
      deleting: record.deletingSince !== undefined,
      drainMilliseconds: tags.drainMilliseconds,
      scaleInRule: asked.scaleInRule,
      imageReady: image.ready,
      imageBusy: image.busy,
      imageRetryAt: image.retryAt,
      instances: instances.map((instance): InstanceSnapshot => {
        const model = models.get(instance.modelVersion);
        return {
          instanceId: instance.instanceId,
          state: instance.state,
          power: powerOf(byName.get(instance.name)),
          provision: model?.provisionDigest ?? '',
          people,
          extensions: model?.extensions ?? [],
          connections: world.reports.connections(instance.name),
          users: isKnown ? placements.usersOn(instance.name) : undefined,
          busy: underWay.has(slotOf(record.key, instance.instanceId)),
        };
      }),
    };
  }

  /**
   * A removal does not wait for a script that runs on and on; nor does who cancelled the deployment. In a frozen instance
   * nothing runs on at all: what is under way there is begun again once it runs.
   */
  function stopWhatIsUnwanted(record: ResourceRecord, snapshot: ScaleSetSnapshot): void {
    for (const instance of snapshot.instances) {
      const current = underWay.get(slotOf(record.key, instance.instanceId));
      if (current === undefined) continue;
      if (current.step === 'remove') {
        // While it still rescues what people have there, somebody has deleted it by its id: that is done at once.
        const { removal } = instance.state;
        if (removal !== undefined && removal.reason !== current.reason)
          current.stop.abort(new Error('the instance was deleted by its id'));
        continue;
      }
      if (snapshot.deleting || instance.state.removal !== undefined)
        current.stop.abort(new Error('the instance is being removed'));
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
    underWay.set(slot, { step: step.step, stop, ...(step.step === 'remove' ? { reason: step.reason } : {}) });
    const work = carryOut(record, step, AbortSignal.any([signal, stop.signal])).finally(() => {
      underWay.delete(slot);
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
    const names = new Map(
      (await findInstances(store.db, record.key)).map((instance) => [instance.instanceId, instance.name]),
    );
    const image = images.state(steps.imageOf(record));
    const outcome = scaleSetOutcome(
      snapshot,
      (instanceId) => !engine.capabilities().real || world.live.rotation(names.get(instanceId) ?? '').inRotation,
      image.failure,
      now,
    );
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
