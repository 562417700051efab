import { describe, expect, it } from 'vitest';
import {
  describeMounts,
  isBad,
  isBeyondRepair,
  judgeMounts,
  noteTry,
  planMountRepairs,
  type MountFound,
  type MountTrouble,
} from './judge-mounts.ts';

const second = 1_000;
const found = (state: MountFound['state'], change: Partial<MountFound> = {}): MountFound => ({
  ...{ path: '/mnt/shared', origin: 'attached', what: 'the share team/notebooks', message: 'nothing is there' },
  state,
  ...change,
});
const trouble = (change: Partial<MountTrouble> = {}): MountTrouble => ({
  ...found('missing'),
  ...{ since: 0, looks: 2, tries: 0 },
  ...change,
});

describe('looks at mounts', () => {
  it.each<{ what: string; looks: [seconds: number, state: MountFound['state']][]; bad: boolean }>([
    { what: 'a good one', looks: [[0, 'well']], bad: false },
    { what: 'one bad one', looks: [[0, 'missing']], bad: false },
    {
      what: 'two bad ones',
      looks: [
        [0, 'missing'],
        [5, 'missing'],
      ],
      bad: true,
    },
    {
      what: 'two that are bad in two ways',
      looks: [
        [0, 'hanging'],
        [5, 'failing'],
      ],
      bad: true,
    },
    {
      what: 'a bad one, a good one, a bad one',
      looks: [
        [0, 'missing'],
        [5, 'well'],
        [10, 'missing'],
      ],
      bad: false,
    },
    {
      what: 'two bad ones and a good one',
      looks: [
        [0, 'missing'],
        [5, 'missing'],
        [10, 'well'],
      ],
      bad: false,
    },
  ])('$what: bad $bad', ({ looks, bad }) => {
    let troubles: MountTrouble[] = [];
    for (const [at, state] of looks) troubles = judgeMounts(troubles, [found(state)], at * second);
    const end = (looks.at(-1)?.[0] ?? 0) * second;
    expect(troubles.some((one) => isBad(one, end))).toBe(bad);
  });

  it('make what nobody has looked at again for twenty seconds count', () => {
    const [one] = judgeMounts([], [found('hanging')], 0);
    expect(one !== undefined && [isBad(one, 19 * second), isBad(one, 20 * second)]).toEqual([false, true]);
  });

  it('remember since when, and what was tried', () => {
    const [first] = judgeMounts([], [found('missing')], second);
    const tried = first === undefined ? [] : [noteTry(first, 'no', 2 * second)];
    expect(judgeMounts(tried, [found('wrong')], 3 * second)).toEqual([
      { ...found('wrong'), since: second, looks: 2, tries: 1, triedAt: 2 * second, failure: 'no' },
    ]);
  });

  it('forget what is told of no more', () => {
    expect(judgeMounts([trouble()], [], second)).toEqual([]);
  });
});

describe('mending', () => {
  it.each<{ what: string; one: Partial<MountTrouble>; at: number; repairs: object[] }>([
    { what: 'not after one look', one: { looks: 1 }, at: 1, repairs: [] },
    { what: 'what is missing', one: {}, at: 1, repairs: [{ repair: 'attach', path: '/mnt/shared', uncover: false }] },
    {
      what: 'what is hidden',
      one: { state: 'wrong' },
      at: 1,
      repairs: [{ repair: 'attach', path: '/mnt/shared', uncover: true }],
    },
    {
      what: 'what the table wants',
      one: { origin: 'table' },
      at: 1,
      repairs: [{ repair: 'mount', path: '/mnt/shared', uncover: false }],
    },
    { what: 'not at once what hangs', one: { state: 'hanging', origin: 'table' }, at: 59, repairs: [] },
    {
      what: 'what hangs for a minute',
      one: { state: 'hanging', origin: 'table' },
      at: 60,
      repairs: [{ repair: 'mount', path: '/mnt/shared', uncover: true }],
    },
    { what: 'never what a script has mounted', one: { state: 'hanging', origin: 'other' }, at: 600, repairs: [] },
    { what: 'not again at once', one: { tries: 1, triedAt: 5 * second }, at: 14, repairs: [] },
    {
      what: 'again after a while',
      one: { tries: 1, triedAt: 5 * second },
      at: 15,
      repairs: [{ repair: 'attach', path: '/mnt/shared', uncover: false }],
    },
    { what: 'ever more seldom', one: { tries: 9, triedAt: 0 }, at: 119, repairs: [] },
  ])('$what', ({ one, at, repairs }) => {
    expect(planMountRepairs([trouble(one)], at * second)).toEqual(repairs);
  });

  it.each([
    { what: 'a new one', one: {}, at: 1, beyond: false },
    { what: 'one that was tried four times', one: { tries: 4 }, at: 1, beyond: true },
    { what: 'one of ten minutes, whatever was tried', one: { origin: 'other' as const }, at: 600, beyond: true },
  ])('does not help $what: $beyond', ({ one, at, beyond }) => {
    expect(isBeyondRepair(trouble(one), at * second)).toBe(beyond);
  });
});

describe('in words', () => {
  it.each([
    { what: 'nothing that may be chance', one: { looks: 1 }, at: 1, replaced: false, says: undefined },
    {
      what: 'what is missing',
      one: {},
      at: 1,
      replaced: false,
      says: 'the share team/notebooks is not mounted at /mnt/shared',
    },
    {
      what: 'why it could not be mounted',
      one: { failure: 'no such share' },
      at: 1,
      replaced: false,
      says: 'the share team/notebooks is not mounted at /mnt/shared; mounting it again failed: no such share',
    },
    {
      what: 'what an operator is to do',
      one: { tries: 4, state: 'failing' as const, message: 'Stale file handle' },
      at: 1,
      replaced: false,
      says: /^the share team\/notebooks fails at \/mnt\/shared \(Stale file handle\); mending does not help: .*az vmss reimage/,
    },
    { what: 'what becomes of it', one: { tries: 4 }, at: 1, replaced: true, says: /automatic repairs replace/ },
  ])('$what', ({ one, at, replaced, says }) => {
    const text = describeMounts([trouble(one)], { replaced }, at * second);
    if (says instanceof RegExp) expect(text).toMatch(says);
    else expect(text).toBe(says);
  });
});
