/**
 * Waking: what is done for people who wait for a machine, and what they are told meanwhile. Pure.
 *
 * A pool that has shrunk to nothing gets one instance when somebody comes; what its operator has switched off stays off.
 */
import type { Power } from './power.ts';

export interface WakeInstance {
  instanceId: number;
  /** As asked for: one that was stopped stays stopped until somebody starts it. */
  asked: 'running' | 'stopped';
  /** As the engine says; absent: not made yet, or lost. */
  power: Power | 'absent';
  /** It drains, or is being removed. */
  leaving: boolean;
  /** Why its last step failed. */
  failure: string | undefined;
}

export interface WakeSnapshot {
  capacity: number;
  /** The operator deallocated the whole scale set. */
  switchedOff: boolean;
  /** The tag `poolhouse-wake` allows it. */
  mayWake: boolean;
  instances: readonly WakeInstance[];
}

export type Wake =
  /** Something is under way already. */
  | { wake: 'coming' }
  | { wake: 'raise'; capacity: number }
  | { wake: 'start'; instanceId: number }
  | { wake: 'never'; because: string };

/** What has to happen so that those who wait get in, where nobody is in rotation. */
export function decideWake(pool: WakeSnapshot): Wake {
  const staying = pool.instances.filter((one) => !one.leaving);
  if (staying.some((one) => one.asked === 'running')) return { wake: 'coming' };
  if (pool.switchedOff) return { wake: 'never', because: 'Its operator has switched this pool off.' };
  if (!pool.mayWake)
    return { wake: 'never', because: 'No machine of this pool runs, and it does not start one by itself.' };
  const stopped = staying[0];
  if (stopped !== undefined) return { wake: 'start', instanceId: stopped.instanceId };
  return pool.capacity === 0 ? { wake: 'raise', capacity: 1 } : { wake: 'coming' };
}

/** One line for who waits, of what is happening. */
export function describeWait(pool: WakeSnapshot, because: 'nobody in rotation' | 'full'): string {
  if (because === 'full') return 'Every machine of this pool is full; you get in when somebody leaves.';
  const wake = decideWake(pool);
  if (wake.wake === 'never') return wake.because;
  const coming = pool.instances.filter((one) => !one.leaving && one.asked === 'running');
  const failing = coming.find((one) => one.failure !== undefined);
  if (coming.length > 0 && coming.every((one) => one.failure !== undefined))
    return `A machine cannot be had at the moment, and is tried again: ${failing?.failure ?? ''}`;
  if (coming.some((one) => one.power === 'running')) return 'A machine has started and is being made ready for you.';
  if (wake.wake === 'start' || coming.some((one) => one.power !== 'absent')) return 'A machine is starting for you.';
  return 'A machine is being made for you.';
}
