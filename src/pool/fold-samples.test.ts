import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { foldIntoGrains, grainStarts, joinSamples, sampleOf } from './fold-samples.ts';
import type { MetricSample } from './metrics.ts';

const minute = 60_000;

describe('samples', () => {
  it('say how many measurements there were, their sum, the least, the most and the last', () => {
    expect([3, 9, 1, 4].map((value) => sampleOf('a', value)).reduce(joinSamples)).toEqual({
      ...{ instance: 'a', count: 4, sum: 17, minimum: 1, maximum: 9, last: 4 },
    });
  });
});

describe('grains', () => {
  it('begin at whole multiples of their length, from the first that begins within the time asked for', () => {
    expect(grainStarts(0, 3 * minute, minute)).toEqual([0, minute, 2 * minute]);
    expect(grainStarts(1, 3 * minute + 1, minute)).toEqual([minute, 2 * minute, 3 * minute]);
    expect(grainStarts(minute, 20 * minute, 5 * minute)).toEqual([5 * minute, 10 * minute, 15 * minute]);
    expect(grainStarts(minute, minute, minute)).toEqual([]);
  });

  it('hold the samples of each instance, and none where nothing was measured', () => {
    const samples = [
      { start: 0, sample: sampleOf('a', 1) },
      { start: minute, sample: sampleOf('a', 5) },
      { start: minute, sample: sampleOf('b', 2) },
      { start: 10 * minute, sample: sampleOf('a', 7) },
      { start: 15 * minute, sample: sampleOf('a', 100) },
    ];
    expect(foldIntoGrains(samples, [0, 5 * minute, 10 * minute], 5 * minute)).toEqual([
      { start: 0, samples: [{ ...sampleOf('a', 5), count: 2, sum: 6, minimum: 1 }, sampleOf('b', 2)] },
      { start: 5 * minute, samples: [] },
      { start: 10 * minute, samples: [sampleOf('a', 7)] },
    ]);
  });

  it('are the same whether minutes are folded at once or by way of shorter grains', () => {
    const measurement = fc.record({
      at: fc.nat({ max: 119 }),
      instance: fc.constantFrom('a', 'b', 'c'),
      value: fc.nat({ max: 1_000 }),
    });
    const byTime = (list: readonly { at: number; instance: string; value: number }[]) =>
      list
        .toSorted((one, other) => one.at - other.at)
        .map(({ at, instance, value }) => ({ start: at * minute, sample: sampleOf(instance, value) }));
    const sorted = (samples: readonly MetricSample[]) =>
      samples.toSorted((one, other) => one.instance.localeCompare(other.instance));
    fc.assert(
      fc.property(fc.array(measurement), (list) => {
        const hours = [0, 60 * minute];
        const atOnce = foldIntoGrains(byTime(list), hours, 60 * minute);
        const fives = foldIntoGrains(byTime(list), grainStarts(0, 120 * minute, 5 * minute), 5 * minute);
        const inSteps = foldIntoGrains(
          fives.flatMap(({ start, samples }) => samples.map((sample) => ({ start, sample }))),
          hours,
          60 * minute,
        );
        expect(inSteps.map((grain) => ({ ...grain, samples: sorted(grain.samples) }))).toEqual(
          atOnce.map((grain) => ({ ...grain, samples: sorted(grain.samples) })),
        );
        expect(atOnce.flatMap(({ samples }) => samples).reduce((count, one) => count + one.count, 0)).toBe(list.length);
      }),
    );
  });
});
