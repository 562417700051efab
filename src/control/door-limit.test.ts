import { describe, expect, it } from 'vitest';
import { createDoorLimit } from './door-limit.ts';

function limitAt() {
  let now = 1_000_000;
  const limit = createDoorLimit({ now: () => now, sleep: () => Promise.resolve() });
  return {
    limit,
    later: (ms: number) => {
      now += ms;
    },
    /** How many of so many requests, one after the other, are let through. */
    ask: (count: number, failed: boolean) => {
      let through = 0;
      for (let at = 0; at < count; at += 1) {
        if (!limit.begin()) continue;
        through += 1;
        limit.done(failed);
      }
      return through;
    },
  };
}

describe('the limit of a door', () => {
  it('lets twenty failures a minute through', () => {
    const { ask, later } = limitAt();
    expect(ask(1_000, true)).toBe(20);
    later(59_999);
    expect(ask(1_000, true)).toBe(0);
    later(1);
    expect(ask(1_000, true)).toBe(20);
  });

  it('lets no more through when all ask at once', () => {
    const { limit } = limitAt();
    expect(Array.from({ length: 100 }, () => limit.begin()).filter(Boolean)).toHaveLength(20);
    for (let at = 0; at < 20; at += 1) limit.done(true);
    expect(limit.begin()).toBe(false);
  });

  it('bounds what succeeds, too', () => {
    const { ask, later } = limitAt();
    expect(ask(1_000, false)).toBe(120);
    later(60_000);
    expect(ask(1, false)).toBe(1);
  });

  it('counts what is no request', () => {
    const { limit } = limitAt();
    for (let at = 0; at < 20; at += 1) limit.failed();
    expect(limit.begin()).toBe(false);
  });

  it('has each thing told once a minute', () => {
    const { limit, later } = limitAt();
    const told = () => [limit.worthTelling('waiting'), limit.worthTelling('nonsense')];
    expect(told()).toEqual([true, true]);
    expect(told()).toEqual([false, false]);
    later(60_000);
    expect(told()).toEqual([true, true]);
  });
});
