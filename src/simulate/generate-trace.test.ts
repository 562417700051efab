import { describe, expect, it } from 'vitest';
import { generateTrace } from './generate-trace.ts';

const day = 86_400_000;

describe('a generated trace', () => {
  const week = generateTrace({ people: 60, days: 7, seed: 5 });

  it('is the same for the same seed, and another for another', () => {
    expect(generateTrace({ people: 60, days: 7, seed: 5 })).toEqual(week);
    expect(generateTrace({ people: 60, days: 7, seed: 6 })).not.toEqual(week);
  });

  it('has each person in one place at a time, working within their session', () => {
    for (const own of Map.groupBy(week, ({ user }) => user).values())
      for (const [index, { start, end, activeUntil }] of own.entries()) {
        expect(end).toBeGreaterThan(start);
        expect(activeUntil).toBeGreaterThanOrEqual(start);
        expect(activeUntil).toBeLessThanOrEqual(end);
        expect(own[index + 1]?.start ?? Infinity).toBeGreaterThan(end);
      }
  });

  it('has quiet weekends, most arrivals in the morning, and somebody at night', () => {
    const monday = Math.floor((week[0]?.start ?? 0) / day);
    const onDay = (index: number) => week.filter(({ start }) => Math.floor(start / day) - monday === index).length;
    expect(onDay(5) + onDay(6)).toBeLessThan(onDay(0) / 2);
    const first = week.filter(({ start }) => start < (monday + 1) * day);
    const early = first.filter(({ start }) => start % day < day / 2);
    expect(early.length).toBeGreaterThan(first.length / 2);
    expect(week.some(({ start, end }) => Math.floor(end / day) > Math.floor(start / day))).toBe(true);
  });
});
