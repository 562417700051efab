/**
 * Brings instances to the latest model as the upgrade policy says. What can be done while an instance runs is done so; for
 * another image or size it is made anew, once nobody is there: an upgrade that nobody asked for by name ends no session.
 * Pure, a part of `plan`.
 * https://learn.microsoft.com/azure/virtual-machine-scale-sets/virtual-machine-scale-sets-upgrade-policy
 */
import type { EpochMillis } from '../core/time.ts';
import { drainCause } from './instance-state.ts';
import {
  isEmpty,
  isPrepared,
  isReady,
  mayHoldWork,
  preparedAt,
  probeGraceMilliseconds,
  type InstanceSnapshot,
  type ScaleSetSnapshot,
  type UpgradePolicy,
} from './scale-set-snapshot.ts';
import type { Step } from './steps.ts';

/** @param members the instances that the capacity counts */
export function planUpgrade(
  snapshot: ScaleSetSnapshot,
  members: readonly InstanceSnapshot[],
  now: EpochMillis,
): Step[] {
  const outdated = members.filter(
    ({ behind, state }) =>
      behind !== 'nothing' &&
      state.remake === undefined &&
      // What is switched off has its turn when it is started.
      state.power === 'running' &&
      drainCause(state) !== 'scale-in',
  );
  const steps: Step[] = members
    .filter(({ state, behind, busy }) => drainCause(state) === 'upgrade' && behind === 'nothing' && !busy)
    .map(({ instanceId }) => ({ step: 'undrain', instanceId }));
  // What somebody has named is of the latest model already: the model was set back.
  for (const { instanceId, state, behind, busy } of members)
    if (state.upgrade !== undefined && behind === 'nothing' && !busy) steps.push({ step: 'upgrade', instanceId });
  const named = outdated.filter(({ state }) => state.upgrade !== undefined);
  for (const one of named) steps.push(...begin(one, now, now + snapshot.drainMilliseconds));
  const { mode, canceled } = snapshot.upgrade;
  if (mode === 'Manual' || canceled) {
    for (const { instanceId, state, busy } of outdated)
      if (drainCause(state) === 'upgrade' && state.upgrade === undefined && !busy)
        steps.push({ step: 'undrain', instanceId });
    return steps;
  }
  const others = outdated.filter(({ state }) => state.upgrade === undefined && !state.protectFromScaleSetActions);
  steps.push(...chooseBatch(snapshot, members, others, now).flatMap((one) => begin(one, now, undefined)));
  return steps;
}

/** The first step of one instance's upgrade; none where it was taken already. */
function begin(instance: InstanceSnapshot, now: EpochMillis, until: EpochMillis | undefined): Step[] {
  const { instanceId, behind, state, busy, power } = instance;
  // What has just failed with it is tried again in its time.
  if (busy || now < (state.failure?.retryAt ?? 0)) return [];
  if (behind === 'settings' || power === 'absent') return [{ step: 'upgrade', instanceId }];
  if (drainCause(state) === 'operator') return beginDrained(instance);
  if (state.draining !== undefined) return [];
  return [{ step: 'drain', instanceId, by: 'upgrade', ...(until === undefined ? {} : { until }) }];
}

/** An operator keeps people away from it already, and goes on to. */
function beginDrained(instance: InstanceSnapshot): Step[] {
  const { instanceId } = instance;
  if (!isEmpty(instance)) return [];
  if (mayHoldWork(instance)) return [{ step: 'rescue', instanceId }];
  return [{ step: 'remake', instanceId, model: 'latest', reason: 'it gets the latest model' }];
}

/** The instances whose turn it is now, those with people only where others serve meanwhile. */
function chooseBatch(
  { upgrade }: ScaleSetSnapshot,
  members: readonly InstanceSnapshot[],
  outdated: readonly InstanceSnapshot[],
  now: EpochMillis,
): InstanceSnapshot[] {
  const isRolling = upgrade.mode === 'Rolling';
  const batch = isRolling
    ? Math.max(1, Math.floor((members.length * upgrade.maxBatchPercent) / 100))
    : Math.max(1, members.length);
  const isTaken = ({ state }: InstanceSnapshot) => drainCause(state) === 'upgrade';
  const canGoOn =
    !isRolling || (!isFaulted({ upgrade }, members, now) && isPaused(upgrade, members, now) === undefined);
  if (!canGoOn) return [];
  // Of one batch all are done before the next begins; those that wait for people do not hold it up.
  const underWay = isRolling
    ? members.filter(
        (one) =>
          (isTaken(one) && isEmpty(one)) || (wasUpgraded(one) && one.state.power === 'running' && !isReady(one, now)),
      )
    : [];
  const free = underWay.length > 0 ? 0 : batch;
  const untaken = outdated.filter((one) => !isTaken(one));
  const isAtOnce = (one: InstanceSnapshot) => one.behind === 'settings' || isEmpty(one) || one.power !== 'running';
  const chosen = new Set(untaken.filter(isAtOnce).slice(0, free));

  /** Who would still serve: at each moment those that are not chosen. */
  const serving = new Set(
    members.filter((one) => one.inRotation && one.state.draining === undefined && !chosen.has(one)),
  );
  const waiting = outdated.filter((one) => isTaken(one) && !isEmpty(one)).length;
  const withPeople = untaken.filter((one) => !isAtOnce(one) && one.state.draining === undefined);
  const drainable = withPeople.slice(0, Math.max(0, batch - waiting));
  for (const one of drainable) {
    if (serving.size - (serving.has(one) ? 1 : 0) === 0) break;
    serving.delete(one);
    chosen.add(one);
  }
  return [...chosen];
}

/** It was given the latest model, and has it. */
const wasUpgraded = ({ behind, state }: InstanceSnapshot) => behind === 'nothing' && state.upgradedAt !== undefined;

const share = (part: number, of: number) => (of === 0 ? 0 : (part * 100) / of);

/** Whether too many instances are ill for a rolling upgrade to go on. */
export function isFaulted(
  { upgrade }: Pick<ScaleSetSnapshot, 'upgrade'>,
  members: readonly InstanceSnapshot[],
  now: EpochMillis,
): boolean {
  const isIll = (one: InstanceSnapshot) =>
    one.power === 'running' &&
    isPrepared(one) &&
    one.unhealthySince !== undefined &&
    now - Math.max(one.unhealthySince, preparedAt(one)) >= probeGraceMilliseconds;
  const upgraded = members.filter(wasUpgraded);
  return (
    share(members.filter(isIll).length, members.length) > upgrade.maxUnhealthyPercent ||
    share(upgraded.filter(isIll).length, upgraded.length) > upgrade.maxUnhealthyUpgradedPercent
  );
}

/** Until when the pause after the last batch lasts; undefined where there is none. */
function isPaused(
  { pauseMilliseconds }: UpgradePolicy,
  members: readonly InstanceSnapshot[],
  now: EpochMillis,
): EpochMillis | undefined {
  const ended = members.filter(wasUpgraded).map((one) => Math.max(one.state.upgradedAt ?? 0, preparedAt(one)));
  const until = Math.max(0, ...ended) + pauseMilliseconds;
  return ended.length > 0 && now < until ? until : undefined;
}
