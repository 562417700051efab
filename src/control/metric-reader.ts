/** Reads what was measured of a scale set, for autoscale and for clients that ask for metrics. */
import type { MetricGrain, MetricName } from '../pool/metrics.ts';
import type { EpochMillis } from '../core/time.ts';

export interface MetricReader {
  /**
   * The grains that begin in [from, to), oldest first; the one that is not over yet comes last and holds what was measured so
   * far. A grain in which nothing was measured has no samples. `grainMilliseconds` is a whole number of minutes.
   */
  read(
    scaleSetKey: string,
    metric: MetricName,
    from: EpochMillis,
    to: EpochMillis,
    grainMilliseconds: number,
  ): Promise<readonly MetricGrain[]>;
  /** What a metric of people is at this moment, by instance ('' for those of the whole pool); undefined where it is not known. */
  current(scaleSetKey: string, metric: MetricName): ReadonlyMap<string, number> | undefined;
}
