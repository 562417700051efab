/**
 * Executors of the steps that change what becomes of an instance that is there: whether it joins, drains, starts again, is made
 * anew or goes. Each can be cut off anywhere and carried out again.
 */
import type { Transaction } from 'kysely';
import type { ResourceKey } from '../core/resource-id.ts';
import { beginDraining, drainCause, isLeaving, type InstanceState } from '../pool/instance-state.ts';
import type { Executors } from '../pool/steps.ts';
import {
  eraseInstance,
  findInstances,
  forgetMountGrants,
  setInstanceModel,
  type InstanceRecord,
} from '../store/instance-records.ts';
import { objectAt } from '../providers/read-body.ts';
import { findResource, saveResource, type ResourceRecord } from '../store/resource-records.ts';
import type { Tables } from '../store/schema.ts';
import type { InstanceDoors } from './instance-doors.ts';
import { rescueFiles } from './rescue.ts';
import type { World } from './world.ts';

export type LifeStepName =
  'join' | 'drain' | 'undrain' | 'restart' | 'upgrade' | 'rescue' | 'remake' | 'evict' | 'remove';

export interface LifeStepParts {
  world: World;
  doors: InstanceDoors;
  subject: (key: ResourceKey, instanceId: number) => Promise<{ instance: InstanceRecord; set: ResourceRecord }>;
  change: (
    instance: InstanceRecord,
    how: (state: InstanceState) => InstanceState,
    also?: (tx: Transaction<Tables>) => Promise<void>,
  ) => Promise<void>;
  /** Writes down what new instances of a scale set are made of, and gives its version. */
  latestModel: (tx: Transaction<Tables>, set: ResourceRecord) => Promise<string>;
}

export function lifeSteps(key: ResourceKey, parts: LifeStepParts): Pick<Executors, LifeStepName> {
  const { world, doors, subject, change } = parts;
  const { store, engine, clock } = world;

  return {
    async join({ instanceId }, signal) {
      const { instance } = await subject(key, instanceId);
      await change(instance, ({ standby: _standby, ...state }) => ({ ...state, power: 'running' }));
      world.changed(); // the gateway asks it from now on, and knows sooner than the engine tells that it answers
      // At once, and not with the next pass: somebody waits for it. One that is not made yet is started when it is.
      if (world.live.instance(instance.name)?.power === 'absent') return;
      if (engine.capabilities().real) await doors.open(instance.name);
      await engine.setPower(instance.name, 'running', signal);
    },
    async drain({ instanceId, until, by }) {
      const { instance } = await subject(key, instanceId);
      const since = clock.now();
      await change(instance, (state) => beginDraining(state, { since, by, ...(until === undefined ? {} : { until }) }));
    },
    async undrain({ instanceId }) {
      const { instance } = await subject(key, instanceId);
      await change(instance, ({ draining: _draining, rescuedAt: _rescued, ...state }) => state);
    },
    async restart({ instanceId }, signal) {
      const { instance } = await subject(key, instanceId);
      await engine.setPower(instance.name, 'stopped', signal);
      if (engine.capabilities().real) await doors.open(instance.name);
      await engine.setPower(instance.name, 'running', signal);
      const repairedAt = clock.now();
      await change(instance, ({ restart: _restart, ...before }) => {
        // What drained because it was ill has been repaired by this; what drains otherwise goes on to.
        const { draining: _draining, rescuedAt: _rescued, ...well } = before;
        return { ...(drainCause(before) === 'repair' ? well : before), repairedAt };
      });
    },
    async upgrade({ instanceId }) {
      const { instance, set } = await subject(key, instanceId);
      const upgradedAt = clock.now();
      await change(
        instance,
        ({ upgrade: _upgrade, ...state }) => ({ ...state, upgradedAt }),
        async (tx) => setInstanceModel(tx, instance, await parts.latestModel(tx, set)),
      );
    },
    async rescue({ instanceId }, signal) {
      const { instance } = await subject(key, instanceId);
      await rescueFiles(world, instance, signal);
      const rescuedAt = clock.now();
      // It may have become wanted meanwhile, and people have worked on it since.
      const { draining } = instance.state;
      await change(instance, (state) => (state.draining?.since === draining?.since ? { ...state, rescuedAt } : state));
    },
    async remake({ instanceId, model }, signal) {
      const { instance, set } = await subject(key, instanceId);
      await engine.delete(instance.name, signal);
      const at = clock.now();
      await change(
        instance,
        (state) => ({ ...asNew(state), ...(model === 'latest' ? { upgradedAt: at } : { repairedAt: at }) }),
        async (tx) => {
          await forgetMountGrants(tx, instance);
          if (model === 'latest') await setInstanceModel(tx, instance, await parts.latestModel(tx, set));
        },
      );
    },
    async evict({ instanceId, policy }) {
      const { instance, set } = await subject(key, instanceId);
      if (policy === 'Deallocate')
        return change(instance, ({ draining: _draining, rescuedAt: _rescued, ...state }) => ({
          ...state,
          power: 'stopped',
        }));
      const removal = { since: clock.now(), reason: 'another scale set needs its memory' };
      // Nothing comes back in its place.
      await change(
        instance,
        (state) => ({ ...state, removal: state.removal ?? removal }),
        (tx) => lowerCapacity(tx, set.id),
      );
    },
    async remove({ instanceId, reason }, signal) {
      const { instance } = await subject(key, instanceId);
      const since = clock.now();
      await change(instance, (state) => ({ ...state, removal: state.removal ?? { since, reason } }));
      await engine.delete(instance.name, signal);
      await doors.close(instance.name);
      await store.transaction((tx) => eraseInstance(tx, instance));
    },
  };
}

/** Who drains an instance by hand, or has deleted it, is not overruled by its being made anew. */
const drainingThatStays = ({ draining }: InstanceState) =>
  draining?.by === 'operator' || draining?.by === 'delete' ? { draining } : {};

/** What is left of an instance's state when it has lost its machine: what was asked for, and nothing that was found. */
function asNew(state: InstanceState): InstanceState {
  const { power, protectFromScaleIn, protectFromScaleSetActions, natPorts, zone, standby } = state;
  return {
    ...{ power, protectFromScaleIn, protectFromScaleSetActions, natPorts },
    created: false,
    extensions: {},
    ...(zone === undefined ? {} : { zone }),
    ...(standby === undefined ? {} : { standby }),
    ...drainingThatStays(state),
  };
}

/** After one of them has begun to leave. */
async function lowerCapacity(tx: Transaction<Tables>, id: string): Promise<void> {
  const set = await findResource(tx, id);
  if (set === undefined) return;
  const members = (await findInstances(tx, set.key)).filter(
    ({ state }) => !isLeaving(state) && state.standby === undefined,
  );
  const sku = objectAt(set.document, 'sku');
  // An operator may have asked for fewer already.
  const capacity = Math.min(Number(sku['capacity'] ?? 0), members.length);
  await saveResource(tx, { ...set, document: { ...set.document, sku: { ...sku, capacity } } });
}
