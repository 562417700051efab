/** Reads what was measured of a scale set, for autoscale and for clients that ask for metrics. */
import type { MetricName } from '../pool/metrics.ts';
import type { MetricSource } from '../providers/insights/insights.ts';

export interface MetricReader extends MetricSource {
  /** What a metric of people is at this moment, by instance ('' for those of the whole pool); undefined where it is not known. */
  current(scaleSetKey: string, metric: MetricName): ReadonlyMap<string, number> | undefined;
}
