/** New instances where there are too few; draining where there are too many. Pure, a part of `plan`. */
import type { EpochMillis } from '../core/time.ts';
import { chooseScaleIn, type ScaleInCandidate } from './choose-scale-in.ts';
import { drainCause } from './instance-state.ts';
import { isEmpty, type InstanceSnapshot, type ScaleSetSnapshot } from './scale-set-snapshot.ts';
import type { Step } from './steps.ts';

/**
 * @param members the instances that the capacity counts
 * @param waiting standby instances, which join before anything is made
 */
export function planCapacity(
  snapshot: ScaleSetSnapshot,
  members: readonly InstanceSnapshot[],
  waiting: readonly InstanceSnapshot[],
  now: EpochMillis,
): Step[] {
  const surplus = members.length - snapshot.capacity;
  const chosen = new Set(
    chooseScaleIn(
      members.map((one) => candidateOf(snapshot, one)),
      surplus,
      snapshot.scaleInRule,
    ),
  );
  const steps: Step[] = [];
  for (const { instanceId, state } of members) {
    const cause = drainCause(state);
    // Those that drain for this are wanted again before others are made.
    if (!chosen.has(instanceId) && cause === 'scale-in') steps.push({ step: 'undrain', instanceId });
    // Drained first even where nobody is: the gateway must have stopped sending people before it goes.
    else if (chosen.has(instanceId) && cause !== 'scale-in' && cause !== 'eviction')
      steps.push({
        step: 'drain',
        instanceId,
        until: now + Math.max(snapshot.drainMilliseconds, snapshot.noticeMilliseconds),
        by: 'scale-in',
      });
  }
  if (surplus >= 0) return steps;
  const joining = waiting.toSorted(byReadiness).slice(0, -surplus);
  steps.push(...joining.map(({ instanceId }): Step => ({ step: 'join', instanceId })));
  const count = -surplus - joining.length;
  if (count > 0) steps.push({ step: 'allocate', count });
  return steps;
}

function candidateOf(snapshot: ScaleSetSnapshot, instance: InstanceSnapshot): ScaleInCandidate {
  const { instanceId, state, active } = instance;
  return {
    instanceId,
    zone: state.zone,
    isProtected: state.protectFromScaleIn || (snapshot.automatic && isSparedByRules(instance)),
    people: isEmpty(instance) ? 'nobody' : active === 0 ? 'idle' : 'active',
    alreadyDraining: state.draining !== undefined,
  };
}

/** A rule takes no machine from somebody who works on it, none of which nobody knows whether, and none that an operator drains. */
const isSparedByRules = ({ state, active }: InstanceSnapshot) => active !== 0 || drainCause(state) === 'operator';

/** Who joins soonest: frozen ones, then stopped ones, then those that are still being prepared; of each the oldest. */
function byReadiness(a: InstanceSnapshot, b: InstanceSnapshot): number {
  const rank = ({ power, state }: InstanceSnapshot) =>
    power !== state.standby?.as ? 2 : state.standby.as === 'frozen' ? 0 : 1;
  return rank(a) - rank(b) || a.instanceId - b.instanceId;
}
