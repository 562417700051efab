/**
 * Decides what has to happen next for one scale set. Pure: the same snapshot and time give the same steps, and a
 * snapshot that is as asked for gives none. Executors make no choices; they carry out one step each.
 *
 * Steps of one plan are independent of each other and may run at the same time. An instance that has a step under way
 * (`busy`) gets no further one until that has ended. What is decided about the set as a whole has a file each
 * (`plan-capacity`, `plan-standby`, `plan-upgrade`, `plan-repairs`, `plan-eviction`); what one instance needs next stands in `plan-instance`.
 */
import type { EpochMillis } from '../core/time.ts';
import { isLeaving } from './instance-state.ts';
import { planCapacity } from './plan-capacity.ts';
import { planEviction } from './plan-eviction.ts';
import { planInstance } from './plan-instance.ts';
import { planRepairs } from './plan-repairs.ts';
import { planStandby } from './plan-standby.ts';
import { planUpgrade } from './plan-upgrade.ts';
import type { ScaleSetSnapshot } from './scale-set-snapshot.ts';
import type { Step } from './steps.ts';

export function plan(snapshot: ScaleSetSnapshot, now: EpochMillis): Step[] {
  if (snapshot.deleting) return snapshot.instances.flatMap((instance) => planInstance(snapshot, instance, now) ?? []);

  const steps: Step[] = [];
  const wantsAny = snapshot.capacity > 0 || snapshot.standby.count > 0;
  if (!snapshot.imageReady && !snapshot.imageBusy && wantsAny && now >= (snapshot.imageRetryAt ?? 0))
    steps.push({ step: 'prepareImage' });
  const staying = snapshot.instances.filter((instance) => !isLeaving(instance.state));
  const members = staying.filter((instance) => instance.state.standby === undefined);
  const waiting = staying.filter((instance) => instance.state.standby !== undefined);
  steps.push(
    ...planCapacity(snapshot, members, waiting, now),
    ...planStandby(snapshot, members, waiting),
    ...planRepairs(snapshot, members, now),
    ...planUpgrade(snapshot, members, now),
    ...planEviction(snapshot, members, now),
  );
  const concerned = new Set<number>();
  // Of several that speak of one instance the first is heard; the others speak again in the next pass.
  const heard = steps.filter((step) => {
    if (!('instanceId' in step)) return true;
    if (concerned.has(step.instanceId)) return false;
    concerned.add(step.instanceId);
    return true;
  });
  for (const instance of snapshot.instances) {
    if (concerned.has(instance.instanceId)) continue;
    const step = planInstance(snapshot, instance, now);
    if (step !== undefined) heard.push(step);
  }
  return heard;
}
