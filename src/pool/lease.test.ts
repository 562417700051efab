import { describe, expect, it } from 'vitest';
import { readLeaseEnd } from './lease.ts';

const at = (day: number, hours: number, minutes = 0) => new Date(2026, 2, day, hours, minutes).getTime();

describe('the end of a lease', () => {
  it.each([
    ['90m', at(3, 13, 30)],
    ['90min', at(3, 13, 30)],
    ['2h', at(3, 14)],
    ['1h30m', at(3, 13, 30)],
    ['1d', at(4, 12)],
    ['18:00', at(3, 18)],
    ['9:05', at(4, 9, 5)],
    ['12:00', at(4, 12)],
  ])('%s, asked at noon', (text, end) => {
    expect(readLeaseEnd(text, at(3, 12))).toBe(end);
  });

  it.each(['', '0h', '2', 'h', '2 h', '-1h', '24:00', '18:60', '18:0', '6pm', 'tomorrow', '1h1h', '99999h', 'NaNh'])(
    'is not %j',
    (text) => {
      expect(readLeaseEnd(text, at(3, 12))).toBeUndefined();
    },
  );
});
