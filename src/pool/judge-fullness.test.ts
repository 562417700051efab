import { describe, expect, it } from 'vitest';
import {
  bytesInWords,
  fullnessInWords,
  judgeFullness,
  nothingTold,
  percentUsed,
  type ToldOfFullness,
} from './judge-fullness.ts';

const day = 24 * 3_600_000;

/** Looks, one a row: at this time so much is used; what is told. */
function told(looks: readonly (readonly [number, number])[]): (number | undefined)[] {
  let before: ToldOfFullness = nothingTold;
  return looks.map(([now, usedBytes]) => {
    const { told: after, tell } = judgeFullness({ usedBytes, quotaBytes: 1_000 }, before, now);
    before = after;
    return tell;
  });
}

describe('judgeFullness', () => {
  it.each<[string, [number, number][], (number | undefined)[]]>([
    ['empty', [[0, 0]], [undefined]],
    ['just below', [[0, 799]], [undefined]],
    ['each threshold once', [[0, 800], [1, 820], [2, 900], [3, 951], [4, 1_000]], [80, undefined, 90, 95, undefined]], // prettier-ignore
    ['at once nearly full: the gravest alone', [[0, 990], [1, 991]], [95, undefined]], // prettier-ignore
    ['up and down around a threshold', [[0, 801], [1, 795], [2, 805], [3, 778], [4, 801]], [80, undefined, undefined, undefined, undefined]], // prettier-ignore
    ['again on the next day, when it was better between', [[0, 801], [1, 100], [day, 801]], [80, undefined, 80]], // prettier-ignore
    ['not every day, where it stays so', [[0, 801], [day, 801], [2 * day, 801]], [80, undefined, undefined]], // prettier-ignore
    ['down one threshold is no news', [[0, 960], [1, 900]], [95, undefined]], // prettier-ignore
    ['a clock that was put back', [[day, 801], [day + 1, 0], [0, 801]], [80, undefined, 80]], // prettier-ignore
  ])('%s', (_what, looks, expected) => {
    expect(told(looks)).toEqual(expected);
  });

  it('says nothing where there is no limit', () => {
    expect(judgeFullness({ usedBytes: 5, quotaBytes: 0 }, nothingTold, 0).tell).toBeUndefined();
    expect(percentUsed(999, 1_000)).toBe(99);
  });

  it('has words', () => {
    expect(bytesInWords(0)).toBe('0 bytes');
    expect(bytesInWords(1_536)).toBe('1.5 KiB');
    expect(bytesInWords(250 * 2 ** 30)).toBe('250 GiB');
    expect(fullnessInWords({ usedBytes: 9.2 * 2 ** 30, quotaBytes: 10 * 2 ** 30 })).toBe(
      '92 % full: 9.2 GiB of 10 GiB are used',
    );
  });
});
