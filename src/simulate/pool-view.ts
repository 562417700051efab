/** The pool of a replay as each decision looks at it: control reads the same out of its store, engine and gateways. */
import type { PeopleSnapshot } from '../pool/measure-people.ts';
import type { Seats } from '../pool/placement.ts';
import { isPrepared, type InstanceSnapshot, type ScaleSetSnapshot } from '../pool/scale-set-snapshot.ts';
import type { WakeInstance } from '../pool/wake.ts';
import type { Crowd } from './crowd.ts';
import { preparation, type Machine } from './machines.ts';

/** Standby instances are counted once they have joined. */
export const isCounted = ({ state }: Machine) => state.standby === undefined;

/** What placement sees of an instance. */
export function seatOf(machine: Machine): Omit<Seats, 'users'> & { draining: boolean } {
  const { name, state, power } = machine;
  const isServing =
    isCounted(machine) && power === 'running' && isPrepared({ state, provision: preparation, extensions: [] });
  const draining = state.draining !== undefined;
  const reachable = isServing && state.removal === undefined;
  return { instance: name, reachable, inRotation: reachable && !draining, draining };
}

/** What the plan sees. */
export function scaleSetOf(
  all: readonly Machine[],
  crowd: Crowd,
  asked: Pick<ScaleSetSnapshot, 'capacity' | 'drainMilliseconds'> & Pick<ScaleSetSnapshot['standby'], 'count' | 'as'>,
): ScaleSetSnapshot {
  const { capacity, drainMilliseconds, count, as } = asked;
  return {
    ...{ capacity, automatic: true, generation: 1, deleting: false, drainMilliseconds, noticeMilliseconds: 0 },
    ...{ scaleInRule: 'Default', standby: { count, as, room: count } },
    upgrade: {
      ...{ mode: 'Manual', maxBatchPercent: 20, maxUnhealthyPercent: 20, maxUnhealthyUpgradedPercent: 20 },
      ...{ pauseMilliseconds: 0, canceled: false },
    },
    ...{
      repairs: undefined,
      evictions: 0,
      evictionPolicy: 'Deallocate',
      imageReady: true,
      imageBusy: false,
      imageRetryAt: undefined,
    },
    instances: all.map((machine): InstanceSnapshot => {
      const { instanceId, name, state, power, busy } = machine;
      return {
        ...{ instanceId, state, power, busy, provision: preparation, people: '', extensions: [] },
        ...{ behind: 'nothing', healthy: true, unhealthySince: undefined, inRotation: seatOf(machine).inRotation },
        ...{ connections: crowd.sessionsOn(name), users: crowd.usersOn(name), active: crowd.activeOn(name) },
      };
    }),
  };
}

/** What waking sees. */
export function wakeInstanceOf({ instanceId, state, power }: Machine): WakeInstance {
  const leaving = state.draining !== undefined || state.removal !== undefined;
  return { instanceId, power, asked: state.power, failure: undefined, leaving };
}

/** What metrics of people are measured from. */
export function peopleOf(
  counted: readonly Machine[],
  crowd: Crowd,
  usersPerInstance: number | undefined,
): PeopleSnapshot {
  return {
    instances: counted.map((machine) => {
      const { instance, reachable, inRotation } = seatOf(machine);
      const connected = crowd.connectedOn(instance);
      const sessions = crowd.sessionsOn(instance);
      return { instance, reachable, inRotation, sessions, connected, bound: connected.size };
    }),
    waiting: crowd.waiting(),
    usersPerInstance,
  };
}
