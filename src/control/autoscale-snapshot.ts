/** What autoscale's decision needs to know of a scale set at this moment: its capacity, its people, and what was measured. */
import type { EpochMillis } from '../core/time.ts';
import type { AutoscaleSnapshot } from '../pool/autoscale/decide-autoscale.ts';
import { isSessionMetric, type RuleReading } from '../pool/autoscale/evaluate-rule.ts';
import type { AutoscaleProfile, ScaleRule } from '../pool/autoscale/setting.ts';
import { readPoolTags } from '../providers/compute/pool-tags.ts';
import { readScaleSet } from '../providers/compute/scale-set-model.ts';
import { findInstances } from '../store/instance-records.ts';
import type { ResourceRecord } from '../store/resource-records.ts';
import type { MetricReader } from './metric-reader.ts';
import type { Placements } from './placements.ts';
import { automaticChange } from './scale-automatically.ts';
import type { World } from './world.ts';

/** An instance that has run for so long has been measured, if its metrics can be read. */
const measuredAfter = 2 * 60_000;

export interface SnapshotParts {
  world: Pick<World, 'store' | 'live' | 'reports' | 'clock'>;
  placements: Pick<Placements, 'waiting' | 'activeUsersOn'>;
  metrics: MetricReader;
}

export async function takeAutoscaleSnapshot(
  { world, placements, metrics }: SnapshotParts,
  set: ResourceRecord,
  profile: AutoscaleProfile,
  lastScale: AutoscaleSnapshot['lastScale'],
): Promise<AutoscaleSnapshot> {
  const now = world.clock.now();
  const instances = await findInstances(world.store.db, set.key);
  const staying = instances.filter(({ state }) => state.removal === undefined && state.draining === undefined);
  const readings: RuleReading[] = [];
  for (const rule of profile.rules) readings.push(await readRule(metrics, set.key, rule, now));
  const change = automaticChange(set);
  return {
    profile,
    capacity: readScaleSet(set.document).capacity,
    readings,
    measurable: instances.some(
      ({ name, state }) =>
        world.live.instance(name)?.power === 'running' && now - (state.provisionedAt ?? now) >= measuredAfter,
    ),
    lastScale,
    wokenAt: change?.by === 'wake' && change.to > change.from ? change.at : undefined,
    inRotation: staying.some(({ name, state }) => world.live.rotation(name).inRotation && state.power === 'running'),
    waiting: placements.waiting(set.key),
    // Where nobody has looked yet, somebody may be.
    activeInstances: staying.filter(
      ({ name }) => placements.activeUsersOn(name) !== 0 || world.reports.strangersOn(name) > 0,
    ).length,
    seatsPerInstance: readPoolTags(set.document).placement.usersPerInstance,
  };
}

async function readRule(
  metrics: MetricReader,
  setKey: string,
  { trigger, action }: ScaleRule,
  now: EpochMillis,
): Promise<RuleReading> {
  const { metric, timeGrainMilliseconds: grain, timeWindowMilliseconds: window } = trigger;
  const current = isSessionMetric(metric) ? metrics.current(setKey, metric) : undefined;
  // The present moment is all that such a rule looks at, and it is asked every second.
  if (current !== undefined && action.direction === 'Increase') return { grains: [], current };
  return { grains: await metrics.read(setKey, metric, now - window - grain, now, grain), current };
}
