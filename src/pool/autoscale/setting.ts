/**
 * An autoscale setting as typed values: what a team asks for, and nothing of what was found. Only types and the words they
 * are made of; `providers/insights/autoscale-setting-model.ts` reads a document into it.
 * https://learn.microsoft.com/azure/azure-monitor/autoscale/autoscale-understanding-settings
 */
import type { EpochMillis } from '../../core/time.ts';
import type { MetricName } from '../metrics.ts';

/** How what the instances said within a time grain becomes one value. */
export const statistics = ['Average', 'Min', 'Max', 'Sum', 'Count'] as const;
/** How the values of the time grains become one value of the window. */
export const timeAggregations = ['Average', 'Minimum', 'Maximum', 'Total', 'Count', 'Last'] as const;
export const operators = [
  'Equals',
  'NotEquals',
  'GreaterThan',
  'GreaterThanOrEqual',
  'LessThan',
  'LessThanOrEqual',
] as const;
/** `ServiceAllowedNextValue` is a change by a count here: every count is allowed. */
export const changeTypes = ['ChangeCount', 'PercentChangeCount', 'ExactCount', 'ServiceAllowedNextValue'] as const;
/** `None` does nothing. */
export const directions = ['Increase', 'Decrease', 'None'] as const;
/** In the order of `Date.prototype.getUTCDay`. */
export const weekdays = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'] as const;

export type Statistic = (typeof statistics)[number];
export type TimeAggregation = (typeof timeAggregations)[number];
export type Operator = (typeof operators)[number];

/** When a rule fires. */
export interface MetricTrigger {
  metric: MetricName;
  statistic: Statistic;
  timeGrainMilliseconds: number;
  /** How far it looks back. */
  timeWindowMilliseconds: number;
  timeAggregation: TimeAggregation;
  operator: Operator;
  threshold: number;
  /** The value counts divided by the capacity. */
  dividePerInstance: boolean;
}

/** What a rule does. */
export interface ScaleAction {
  direction: (typeof directions)[number];
  type: (typeof changeTypes)[number];
  /** A count of instances, or a percentage of them. */
  value: number;
  /** For so long nothing is changed after it. */
  cooldownMilliseconds: number;
}

export interface ScaleRule {
  trigger: MetricTrigger;
  action: ScaleAction;
}

/** Inclusive; minimum ≤ default ≤ maximum. */
export interface CapacityBounds {
  minimum: number;
  maximum: number;
  /** What is made sure of while metrics cannot be read. */
  default: number;
}

/** A local time of day on some days of the week, at which a profile begins; with several hours and minutes, at each of them. */
export interface Recurrence {
  /** An IANA name. */
  timeZone: string;
  days: readonly (typeof weekdays)[number][];
  hours: readonly number[];
  minutes: readonly number[];
}

/** What holds at a time. One without `fixedDate` and `recurrence` is the default profile. */
export interface AutoscaleProfile {
  name: string;
  capacity: CapacityBounds;
  rules: readonly ScaleRule[];
  /** In force from `start`, before `end`. */
  fixedDate: { start: EpochMillis; end: EpochMillis } | undefined;
  recurrence: Recurrence | undefined;
}

export interface AutoscaleSetting {
  enabled: boolean;
  /** The id of the scale set, as it was written. */
  target: string;
  profiles: readonly AutoscaleProfile[];
}
