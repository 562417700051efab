/**
 * Evictions from a preemptible scale set: those where nobody is go first, and all are told half a minute before, as Azure does.
 * Pure, a part of `plan`.
 */
import type { EpochMillis } from '../core/time.ts';
import { drainCause } from './instance-state.ts';
import type { InstanceSnapshot, ScaleSetSnapshot } from './scale-set-snapshot.ts';
import type { Step } from './steps.ts';

const noticeMilliseconds = 30_000;

/** @param members the instances that the capacity counts */
export function planEviction(
  { evictions }: ScaleSetSnapshot,
  members: readonly InstanceSnapshot[],
  now: EpochMillis,
): Step[] {
  const running = members.filter(({ state }) => state.power === 'running');
  const going = running.filter(({ state }) => drainCause(state) === 'eviction');
  const rank = ({ users, active }: InstanceSnapshot) => (users === 0 ? 0 : active === 0 ? 1 : 2);
  return (
    running
      // An operator's own drain is theirs to end.
      .filter((one) => !going.includes(one) && drainCause(one.state) !== 'operator')
      .toSorted((a, b) => rank(a) - rank(b) || b.instanceId - a.instanceId)
      .slice(0, Math.max(0, evictions - going.length))
      .map(({ instanceId }) => ({ step: 'drain', instanceId, until: now + noticeMilliseconds, by: 'eviction' }))
  );
}
