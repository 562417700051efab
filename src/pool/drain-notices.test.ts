import { describe, expect, it } from 'vitest';
import { drainNotice, nextDrainNotice, type Told } from './drain-notices.ts';

const minute = 60_000;
const since = 1_000_000;
const until = since + 30 * minute;
const draining = { since, until };
const told = (stage: number): Told => ({ since, stage });
const removal = { since, reason: 'it was deleted' };

interface Case {
  what: string;
  mayKeep?: true;
  state: Parameters<typeof drainNotice>[0];
  /** Milliseconds before the end. */
  left?: number;
  told?: Told;
  says?: RegExp;
  ends?: RegExp;
  then?: Told | undefined;
}

const cases: Case[] = [
  { what: 'says nothing on a machine that stays', state: {} },
  {
    what: 'says how long when it begins, and that files stay',
    state: { draining },
    left: 30 * minute,
    says: /goes in 30 minutes.*files on the share stay/,
    then: told(100),
  },
  { what: 'says it once', state: { draining }, left: 20 * minute, told: told(100) },
  {
    what: 'says to who is idle how to keep it',
    mayKeep: true,
    state: { draining },
    left: 30 * minute,
    says: /done nothing on this machine.* it goes in 30 minutes.*'poolhouse keep 2h' here, or 'ssh POOL keep 2h'/,
    then: told(100),
  },
  {
    what: 'says it to who comes later',
    state: { draining },
    left: 17.5 * minute,
    says: /in 18 minutes/,
    then: told(100),
  },
  {
    what: 'says it ten minutes before',
    state: { draining },
    left: 10 * minute,
    told: told(100),
    says: /in 10 min/,
    then: told(10),
  },
  { what: 'not a moment sooner', state: { draining }, left: 10 * minute + 1, told: told(100) },
  {
    what: 'says it five minutes before',
    state: { draining },
    left: 5 * minute - 1_900,
    told: told(10),
    says: /in 5 min/,
    then: told(5),
  },
  { what: 'not twice', state: { draining }, left: 4 * minute, told: told(5) },
  {
    what: 'says it a minute before',
    state: { draining },
    left: minute,
    told: told(5),
    says: /in a minute/,
    then: told(1),
  },
  {
    what: 'leaves out what was missed',
    state: { draining },
    left: 30_000,
    told: told(100),
    says: /in a minute/,
    then: told(1),
  },
  {
    what: 'tells who is there at the beginning of a short one once',
    state: { draining },
    left: 3 * minute,
    says: /in 3 minutes/,
    then: told(5),
  },
  {
    what: 'ends at the end, with a reason',
    state: { draining },
    left: 0,
    told: told(1),
    ends: /time.*is over.*files/,
    then: told(0),
  },
  { what: 'ends who was told nothing, too', state: { draining }, left: -5, ends: /is over/, then: told(0) },
  { what: 'ends once', state: { draining }, left: -5, told: told(0) },
  { what: 'says that it stays, after all', state: {}, told: told(10), says: /^This machine stays\.$/, then: undefined },
  { what: 'says that to nobody who was ended', state: {}, told: told(0) },
  {
    what: 'begins again with another draining',
    state: { draining },
    left: 30 * minute,
    told: { since: 5, stage: 1 },
    says: /in 30 minutes/,
    then: told(100),
  },
  {
    what: 'ends on a machine that is removed at once',
    state: { draining, removal },
    left: minute,
    told: told(1),
    ends: /being removed/,
    then: told(0),
  },
  { what: 'ends there once', state: { removal }, told: told(0) },
  {
    what: 'speaks of hours where there are many',
    state: { draining: { since, until: until + 150 * minute } },
    left: 30 * minute,
    says: /in 3 hours/,
    then: told(100),
  },
];

describe('while a machine drains', () => {
  it.each(cases)('$what', ({ state, left = 0, told: before, mayKeep, says, ends, then }) => {
    const notice = drainNotice(state, before, until - left, mayKeep);
    if (says === undefined && ends === undefined) {
      expect(notice).toBeUndefined();
      return;
    }
    expect(notice?.told).toEqual(then);
    if (says === undefined) expect(notice).not.toHaveProperty('message');
    else expect(notice?.message).toMatch(says);
    if (ends === undefined) expect(notice).not.toHaveProperty('end');
    else expect(notice?.end).toMatch(ends);
  });

  it.each([
    [30 * minute, 10 * minute],
    [10 * minute, 5 * minute],
    [minute + 1, minute],
    [minute, 0],
    [0, undefined],
  ])('with %i ms left, there is something to say with %s ms left', (left, next) => {
    expect(nextDrainNotice(until, until - left)).toBe(next === undefined ? undefined : until - next);
  });
});
