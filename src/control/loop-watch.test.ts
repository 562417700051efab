import { describe, expect, it } from 'vitest';
import { PoolhouseError } from '../core/errors.ts';
import { createLoopWatch } from './loop-watch.ts';
import { nobodyObserves } from './observer.ts';

describe('the watch over loops', () => {
  it('knows when a loop made its last pass, when it is due, and why it fails', async () => {
    let now = 1_000;
    const told: string[] = [];
    const clock = { now: () => now, sleep: () => Promise.resolve() };
    const watch = createLoopWatch(clock, {
      ...nobodyObserves,
      passEnded: (loop, outcome, milliseconds) => told.push(`${loop} ${outcome} ${milliseconds}`),
    });
    let failure: Error | undefined;
    const { pass } = watch.watch({
      name: 'shares',
      pass: () => {
        now += 10;
        return failure === undefined ? Promise.resolve(500) : Promise.reject(failure);
      },
    });
    const { signal } = new AbortController();
    const facts = { name: 'shares', succeededAt: undefined, dueAt: 1_000, failures: 0, failure: undefined };
    expect(watch.facts()).toEqual([facts]);
    expect(await pass(signal)).toBe(500);
    expect(watch.facts()).toEqual([{ ...facts, succeededAt: 1_010, dueAt: 1_510 }]);
    failure = new PoolhouseError('EngineUnavailable', 'the daemon is away');
    for (const failures of [1, 2]) {
      await expect(pass(signal)).rejects.toBe(failure);
      const failing = { succeededAt: 1_010, dueAt: 1_510, failures, failure: 'the daemon is away' };
      expect(watch.facts()).toEqual([{ ...facts, ...failing }]);
    }
    await expect(pass(AbortSignal.abort())).rejects.toBe(failure);
    expect(watch.facts()[0]?.failures).toBe(2);
    failure = undefined;
    await pass(signal);
    expect(watch.facts()).toEqual([{ ...facts, succeededAt: 1_050, dueAt: 1_550 }]);
    expect(told).toEqual([
      'shares succeeded 10',
      'shares failed 10',
      'shares failed 10',
      'shares stopped 10',
      'shares succeeded 10',
    ]);
  });
});
