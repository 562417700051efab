/** A world of many scale sets for the benchmarks of decisions: each in another situation, so that every part of the plan has work. */
import { systemClock } from '../../src/core/system-clock.ts';
import { createPlacements } from '../../src/control/placements.ts';
import type { Presence } from '../../src/control/bindings.ts';
import { createSimEngine } from '../../src/engines/sim/sim-engine.ts';
import { decideAutoscale } from '../../src/pool/autoscale/decide-autoscale.ts';
import type { RuleReading } from '../../src/pool/autoscale/evaluate-rule.ts';
import type { AutoscaleProfile, ScaleRule } from '../../src/pool/autoscale/setting.ts';
import { newInstanceState } from '../../src/pool/instance-state.ts';
import type { MetricGrain } from '../../src/pool/metrics.ts';
import { place, type Seats } from '../../src/pool/placement.ts';
import { plan } from '../../src/pool/plan.ts';
import type { InstanceSnapshot, ScaleSetSnapshot } from '../../src/pool/scale-set-snapshot.ts';

const now = Date.UTC(2026, 0, 5, 10);
const minute = 60_000;
const peopleOnEach = 5;
const seatsOnEach = 8;
const window = 10;

interface SetWorld {
  snapshot: ScaleSetSnapshot;
  readings: RuleReading[];
  seats: Seats[];
}

export interface PlanWorld {
  /** Decides once for every set: what has to happen, how many there should be, and where one more person goes. */
  pass(): number;
  instances: number;
  sessions: number;
}

/** @param size instances in each set, with five people on each */
export function planWorld(sets: number, size: number): PlanWorld {
  const worlds = Array.from({ length: sets }, (_, index) => setWorld(index, size));
  return {
    instances: sets * size,
    sessions: sets * size * peopleOnEach,
    pass() {
      let decided = 0;
      for (const { snapshot, readings, seats } of worlds) {
        decided += plan(snapshot, now).length;
        const decision = decideAutoscale(
          {
            ...{ profile, capacity: snapshot.capacity, readings, measurable: true, lastScale: undefined },
            ...{ wokenAt: undefined, waiting: 0, inRotation: true, seatsPerInstance: seatsOnEach },
            activeInstances: snapshot.instances.filter(({ active }) => active !== 0).length,
          },
          now,
        );
        if (decision.decision === 'scale') decided += 1;
        const placed = place({ boundTo: undefined, sessions: 0 }, seats, {
          ...{ prefer: 'most-users', usersPerInstance: seatsOnEach },
        });
        if (placed.outcome === 'placed') decided += 1;
      }
      return decided;
    },
  };
}

/** By turns: as asked for, growing, shrinking by half, under a rolling upgrade, with standby. */
function setWorld(index: number, size: number): SetWorld {
  const situation = index % 5;
  const instances = Array.from({ length: size }, (_, instanceId): InstanceSnapshot => {
    // A third of those that shrink are empty.
    const users = situation === 2 && instanceId % 3 === 0 ? 0 : peopleOnEach;
    return {
      instanceId,
      state: {
        ...{ ...newInstanceState(), created: true, provisioned: 'p', provisionedAt: now - 90 * minute },
        ...{ zone: String((instanceId % 3) + 1), people: 'q', hostKeys: ['ssh-ed25519 A'] },
        ...(situation === 4 && instanceId % 10 === 0
          ? { standby: { since: now - 60 * minute, as: 'stopped' as const } }
          : {}),
      },
      power: situation === 4 && instanceId % 10 === 0 ? 'stopped' : 'running',
      ...{ provision: 'p', people: 'q', extensions: [], behind: situation === 3 ? 'machine' : 'nothing' },
      ...{ connections: users, users, active: users, inRotation: true, healthy: true },
      ...{ unhealthySince: undefined, busy: false },
    };
  });
  const capacity = [size, size + 3, Math.ceil(size / 2), size, size][situation] ?? size;
  return {
    snapshot: {
      ...{ capacity, automatic: true, generation: 1, deleting: false, drainMilliseconds: 30 * minute },
      ...{ noticeMilliseconds: 0, scaleInRule: 'Default', standby: { count: 4, as: 'stopped', room: 100 } },
      upgrade: {
        ...{ mode: 'Rolling', maxBatchPercent: 20, maxUnhealthyPercent: 20, maxUnhealthyUpgradedPercent: 20 },
        ...{ pauseMilliseconds: 0, canceled: false },
      },
      repairs: { action: 'Replace', graceMilliseconds: 10 * minute },
      ...{ evictions: 0, evictionPolicy: 'Deallocate' },
      ...{ imageReady: true, imageBusy: false, imageRetryAt: undefined, instances },
    },
    readings: rules.map((rule) => readingOf(rule, size)),
    seats: instances.map(({ instanceId }) => ({
      ...{ instance: `pool${index}-${instanceId}`, reachable: true, inRotation: true },
      users: peopleOnEach + (instanceId % 4),
    })),
  };
}

