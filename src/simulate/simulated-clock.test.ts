import { describe, expect, it } from 'vitest';
import { createSimulatedClock } from './simulated-clock.ts';

const { signal } = new AbortController();

describe('simulated time', () => {
  it('keeps appointments in the order of time, and those of one time in the order in which they were made', async () => {
    const clock = createSimulatedClock(1_000);
    const seen: string[] = [];
    for (const [time, name] of [
      [1_300, 'd'],
      [1_100, 'a'],
      [1_200, 'b'],
      [1_200, 'c'],
      [1_050, '0'],
    ] as const)
      clock.at(time, () => seen.push(`${name} ${clock.now()}`));
    await clock.runUntil(1_250, signal);
    expect(seen).toEqual(['0 1050', 'a 1100', 'b 1200', 'c 1200']);
    expect(clock.now()).toBe(1_250);
    await clock.runUntil(2_000, signal);
    expect(seen.at(-1)).toBe('d 1300');
  });

  it('does what follows from an appointment before the next one', async () => {
    const clock = createSimulatedClock(0);
    const seen: string[] = [];
    const sleeper = async () => {
      await clock.sleep(10);
      for (let step = 0; step < 5; step += 1) await Promise.resolve();
      seen.push(`awake at ${clock.now()}`);
      await clock.sleep(5);
      seen.push(`awake at ${clock.now()}`);
    };
    const done = sleeper();
    clock.at(11, () => seen.push('next'));
    await clock.runUntil(100, signal);
    await done;
    expect(seen).toEqual(['awake at 10', 'next', 'awake at 15']);
  });

  it('takes what should have been done before for what is to be done now', async () => {
    const clock = createSimulatedClock(500);
    let seen = 0;
    clock.at(100, () => (seen = clock.now()));
    await clock.runUntil(600, signal);
    expect(seen).toBe(500);
  });

  it('ends at once when its signal aborts', async () => {
    const clock = createSimulatedClock(0);
    const stop = new AbortController();
    clock.at(10, () => {
      stop.abort(new Error('stopped'));
    });
    clock.at(20, () => expect.unreachable());
    await expect(clock.runUntil(100, stop.signal)).rejects.toThrow('stopped');
    expect(clock.now()).toBe(10);
  });

  it('keeps the order of many appointments, whatever order they were made in', async () => {
    const clock = createSimulatedClock(0);
    const times = Array.from({ length: 500 }, (_, index) => (index * 7919) % 1_009);
    const seen: number[] = [];
    for (const time of times) clock.at(time, () => seen.push(time));
    await clock.runUntil(2_000, signal);
    expect(seen).toEqual(times.toSorted((a, b) => a - b));
  });
});
