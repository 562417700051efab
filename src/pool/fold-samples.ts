/** Takes measurements together: to samples of an instance, and samples to grains of time. Pure. */
import type { EpochMillis } from '../core/time.ts';
import type { MetricGrain, MetricSample } from './metrics.ts';

/** One measurement as a sample. */
export function sampleOf(instance: string, value: number): MetricSample {
  return { instance, count: 1, sum: value, minimum: value, maximum: value, last: value };
}

/** Two samples of one instance as one; `later` says what was last. */
export function joinSamples(earlier: MetricSample, later: MetricSample): MetricSample {
  return {
    instance: earlier.instance,
    count: earlier.count + later.count,
    sum: earlier.sum + later.sum,
    minimum: Math.min(earlier.minimum, later.minimum),
    maximum: Math.max(earlier.maximum, later.maximum),
    last: later.last,
  };
}

/** The grain, of those counted from 1970 on, that a time lies in. */
export function grainStart(at: EpochMillis, grainMilliseconds: number): EpochMillis {
  return Math.floor(at / grainMilliseconds) * grainMilliseconds;
}

/** When the grains begin that begin in [from, to). */
export function grainStarts(from: EpochMillis, to: EpochMillis, grainMilliseconds: number): EpochMillis[] {
  const starts: EpochMillis[] = [];
  const first = Math.ceil(from / grainMilliseconds) * grainMilliseconds;
  for (let start = first; start < to; start += grainMilliseconds) starts.push(start);
  return starts;
}

/**
 * Samples, each with the time that it begins at and in the order of time, as the grains that begin at `starts`. What lies
 * outside them is left out; a grain in which nothing was measured has no samples.
 */
export function foldIntoGrains(
  samples: Iterable<{ start: EpochMillis; sample: MetricSample }>,
  starts: readonly EpochMillis[],
  grainMilliseconds: number,
): MetricGrain[] {
  const grains = new Map(starts.map((start) => [start, new Map<string, MetricSample>()]));
  for (const { start, sample } of samples) {
    const grain = grains.get(grainStart(start, grainMilliseconds));
    const earlier = grain?.get(sample.instance);
    grain?.set(sample.instance, earlier === undefined ? sample : joinSamples(earlier, sample));
  }
  return [...grains].map(([start, byInstance]) => ({ start, samples: [...byInstance.values()] }));
}
