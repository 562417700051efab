/** What holds for every autoscale setting and whatever is measured. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { instanceMetrics, sessionMetrics, type MetricGrain } from '../metrics.ts';
import { decideAutoscale, type AutoscaleDecision, type AutoscaleSnapshot } from './decide-autoscale.ts';
import type { RuleReading } from './evaluate-rule.ts';
import { changeTypes, directions, operators, statistics, timeAggregations, type ScaleRule } from './setting.ts';

const minute = 60_000;
const start = Date.UTC(2026, 10, 26, 12);
const count = (max = 20) => fc.integer({ min: 0, max });

const rules: fc.Arbitrary<ScaleRule[]> = fc.array(
  fc.record({
    trigger: fc.record({
      metric: fc.constantFrom(...instanceMetrics, ...sessionMetrics),
      statistic: fc.constantFrom(...statistics),
      timeGrainMilliseconds: fc.constant(minute),
      timeWindowMilliseconds: fc.constant(5 * minute),
      timeAggregation: fc.constantFrom(...timeAggregations),
      operator: fc.constantFrom(...operators),
      threshold: count(100),
      dividePerInstance: fc.boolean(),
    }),
    action: fc.record({
      direction: fc.constantFrom(...directions),
      type: fc.constantFrom(...changeTypes),
      value: fc.integer({ min: 1, max: 100 }),
      cooldownMilliseconds: fc.integer({ min: 1, max: 30 }).map((minutes) => minutes * minute),
    }),
  }),
  { maxLength: 10 },
);
const profile = fc.tuple(rules, fc.tuple(count(), count(), count())).map(([some, bounds]) => {
  const [minimum = 0, usual = 0, maximum = 0] = bounds.toSorted((a, b) => a - b);
  const capacity = { minimum, maximum, default: usual };
  return { name: 'default', capacity, rules: some, fixedDate: undefined, recurrence: undefined };
});

/** What is measured at a moment: the same for the whole window, or nothing. */
const measured = fc.record({
  levels: fc.array(fc.option(count(100), { nil: undefined }), { minLength: 10, maxLength: 10 }),
  isPresentKnown: fc.boolean(),
  waiting: count(3),
  activeInstances: count(8),
  measurable: fc.boolean(),
  seatsPerInstance: fc.option(fc.integer({ min: 1, max: 8 }), { nil: undefined }),
});
type Measured = typeof measured extends fc.Arbitrary<infer Some> ? Some : never;

function readingOf(level: number | undefined, isPresentKnown: boolean, now: number): RuleReading {
  const grains: MetricGrain[] = [5, 4, 3, 2, 1].map((ago) => ({
    start: now - ago * minute,
    samples:
      level === undefined ? [] : [{ instance: 'a', count: 1, sum: level, minimum: level, maximum: level, last: level }],
  }));
  return { grains, current: isPresentKnown && level !== undefined ? new Map([['a', level]]) : undefined };
}

function snapshotOf(
  found: Measured,
  about: Pick<AutoscaleSnapshot, 'profile' | 'capacity' | 'lastScale' | 'wokenAt'>,
  now: number,
): AutoscaleSnapshot {
  const { levels, isPresentKnown, ...rest } = found;
  const readings = about.profile.rules.map((_rule, index) => readingOf(levels[index], isPresentKnown, now));
  return { ...rest, ...about, readings };
}

type Scale = Extract<AutoscaleDecision, { decision: 'scale' }>;
const isRules = (decision: AutoscaleDecision): decision is Scale =>
  decision.decision === 'scale' && decision.because === 'rules';

