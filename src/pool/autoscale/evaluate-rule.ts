/**
 * What a rule's metric is, and whether the rule fires. Pure.
 *
 * There are two stages: `statistic` joins what the instances said within a time grain, `timeAggregation` joins the grains of
 * the window. https://learn.microsoft.com/azure/azure-monitor/autoscale/autoscale-understanding-settings
 *
 * Metrics of people act at the present moment, without waiting for a grain: for a rule that scales out, their value is the
 * one of now; for a rule that scales in, the present moment is one more grain at the window's end.
 */
import type { EpochMillis } from '../../core/time.ts';
import { sessionMetrics, type MetricGrain, type MetricName, type MetricSample } from '../metrics.ts';
import type { MetricTrigger, Operator, ScaleRule, Statistic, TimeAggregation } from './setting.ts';

/** What was measured for a rule. */
export interface RuleReading {
  /** Those of its time grain's length that end within its window, oldest first; the last may not be over yet. */
  grains: readonly MetricGrain[];
  /** For a metric of people: what it is now, by instance ('' for the whole pool); undefined where it is not known. */
  current: ReadonlyMap<string, number> | undefined;
}

export interface RuleValue {
  /** Undefined where nothing was measured: a gap is never a zero. */
  value: number | undefined;
  /** False where the metric could not be read at all. */
  readable: boolean;
}

/** Metrics that add up over time: what an instance moved. All others are states, and have a mean. */
const totals: ReadonlySet<MetricName> = new Set<MetricName>([
  'Network In Total',
  'Network Out Total',
  'Disk Read Bytes',
  'Disk Write Bytes',
]);

/** A queue of the whole pool: it counts by instance, as Azure's queues do. */
const queue: MetricName = 'Waiting Users';

export function isSessionMetric(metric: MetricName): boolean {
  return sessionMetrics.some((one) => one === metric);
}

/** The value that a rule compares with its threshold. */
export function evaluateRule(
  { trigger, action }: ScaleRule,
  reading: RuleReading,
  capacity: number,
  now: EpochMillis,
): RuleValue {
  const isOfPeople = isSessionMetric(trigger.metric);
  const present = isOfPeople ? presentValue(trigger, reading.current) : undefined;
  const values = reading.grains
    .filter(({ start }) => {
      const end = start + trigger.timeGrainMilliseconds;
      if (end <= now - trigger.timeWindowMilliseconds) return false;
      return isOfPeople || end <= now; // one that is not over would tell too little of what instances moved
    })
    .map(({ samples }) => joinInstances(trigger, samples))
    .filter((value) => value !== undefined);
  const measured =
    isOfPeople && action.direction === 'Increase' && present !== undefined
      ? present
      : joinGrains(trigger.timeAggregation, present === undefined ? values : [...values, present]);
  const isByInstance = trigger.dividePerInstance || trigger.metric === queue;
  return {
    value: measured === undefined || !isByInstance ? measured : measured / Math.max(1, capacity),
    readable: measured !== undefined || (isOfPeople && reading.current !== undefined),
  };
}

/** Whether a rule fires at this value of its metric. One that is not known fires nothing. */
export function fires(
  { operator, threshold }: Pick<MetricTrigger, 'operator' | 'threshold'>,
  value: number | undefined,
): boolean {
  return value !== undefined && comparisons[operator](value, threshold);
}

const comparisons: Readonly<Record<Operator, (value: number, threshold: number) => boolean>> = {
  Equals: (value, threshold) => value === threshold,
  NotEquals: (value, threshold) => value !== threshold,
  GreaterThan: (value, threshold) => value > threshold,
  GreaterThanOrEqual: (value, threshold) => value >= threshold,
  LessThan: (value, threshold) => value < threshold,
  LessThanOrEqual: (value, threshold) => value <= threshold,
};

/**
 * What a rule's value would be with fewer instances, if people and work stay as they are: the load of those that go is the
 * others'. Undefined where nothing could be measured: there are no instances left. An estimate, as Azure's is.
 * https://learn.microsoft.com/azure/azure-monitor/autoscale/autoscale-flapping
 *
 * @param seatsPerInstance how many people an instance takes; undefined: as many as come
 */
export function projectValue(
  trigger: MetricTrigger,
  value: number,
  from: number,
  to: number,
  seatsPerInstance: number | undefined,
): number | undefined {
  const { metric, statistic } = trigger;
  if (to === 0 && !isSessionMetric(metric)) return undefined;
  const isByInstance = trigger.dividePerInstance || metric === queue;
  const whole = isByInstance ? value * Math.max(1, from) : value;
  const projected = projectWhole(metric, statistic, whole, from, to, seatsPerInstance);
  return isByInstance ? projected / Math.max(1, to) : projected;
}

function projectWhole(
  metric: MetricName,
  statistic: Statistic,
  value: number,
  from: number,
  to: number,
  seatsPerInstance: number | undefined,
): number {
  if (metric === queue) return value;
  if (metric === 'Available Seats')
    return seatsPerInstance === undefined ? value : value - seatsPerInstance * (from - to);
  // What is free becomes less, and so do measurements.
  if (metric === 'Available Memory Bytes' || statistic === 'Count') return (value * to) / from;
  const isShared = metric === 'Users Per Instance' || statistic !== 'Sum';
  return isShared && value !== 0 ? (value * from) / to : value; // nothing stays nothing, also where nobody is left
}

/** The first stage for this moment: one measurement of each instance. */
function presentValue(trigger: MetricTrigger, current: ReadonlyMap<string, number> | undefined): number | undefined {
  if (current === undefined) return undefined;
  const samples = [...current].map(([instance, value]): MetricSample => {
    return { instance, count: 1, sum: value, minimum: value, maximum: value, last: value };
  });
  return joinInstances(trigger, samples);
}

/** The first stage. Each instance has one value: what it moved within the grain, or the mean of what it was. */
function joinInstances({ metric, statistic }: MetricTrigger, samples: readonly MetricSample[]): number | undefined {
  const isTotal = totals.has(metric);
  let [instances, measurements, sum, minimum, maximum] = [0, 0, 0, Infinity, -Infinity];
  for (const sample of samples) {
    if (sample.count === 0) continue;
    const value = isTotal ? sample.sum : sample.sum / sample.count;
    instances += 1;
    measurements += sample.count;
    sum += value;
    minimum = Math.min(minimum, isTotal ? value : sample.minimum);
    maximum = Math.max(maximum, isTotal ? value : sample.maximum);
  }
  if (instances === 0) return undefined;
  switch (statistic) {
    case 'Average':
      return sum / instances;
    case 'Sum':
      return sum;
    case 'Min':
      return minimum;
    case 'Max':
      return maximum;
    case 'Count':
      return measurements;
  }
}

/** The second stage. */
function joinGrains(aggregation: TimeAggregation, values: readonly number[]): number | undefined {
  if (values.length === 0) return undefined;
  switch (aggregation) {
    case 'Average':
      return sumOf(values) / values.length;
    case 'Minimum':
      return Math.min(...values);
    case 'Maximum':
      return Math.max(...values);
    case 'Total':
      return sumOf(values);
    case 'Count':
      return values.length;
    case 'Last':
      return values.at(-1);
  }
}

const sumOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);
