import { describe, expect, it } from 'vitest';
import type { MetricGrain, MetricSample } from '../metrics.ts';
import { evaluateRule, fires, projectValue, type RuleReading } from './evaluate-rule.ts';
import { operators, type MetricTrigger, type ScaleRule } from './setting.ts';

const minute = 60_000;
const now = 100 * minute;
const rule = (
  trigger: Partial<MetricTrigger> = {},
  direction: ScaleRule['action']['direction'] = 'Increase',
): ScaleRule => ({
  trigger: {
    ...{ metric: 'Percentage CPU', statistic: 'Average', timeGrainMilliseconds: minute },
    ...{ timeWindowMilliseconds: 5 * minute, timeAggregation: 'Average', operator: 'GreaterThan', threshold: 70 },
    ...{ dividePerInstance: false, ...trigger },
  },
  action: { direction, type: 'ChangeCount', value: 1, cooldownMilliseconds: 5 * minute },
});
const said = (instance: string, ...values: number[]): MetricSample => ({
  ...{ instance, count: values.length, sum: values.reduce((a, b) => a + b, 0), last: values.at(-1) ?? 0 },
  ...{ minimum: Math.min(...values), maximum: Math.max(...values) },
});
const grain = (minutesAgo: number, ...samples: MetricSample[]): MetricGrain => ({
  start: now - minutesAgo * minute,
  samples,
});
const reading = (grains: MetricGrain[], current?: Record<string, number>): RuleReading => ({
  grains,
  current: current === undefined ? undefined : new Map(Object.entries(current)),
});
const value = (asked: ScaleRule, read: RuleReading, capacity = 2) => evaluateRule(asked, read, capacity, now).value;

/** https://learn.microsoft.com/azure/azure-monitor/autoscale/autoscale-understanding-settings#autoscale-setting-schema */
describe('rule 6: two stages', () => {
  const grains = [
    grain(3, said('a', 10, 20), said('b', 60, 80, 70)),
    grain(2, said('a', 30), said('b', 50)),
    grain(1, said('a', 20), said('b', 100)),
  ];

  it.each([
    ['Average', [42.5, 40, 60]],
    ['Min', [10, 30, 20]],
    ['Max', [80, 50, 100]],
    ['Sum', [85, 80, 120]],
    ['Count', [5, 2, 2]],
  ] as const)('%s joins what the instances said within a grain', (statistic, expected) => {
    expect(grains.map((one) => value(rule({ statistic }), reading([one])))).toEqual(expected);
  });

  it.each([
    ['Average', 142.5 / 3],
    ['Minimum', 40],
    ['Maximum', 60],
    ['Total', 142.5],
    ['Count', 3],
    ['Last', 60],
  ] as const)('%s joins the grains of the window', (timeAggregation, expected) => {
    expect(value(rule({ timeAggregation }), reading(grains))).toBeCloseTo(expected);
  });

  it('an instance moved in a grain what its measurements add up to', () => {
    const moved = [grain(1, said('a', 5, 5), said('b', 30))];
    const of = (statistic: MetricTrigger['statistic']) =>
      value(rule({ metric: 'Network In Total', statistic }), reading(moved));
    expect([of('Average'), of('Sum'), of('Min'), of('Max')]).toEqual([20, 40, 10, 30]);
  });

  it('a gap is no zero, and nothing but gaps is nothing', () => {
    expect(value(rule(), reading([grain(3), grain(2, said('a', 80)), grain(1)]))).toBe(80);
    const nothing = evaluateRule(rule(), reading([grain(3), grain(2)]), 2, now);
    expect(nothing).toEqual({ value: undefined, readable: false });
    expect(fires({ operator: 'LessThan', threshold: 10 }, nothing.value)).toBe(false);
  });

  it('what lies before the window, and a minute that is not over, do not count for instances', () => {
    expect(value(rule(), reading([grain(6, said('a', 99)), grain(5, said('a', 40)), grain(0.5, said('a', 1))]))).toBe(
      40,
    );
  });

  it.each([
    ['Equals', [false, true, false]],
    ['NotEquals', [true, false, true]],
    ['GreaterThan', [false, false, true]],
    ['GreaterThanOrEqual', [false, true, true]],
    ['LessThan', [true, false, false]],
    ['LessThanOrEqual', [true, true, false]],
  ] as const)('%s compares with the threshold', (operator, expected) => {
    expect(operators).toContain(operator);
    expect([49, 50, 51].map((one) => fires({ operator, threshold: 50 }, one))).toEqual(expected);
  });
});

