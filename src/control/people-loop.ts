/**
 * Brings people and pools together: tells placements what the pools offer and who is where, tells people what becomes of their
 * machine, wakes a pool that people wait for, and gives a pool that was woken back to its operator's capacity when nobody has
 * been there for a while, where no autoscale setting sees to it.
 */
import { PoolhouseError } from '../core/errors.ts';
import type { EpochMillis } from '../core/time.ts';
import type { Session } from '../link/people.ts';
import { drainCause, failureOf } from '../pool/instance-state.ts';
import { decideWake, describeWait, type WakeSnapshot } from '../pool/wake.ts';
import { readPoolTags } from '../providers/compute/pool-tags.ts';
import { readScaleSet } from '../providers/compute/scale-set-model.ts';
import { switchedOff } from '../providers/compute/scale-sets.ts';
import { findAutoscaled } from '../providers/insights/autoscale-settings.ts';
import { findInstances, type InstanceRecord } from '../store/instance-records.ts';
import { findResources, type ResourceRecord } from '../store/resource-records.ts';
import type { Presence } from './bindings.ts';
import { createAskKernels } from './ask-kernels.ts';
import { createKernelWatch } from './kernel-watch.ts';
import type { Leases } from './leases.ts';
import type { Placements, PoolSeats } from './placements.ts';
import type { SessionOrders } from './session-orders.ts';
import { automaticChange, forgetAutomaticChange, scaleAutomatically } from './scale-automatically.ts';
import { createDrainTeller } from './tell-of-draining.ts';
import { createPresenceWatch } from './watch-presences.ts';
import type { World } from './world.ts';

const settledDelay = 2_000;
const waitingDelay = 500;
/** A wake that was refused (no memory left, say) is tried again after this. */
const retryDelay = 10_000;

interface Refusal {
  message: string;
  retryAt: EpochMillis;
}

/** A standby instance is none that people could be sent to: it has to join first. */
const isCounted = ({ state }: InstanceRecord) => state.standby === undefined;

export interface PeopleLoopParts {
  world: World;
  placements: Placements;
  orders: SessionOrders;
  leases: Pick<Leases, 'current'>;
  /** Who has something running where. */
  presences: () => Promise<readonly Presence[]>;
}