/** Azure's usual rules, and those about people. */
const rules: ScaleRule[] = (
  [
    ['Percentage CPU', 'GreaterThan', 75, 'Increase'],
    ['Percentage CPU', 'LessThan', 25, 'Decrease'],
    ['Connected Users', 'GreaterThan', 7, 'Increase'],
    ['Available Seats', 'GreaterThan', 6, 'Decrease'],
  ] as const
).map(([metric, operator, threshold, direction]) => ({
  trigger: {
    ...{ metric, statistic: 'Average', timeAggregation: 'Average', operator, threshold, dividePerInstance: false },
    ...{ timeGrainMilliseconds: minute, timeWindowMilliseconds: window * minute },
  },
  action: { direction, type: 'ChangeCount', value: 1, cooldownMilliseconds: minute },
}));

const profile: AutoscaleProfile = {
  ...{ name: 'always', capacity: { minimum: 0, maximum: 1_000, default: 1 }, rules },
  ...{ fixedDate: undefined, recurrence: undefined },
};

function readingOf({ trigger: { metric }, action }: ScaleRule, size: number): RuleReading {
  const isOfPool = metric === 'Available Seats';
  const names = isOfPool ? [''] : Array.from({ length: size }, (_, index) => `instance-${index}`);
  const value = metric === 'Percentage CPU' ? 40 : peopleOnEach;
  const current = metric === 'Percentage CPU' ? undefined : new Map(names.map((name) => [name, value]));
  // As control reads: of such a rule the present moment is all that matters.
  if (current !== undefined && action.direction === 'Increase') return { grains: [], current };
  const grains = Array.from({ length: window }, (_, index): MetricGrain => ({
    start: now - (window - index) * minute,
    samples: names.map((instance) => ({
      ...{ instance, count: 6, sum: 6 * value, minimum: value, maximum: value, last: value },
    })),
  }));
  return { grains, current };
}

/** The same instances in a simulated engine, and their people bound to them, as control holds them in memory. */
export async function holdWorld(sets: number, size: number): Promise<object> {
  const { signal } = new AbortController();
  const engine = createSimEngine({ clock: systemClock });
  const presences: Presence[] = [];
  for (let set = 0; set < sets; set += 1)
    for (let index = 0; index < size; index += 1) {
      const name = `pool${set}-${index}`;
      await engine.create(
        {
          ...{
            name,
            hostname: name,
            image: { fingerprint: '00' },
            cpus: 2,
            memoryBytes: 2 ** 32,
            address: '10.255.0.2',
          },
          labels: { 'scale-set': `pool${set}`, 'instance-id': String(index) },
        },
        signal,
      );
      await engine.setPower(name, 'running', signal);
      for (let user = 0; user < peopleOnEach; user += 1)
        presences.push({ pool: `pool${set}`, user: `user-${set}-${index}-${user}`, instance: name, activeAt: now });
    }
  const placements = createPlacements({ clock: systemClock, onWaiting: () => undefined });
  placements.setSeen({ sessions: [], presences });
  return { engine, placements, found: await engine.list(signal) };
}
