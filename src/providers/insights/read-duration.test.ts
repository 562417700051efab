import { describe, expect, it } from 'vitest';
import { requiredDuration } from './read-duration.ts';

const range = { minimum: 1_000, maximum: 8 * 24 * 3_600_000, words: '1 second to 8 days' };
const read = (text: string) => requiredDuration({ wait: [{ for: text }] }, range, 'wait', 0, 'for');

describe('a duration', () => {
  it.each([
    ['PT5M', 300],
    ['pt1h30m', 5_400],
    ['P1D', 86_400],
    ['P1W', 7 * 86_400],
    ['P1DT1H1M1S', 90_061],
    ['PT90.5S', 90],
    [' PT1S ', 1],
  ])('%s has %d seconds', (text, seconds) => {
    expect(read(text)).toBe(seconds * 1_000);
  });

  it.each(['', 'P', 'PT', 'P1DT', '5M', '00:05:00', 'P1M', 'PT-5M', 'PT0S', 'P9D'])(
    '%j is none, or out of range',
    (text) => {
      expect(() => read(text)).toThrow(expect.objectContaining({ code: 'InvalidParameter', target: 'wait[0].for' }));
    },
  );
});
