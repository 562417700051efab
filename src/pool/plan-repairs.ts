/**
 * Automatic repairs: an instance whose probes have failed for the grace period is replaced, made anew or restarted, a few at a
 * time. Who is on it has the time of a drain. Pure, a part of `plan`.
 * https://learn.microsoft.com/azure/virtual-machine-scale-sets/virtual-machine-scale-sets-automatic-instance-repairs
 */
import type { EpochMillis } from '../core/time.ts';
import { drainCause } from './instance-state.ts';
import { isEmpty, preparedAt, type InstanceSnapshot, type ScaleSetSnapshot } from './scale-set-snapshot.ts';
import type { Step } from './steps.ts';

/** Repairs at a time, of all instances, in percent; one at least. */
const atATime = 5;

/** One whose files cannot be rescued waits, and holds no other up. */
const isUnderWay = ({ state }: InstanceSnapshot) => state.failure?.step !== 'rescue';

/** @param members the instances that the capacity counts */
export function planRepairs(
  { repairs, drainMilliseconds }: ScaleSetSnapshot,
  members: readonly InstanceSnapshot[],
  now: EpochMillis,
): Step[] {
  const underRepair = members.filter(({ state }) => drainCause(state) === 'repair');
  const well = underRepair
    .filter(({ unhealthySince, busy }) => !busy && (repairs === undefined || unhealthySince === undefined))
    .map(({ instanceId }): Step => ({ step: 'undrain', instanceId }));
  if (repairs === undefined) return well;
  const { action, graceMilliseconds } = repairs;
  const isIll = ({ state, unhealthySince, busy }: InstanceSnapshot) => {
    const since = Math.max(unhealthySince ?? now, preparedAt({ state }), state.repairedAt ?? 0);
    const isLeft = state.draining === undefined && state.remake === undefined && state.restart === undefined;
    const isWaiting = busy || now < (state.failure?.retryAt ?? 0);
    return !isWaiting && isLeft && unhealthySince !== undefined && now - since >= graceMilliseconds;
  };
  const room = Math.max(1, Math.floor((members.length * atATime) / 100)) - underRepair.filter(isUnderWay).length;
  const chosen = members.filter(isIll).slice(0, Math.max(0, room));
  return [
    ...well,
    ...chosen.map((instance): Step => {
      const { instanceId } = instance;
      // Nothing is lost by a restart but what runs, and nobody gets in to it anyway.
      if (action === 'Restart' && isEmpty(instance))
        return { step: 'restart', instanceId, reason: 'its probes or its mounts fail: it is repaired' };
      return { step: 'drain', instanceId, until: now + drainMilliseconds, by: 'repair' };
    }),
  ];
}