describe('whatever is measured', () => {
  it('nothing leads outside of the bounds, below the instances that are in use, or away from people who wait', () => {
    fc.assert(
      fc.property(profile, measured, count(40), (asked, found, capacity) => {
        const about = { profile: asked, capacity, lastScale: undefined, wokenAt: undefined };
        const decision = decideAutoscale(snapshotOf(found, about, start), start);
        if (decision.decision !== 'scale') {
          expect(capacity).toBeGreaterThanOrEqual(asked.capacity.minimum);
          const isHeld = found.waiting > 0 || found.activeInstances >= capacity;
          if (capacity > asked.capacity.maximum) expect(isHeld).toBe(true);
          return;
        }
        const { from, to, direction } = decision;
        expect(from).toBe(capacity);
        expect(Math.sign(to - from)).toBe(direction === 'out' ? 1 : -1);
        expect(Number.isInteger(to)).toBe(true);
        expect(to).toBeGreaterThanOrEqual(asked.capacity.minimum);
        expect(to).toBeLessThanOrEqual(
          Math.max(asked.capacity.maximum, direction === 'in' ? found.activeInstances : 0),
        );
        if (direction === 'out') return;
        expect(to).toBeGreaterThanOrEqual(found.activeInstances);
        expect(found.waiting).toBe(0);
      }),
      { numRuns: 2_000 },
    );
  });

  it('a second look at the same world, right after a change, changes nothing more', () => {
    fc.assert(
      fc.property(profile, measured, count(40), (asked, found, capacity) => {
        const about = { profile: asked, capacity, lastScale: undefined, wokenAt: undefined };
        const first = decideAutoscale(snapshotOf(found, about, start), start);
        if (first.decision !== 'scale') return;
        const { cooldownMilliseconds, to } = first;
        const lastScale = isRules(first) ? { at: start, cooldownMilliseconds } : undefined;
        const second = decideAutoscale(snapshotOf(found, { ...about, capacity: to, lastScale }, start), start);
        // Bounds and the default start no cooldown: what rules ask for beyond comes at once, and never back.
        if (first.because === 'rules') expect(second.decision).not.toBe('scale');
        else if (second.decision === 'scale') expect(second.because).not.toBe(first.because);
      }),
      { numRuns: 2_000 },
    );
  });

  it('within a cooldown no rule changes anything, in a day of random measurements', () => {
    fc.assert(
      fc.property(
        profile,
        fc.array(fc.tuple(measured, fc.integer({ min: 1, max: 600 })), { maxLength: 60 }),
        (asked, day) => {
          let now = start;
          let capacity = asked.capacity.default;
          let last: { at: number; cooldownMilliseconds: number } | undefined;
          for (const [found, seconds] of day) {
            now += seconds * 1_000;
            const about = { profile: asked, capacity, lastScale: last, wokenAt: undefined };
            const decision = decideAutoscale(snapshotOf(found, about, now), now);
            if (decision.decision !== 'scale') continue;
            expect(last === undefined || now >= last.at + last.cooldownMilliseconds).toBe(true);
            capacity = decision.to;
            if (decision.because === 'rules') last = { at: now, cooldownMilliseconds: decision.cooldownMilliseconds };
          }
          expect(capacity).toBeGreaterThanOrEqual(asked.capacity.minimum);
          expect(capacity).toBeLessThanOrEqual(asked.capacity.maximum);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('what scales in does not make the same world scale out', () => {
    fc.assert(
      fc.property(count(100), fc.integer({ min: 2, max: 20 }), count(100), count(100), (load, capacity, high, low) => {
        const rule = (direction: 'Increase' | 'Decrease', threshold: number): ScaleRule => ({
          trigger: {
            ...{ metric: 'Percentage CPU', statistic: 'Average', timeGrainMilliseconds: minute },
            ...{ timeWindowMilliseconds: 5 * minute, timeAggregation: 'Average', dividePerInstance: false },
            ...{ operator: direction === 'Increase' ? 'GreaterThanOrEqual' : 'LessThanOrEqual', threshold },
          },
          action: { direction, type: 'PercentChangeCount', value: 50, cooldownMilliseconds: minute },
        });
        const both = [rule('Increase', high), rule('Decrease', low)];
        const asked = { ...{ name: 'default', rules: both, fixedDate: undefined, recurrence: undefined } };
        const bounds = { minimum: 1, maximum: 40, default: 1 };
        const look = (instances: number, each: number) =>
          decideAutoscale(
            {
              ...{
                profile: { ...asked, capacity: bounds },
                capacity: instances,
                lastScale: undefined,
                wokenAt: undefined,
              },
              ...{ waiting: 0, activeInstances: 0, measurable: true, seatsPerInstance: undefined },
              readings: both.map(() => readingOf(each, false, start)),
            },
            start,
          );
        const first = look(capacity, load);
        if (first.decision !== 'scale' || first.direction !== 'in') return;
        expect(look(first.to, (load * capacity) / first.to)).not.toMatchObject({ direction: 'out' });
      }),
      { numRuns: 2_000 },
    );
  });
});
