/**
 * What can be measured of a pool, and how measurements are handed around: as grains, spans of time in which each instance
 * has said something. Metrics of instances have Azure's names
 * (https://learn.microsoft.com/azure/virtual-machines/monitor-vm-reference); those of the pool are our own. Pure.
 */
import type { EpochMillis } from '../core/time.ts';

/** Of each instance, as the engine measures it. */
export const instanceMetrics = [
  'Percentage CPU',
  'Available Memory Bytes',
  'Percentage Memory',
  'Network In Total',
  'Network Out Total',
  'Disk Read Bytes',
  'Disk Write Bytes',
] as const;

/** Of people. `Active Sessions` and `Connected Users` are of each instance; the others are one number of the whole pool. */
export const sessionMetrics = [
  'Active Sessions',
  'Connected Users',
  'Users Per Instance',
  'Waiting Users',
  'Available Seats',
] as const;

export type InstanceMetricName = (typeof instanceMetrics)[number];
export type SessionMetricName = (typeof sessionMetrics)[number];
export type MetricName = InstanceMetricName | SessionMetricName;

/** What one instance said within a grain; several measurements taken together. */
export interface MetricSample {
  /** Its name in the engine; '' where the metric is of the whole pool. */
  instance: string;
  count: number;
  sum: number;
  minimum: number;
  maximum: number;
  last: number;
}

/** A span of time of a metric. One without samples is a gap: nothing was measured. */
export interface MetricGrain {
  start: EpochMillis;
  samples: readonly MetricSample[];
}