export function createPeopleLoop({ world, placements, orders, leases, presences }: PeopleLoopParts) {
  const { store, service, live, reports, clock, log } = world;
  const refusals = new Map<string, Refusal>();
  const tellOfDraining = createDrainTeller(orders);
  const watch = createPresenceWatch({
    clock,
    sessions: () => reports.sessions(),
    look: presences,
    onError: (error) => {
      log.error({ err: error }, 'what people have running could not be looked at: what was seen last counts');
    },
  });
  const kernels = createKernelWatch({
    ask: createAskKernels(world),
    onError: (instance, error) => {
      log.warn({ err: error, instance }, 'nobody could say whose kernels are busy: it is asked again');
    },
  });
  /** When somebody was last seen in a pool that was woken. */
  const busyAt = new Map<string, EpochMillis>();

  function snapshotOf(set: ResourceRecord, instances: readonly InstanceRecord[]): WakeSnapshot {
    return {
      capacity: readScaleSet(set.document).capacity,
      switchedOff: switchedOff(set),
      mayWake: readPoolTags(set.document).mayWake,
      instances: instances.filter(isCounted).map(({ instanceId, name, state }) => ({
        instanceId,
        asked: state.power,
        power: live.instance(name)?.power ?? 'absent',
        leaving: state.draining !== undefined || state.removal !== undefined,
        failure: failureOf(state, set.generation)?.message,
      })),
    };
  }

  function seatsOf(set: ResourceRecord, instances: readonly InstanceRecord[]): PoolSeats {
    const snapshot = snapshotOf(set, instances);
    const refusal = refusals.get(set.key);
    const tags = readPoolTags(set.document);
    return {
      policy: tags.placement,
      idleMilliseconds: tags.idleMilliseconds,
      instances: instances.map(({ name, state }) => ({
        instance: name,
        // What answers its probes runs, also where the engine has not said so yet.
        reachable:
          (live.instance(name)?.power === 'running' || live.rotation(name).inRotation) &&
          state.power === 'running' &&
          state.removal === undefined,
        inRotation: live.rotation(name).inRotation && state.power === 'running',
      })),
      describe: (because) => ({
        message:
          refusal === undefined
            ? describeWait(snapshot, because)
            : `A machine cannot be had at the moment, and is tried again: ${refusal.message}`,
        never: because === 'nobody in rotation' && decideWake(snapshot).wake === 'never',
      }),
    };
  }

  async function wake(set: ResourceRecord, instances: readonly InstanceRecord[]): Promise<void> {
    if (instances.some(({ name, state }) => live.rotation(name).inRotation && state.power === 'running')) return; // full, not asleep
    if ((refusals.get(set.key)?.retryAt ?? 0) > clock.now()) return;
    const decision = decideWake(snapshotOf(set, instances));
    try {
      if (decision.wake === 'start') await service.act(set.id, 'start', { instanceIds: [String(decision.instanceId)] });
      else if (decision.wake === 'raise') await raise(set, decision.capacity);
      else return;
      refusals.delete(set.key);
      log.info({ pool: set.key, ...decision }, 'somebody came to a pool without a machine: it wakes');
    } catch (error) {
      if (!(error instanceof PoolhouseError)) throw error;
      refusals.set(set.key, { message: error.message, retryAt: clock.now() + retryDelay });
      log.warn({ pool: set.key, code: error.code }, `a pool that people wait for cannot wake: ${error.message}`);
    }
  }

  async function raise(set: ResourceRecord, capacity: number): Promise<void> {
    if (await scaleAutomatically(world, set, capacity, 'wake')) busyAt.set(set.key, clock.now());
  }

  /**
   * A pool that was woken, where nobody has been for a while, is given back to its operator's capacity; unless autoscale
   * sees to it.
   */
  async function giveBack(set: ResourceRecord, isBusy: boolean, isAutoscaled: boolean): Promise<void> {
    await forgetAutomaticChange(world, set);
    const woken = automaticChange(set);
    if (isAutoscaled || woken?.by !== 'wake' || woken.to === woken.operators) {
      busyAt.delete(set.key);
      return;
    }
    const now = clock.now();
    const seenAt = busyAt.get(set.key) ?? now;
    busyAt.set(set.key, isBusy ? now : seenAt);
    if (isBusy || now - seenAt < readPoolTags(set.document).wokenMilliseconds) return;
    if (!(await scaleAutomatically(world, set, woken.operators, 'wake'))) return;
    log.info(
      { pool: set.key, capacity: woken.operators },
      'nobody has been there for a while: the capacity is as it was',
    );
  }

  /** Who is idle on an instance that drains for that is told how to keep it. An operator's own drain goes before leases. */
  function mayKeepOf(
    sets: readonly ResourceRecord[],
    states: ReadonlyMap<string, InstanceRecord['state']>,
  ): (session: Session) => boolean {
    const automatic = new Set<string>(sets.flatMap((set) => (automaticChange(set) === undefined ? [] : [set.key])));
    return ({ pool, user, instance }) => {
      if (!automatic.has(pool) || drainCause(states.get(instance) ?? {}) !== 'scale-in') return false;
      const here = [...placements.on(instance)].find((one) => one.pool === pool && one.user === user);
      return here !== undefined && !placements.isActive(here);
    };
  }

  /** Of sessions alone the gateways know whether they do something; a kernel is a program. */
  function* peopleWithPrograms(instances: readonly InstanceRecord[], sets: readonly ResourceRecord[]) {
    const idle = new Map(sets.map((set) => [set.key, readPoolTags(set.document).idleMilliseconds]));
    for (const { name, scaleSetKey } of instances)
      for (const { user, activeAt, kept, runs } of placements.on(name))
        if (!kept && runs.kernels > 0)
          yield { instance: name, user, activeAt, idleMilliseconds: idle.get(scaleSetKey) };
  }

  return async function pass(): Promise<number> {
    orders.forget();
    const seen = await watch();
    const sets = await findResources(store.db, { type: 'Microsoft.Compute/virtualMachineScaleSets' });
    const living = sets.filter((set) => set.deletingSince === undefined);
    const everywhere = await findInstances(store.db);
    const kept = await leases.current(new Set(everywhere.map(({ name }) => name)));
    placements.setSeen({ ...seen, presences: [...kernels.mark(seen.presences), ...kept] });
    live.setActive(
      new Set(everywhere.flatMap(({ name }) => ((placements.activeUsersOn(name) ?? 0) > 0 ? [name] : []))),
    );
    const instances = Map.groupBy(everywhere, (one) => one.scaleSetKey);
    const states = new Map(everywhere.map(({ name, state }) => [name, state]));
    const nextNotice = tellOfDraining(seen.sessions, states, clock.now(), mayKeepOf(living, states));
    placements.setPools(new Map(living.map((set) => [set.key, seatsOf(set, instances.get(set.key) ?? [])])));
    kernels.look(peopleWithPrograms(everywhere, living), clock.now());
    // Who is idle keeps no pool awake: they are told when its machine is to go.
    const active = [...placements.bindings()].filter((binding) => placements.isActive(binding));
    const busy = new Set(active.map((binding) => binding.pool));
    const autoscaled = await findAutoscaled(store.db);
    let isWaiting = false;
    for (const set of living) {
      const waiting = placements.waiting(set.key);
      if (waiting > 0) await wake(set, instances.get(set.key) ?? []);
      await giveBack(set, waiting > 0 || busy.has(set.key), autoscaled.has(set.key));
      isWaiting ||= waiting > 0;
    }
    return Math.min(isWaiting ? waitingDelay : settledDelay, nextNotice);
  };
}