describe('metrics of people', () => {
  const quiet = [3, 2, 1, 0.5].map((ago) => grain(ago, said('a', 0), said('b', 0)));

  it('are for a rule that scales out what they are now', () => {
    const asked = rule({ metric: 'Connected Users', statistic: 'Sum' });
    expect(value(asked, reading(quiet, { a: 3, b: 4 }))).toBe(7);
  });

  it('are for a rule that scales in those of the window, this moment with it', () => {
    const asked = rule({ metric: 'Connected Users', statistic: 'Sum', timeAggregation: 'Maximum' }, 'Decrease');
    expect(value(asked, reading(quiet))).toBe(0);
    expect(value(asked, reading(quiet, { a: 0, b: 1 }))).toBe(1);
    expect(value(asked, reading([grain(0.5, said('a', 2))], { a: 0 }))).toBe(2);
  });

  it('are those of the window where this moment is not known', () => {
    expect(value(rule({ metric: 'Connected Users' }), reading([grain(1, said('a', 4))]))).toBe(4);
    expect(evaluateRule(rule({ metric: 'Connected Users' }), reading([]), 2, now).readable).toBe(false);
  });

  it('are read, though they have no value, where there are no instances', () => {
    const asked = rule({ metric: 'Connected Users', operator: 'LessThan' });
    expect(evaluateRule(asked, reading([], {}), 0, now)).toEqual({ value: undefined, readable: true });
  });
});

/** https://learn.microsoft.com/azure/azure-monitor/autoscale/autoscale-best-practices#considerations-for-scaling-threshold-values-for-special-metrics */
describe('rule 9: queues count by instance', () => {
  const asked = rule({ metric: 'Waiting Users', operator: 'GreaterThanOrEqual', threshold: 50 });

  it.each([
    [50, 2, 25, false],
    [100, 2, 50, true],
    [100, 3, 100 / 3, false],
    [150, 3, 50, true],
    [50, 0, 50, true],
  ])('%d for %d instances are %d for each', (waiting, capacity, expected, isFired) => {
    const found = value(asked, reading([], { '': waiting }), capacity);
    expect(found).toBeCloseTo(expected);
    expect(fires(asked.trigger, found)).toBe(isFired);
  });

  it('so does what a rule divides by itself', () => {
    const divided = rule({ metric: 'Active Sessions', statistic: 'Sum', dividePerInstance: true });
    expect(value(divided, reading([], { a: 6, b: 4 }), 2)).toBe(5);
  });
});

describe('a value projected onto fewer instances', () => {
  const project = (trigger: Partial<MetricTrigger>, found: number, from: number, to: number, seats?: number) =>
    projectValue(rule(trigger).trigger, found, from, to, seats);

  it.each<[string, Partial<MetricTrigger>, number, number, number, number | undefined, number | undefined]>([
    ['a mean is shared by fewer', { statistic: 'Average' }, 60, 3, 2, undefined, 90],
    ['a total stays', { statistic: 'Sum', metric: 'Connected Users' }, 9, 3, 2, undefined, 9],
    ['a total that counts by instance', { statistic: 'Sum', dividePerInstance: true }, 10, 3, 2, undefined, 15],
    ['measurements become fewer', { statistic: 'Count' }, 18, 3, 2, undefined, 12],
    ['what is free becomes less', { metric: 'Available Memory Bytes' }, 90, 3, 2, undefined, 60],
    ['people share the instances', { metric: 'Users Per Instance', statistic: 'Sum' }, 2, 3, 2, undefined, 3],
    ['a queue is as long as before', { metric: 'Waiting Users' }, 2, 3, 2, undefined, 3],
    ['seats go with their instances', { metric: 'Available Seats' }, 9, 3, 1, 4, 1],
    ['nothing stays nothing where nobody is left', { metric: 'Connected Users' }, 0, 1, 0, undefined, 0],
    ['people have nowhere to go', { metric: 'Users Per Instance' }, 1, 1, 0, undefined, Number.POSITIVE_INFINITY],
    ['no instances, nothing to measure', {}, 3, 1, 0, undefined, undefined],
  ])('%s', (_case, trigger, found, from, to, seats, expected) => {
    expect(project(trigger, found, from, to, seats)).toBe(expected);
  });
});
