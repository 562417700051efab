import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isIdle, isWorking } from './idle.ts';

const minute = 60_000;

describe('somebody', () => {
  it.each([
    ['is idle when they have done nothing for as long as the operator says', 120 * minute, 120 * minute, true],
    ['is not idle a moment before', 120 * minute - 1, 120 * minute, false],
    ['is never idle where the operator wants nobody to be', 10 ** 9, undefined, false],
  ])('%s', (_, now, idleMilliseconds, expected) => {
    expect(isIdle(0, now, idleMilliseconds)).toBe(expected);
  });

  it('who is idle stays so until they do something', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), fc.nat(), fc.integer({ min: 1, max: 10 ** 8 }), (activeAt, now, later, idle) => {
        if (isIdle(activeAt, now, idle)) expect(isIdle(activeAt, now + later, idle)).toBe(true);
        expect(isIdle(now, now, idle)).toBe(false);
      }),
    );
  });
});

describe('processes', () => {
  it.each([
    ['that compute work', { cpuMilliseconds: 9_000, bytes: 0 }, true],
    ['that use two hundredths of a CPU work', { cpuMilliseconds: 200, bytes: 0 }, true],
    ['that only wake now and then do not', { cpuMilliseconds: 190, bytes: 0 }, false],
    ['that wait for a slow download work', { cpuMilliseconds: 10, bytes: 1_000 }, true],
    ['that write a line work', { cpuMilliseconds: 0, bytes: 80 }, true],
    ['that sleep do not', { cpuMilliseconds: 0, bytes: 0 }, false],
  ])('%s', (_, use, expected) => {
    expect(isWorking(use, 10_000)).toBe(expected);
  });
});
