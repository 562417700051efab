/** Settings and pools for tests of replays. */
import type { AutoscaleSetting, Operator, ScaleAction, ScaleRule } from '../pool/autoscale/setting.ts';
import type { MetricName } from '../pool/metrics.ts';
import { measuredTimes } from './replay.ts';
import type { SimulationOptions } from './simulate.ts';
import type { TraceSession } from './trace.ts';

const minute = 60_000;
/** A Monday, at nine. */
export const nine = Date.UTC(2026, 0, 5, 9);

export const pool: SimulationOptions = {
  placement: { prefer: 'most-users', usersPerInstance: 2 },
  standby: { count: 0, as: 'stopped' },
  ...{ drainMilliseconds: 10 * minute, idleMilliseconds: 20 * minute, cpuPerPerson: 50, ...measuredTimes },
};

/** A session by minutes after nine. */
export const session = (user: string, from: number, to: number, works = to): TraceSession => ({
  ...{ user, start: nine + from * minute, end: nine + to * minute, activeUntil: nine + works * minute },
});

export const rule = (
  metric: MetricName,
  operator: Operator,
  threshold: number,
  direction: ScaleAction['direction'],
): ScaleRule => ({
  trigger: {
    ...{ metric, operator, threshold, statistic: 'Average', timeAggregation: 'Average', dividePerInstance: false },
    ...{ timeGrainMilliseconds: minute, timeWindowMilliseconds: 5 * minute },
  },
  action: { direction, type: 'ChangeCount', value: 1, cooldownMilliseconds: minute },
});

/** One spare seat, and what is empty goes. */
export const bySeats = [
  rule('Available Seats', 'LessThan', 1, 'Increase'),
  rule('Available Seats', 'GreaterThan', 2, 'Decrease'),
];

export function setting(rules: readonly ScaleRule[], minimum = 0, maximum = 20): AutoscaleSetting {
  return {
    ...{ enabled: true, target: '' },
    profiles: [
      {
        name: 'always',
        capacity: { minimum, maximum, default: minimum },
        ...{ rules, fixedDate: undefined, recurrence: undefined },
      },
    ],
  };
}
