/**
 * Standby instances: prepared ones that are not counted, and join when they are wanted. They are filled up in the background,
 * one after the other, once the capacity itself is made; they take no memory that the capacity needs. Pure, a part of `plan`.
 */
import { isPrepared, type InstanceSnapshot, type ScaleSetSnapshot } from './scale-set-snapshot.ts';
import type { Step } from './steps.ts';

/** @param members the instances that the capacity counts  @param waiting those that are standby */
export function planStandby(
  { standby, capacity, imageReady }: ScaleSetSnapshot,
  members: readonly InstanceSnapshot[],
  waiting: readonly InstanceSnapshot[],
): Step[] {
  if (members.length < capacity) return []; // they join just now
  const wanted = Math.min(standby.count, standby.room);
  const stale = (one: InstanceSnapshot) => one.behind !== 'nothing' || one.state.standby?.as !== standby.as;
  const current = waiting.filter((one) => !stale(one)).toSorted(byProgress);
  const surplus = [...waiting.filter(stale), ...current.slice(wanted)];
  if (surplus.length > 0)
    return surplus
      .filter((one) => !one.busy)
      .map(({ instanceId }): Step => ({ step: 'remove', instanceId, reason: 'it is no longer wanted as a standby' }));
  const isMaking = [...members, ...current].some(
    (one) => one.power === 'absent' || (!isPrepared(one) && !hasFailed(one)),
  );
  if (current.length >= wanted || isMaking || !imageReady) return [];
  return [{ step: 'allocate', count: 1, standby: standby.as }];
}

/** A script of it has failed: it is not being made any more. */
const hasFailed = ({ state }: InstanceSnapshot) =>
  Object.values(state.extensions).some(({ status }) => status === 'failed');

/** Those that are ready come first, then the older ones. */
function byProgress(a: InstanceSnapshot, b: InstanceSnapshot): number {
  const rank = (one: InstanceSnapshot) => (one.power === one.state.standby?.as ? 0 : 1);
  return rank(a) - rank(b) || a.instanceId - b.instanceId;
}
