import { expect, it } from 'vitest';
import { parseIsoDuration } from './iso-duration.ts';

it.each([
  ['PT30M', 1_800_000],
  ['PT1H', 3_600_000],
  ['P1DT12H', 129_600_000],
  ['P7D', 604_800_000],
  ['PT0S', 0],
  ['PT1.5S', 1_500],
  ['pt10m', 600_000],
  ['P1W', 604_800_000],
  [' PT1S ', 1_000],
])('reads %s', (text, milliseconds) => {
  expect(parseIsoDuration(text)).toBe(milliseconds);
});

it.each(['', 'P', 'PT', 'P1DT', '30M', 'PT-1M', 'P1Y', 'P1M', 'PT1M30', 'PT1.5M'])(
  'does not take %s for one',
  (text) => {
    expect(parseIsoDuration(text)).toBeUndefined();
  },
);
