import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { generateTrace } from './generate-trace.ts';
import { hindsight } from './hindsight.ts';
import { replay, type Replay, type ReplayOptions } from './replay.ts';
import { hoursOf } from './tally.ts';
import { bySeats, nine, pool, rule, session, setting } from './test-support.ts';
import type { TraceSession } from './trace.ts';

const { signal } = new AbortController();
const minute = 60_000;
const run = (sessions: readonly TraceSession[], chosen = setting(bySeats), options: Partial<ReplayOptions> = {}) =>
  replay(sessions, chosen, { ...pool, ...options }, signal);
const peakOf = ({ timeline }: Replay) => Math.max(...timeline.map(({ running }) => running));
/** Rules that do nothing: what happens then is waking, and nothing else. */
const never = [rule('Waiting Users', 'GreaterThan', 1_000, 'Increase')];

describe('a replay', () => {
  it('wakes an empty pool for who comes, who waits as long as a new instance takes', async () => {
    const { waits, visits } = await run([session('alice', 10, 50)], setting(never));
    expect(waits).toEqual([4_400]);
    expect(visits).toMatchObject([{ user: 'alice', from: nine + 10 * minute + 4_400, to: nine + 50 * minute }]);
  });

  it.each([
    ['stopped', 1_150],
    ['frozen', 140],
  ] as const)('takes a standby first: one that is %s is there in %d ms', async (as, wait) => {
    const { waits } = await run([session('alice', 10, 50)], setting(never), { standby: { count: 1, as } });
    expect(waits).toEqual([wait]);
  });

  it('grows a second after people have come, without waiting for a minute’s grain', async () => {
    const { timeline } = await run([session('alice', 10, 50), session('bob', 11.5, 50)]);
    const grown = timeline.find(({ asked }) => asked === 2);
    expect(grown?.at).toBe(nine + 11.5 * minute + 1_000);
  });

  it('shrinks when they have gone, and never goes below its minimum or above its maximum', async () => {
    const sessions = Array.from({ length: 12 }, (_, index) => session(`user${index}`, 5 + index, 60 + index));
    const { timeline } = await run([...sessions, session('last', 0, 240)], setting(bySeats, 1, 4));
    expect(Math.max(...timeline.map(({ asked }) => asked))).toBe(4);
    expect(Math.min(...timeline.map(({ asked }) => asked))).toBe(1);
    expect(timeline.at(-1)?.running).toBe(1);
  });

  it('has those wait who find no room, first come, first served', async () => {
    const sessions = ['a', 'b', 'c', 'd'].map((user, index) => session(user, 10 + index, 100 + 10 * index));
    const { visits, waits } = await run(sessions, setting(never, 1, 1));
    expect(visits.map(({ user }) => user)).toEqual(['a', 'b', 'c', 'd']);
    expect(visits.map(({ from }) => from)).toEqual([10, 11, 100, 110].map((at) => nine + at * minute));
    expect(waits.filter((wait) => wait > 0)).toEqual([88 * minute, 97 * minute]);
  });

  it('ends no session beside somebody who works, however much a rule wants less', async () => {
    const greedy = setting([rule('Connected Users', 'LessThan', 100, 'Decrease')]);
    const { ended, atRisk, visits } = await run([session('alice', 0, 300), session('bob', 0, 300, 30)], greedy);
    expect(visits.map(({ to }) => to)).toEqual([nine + 300 * minute, nine + 300 * minute]);
    expect([ended, atRisk]).toEqual([new Set(), new Set()]);
  });

  it('drains an instance of idle people, and ends what is left there when its time is over', async () => {
    const sessions = [session('alice', 1, 300, 30), session('bob', 2, 300)];
    const shrinking = setting(
      [rule('Waiting Users', 'GreaterThan', 0, 'Increase'), rule('Available Seats', 'LessThan', 100, 'Decrease')],
      0,
    );
    const { ended, atRisk, timeline } = await run(sessions, shrinking, {
      placement: { prefer: 'most-users', usersPerInstance: 1 },
    });
    expect(ended).toEqual(new Set(['alice']));
    expect(atRisk).toEqual(new Set());
    expect(timeline.findLast(({ at }) => at < nine + 290 * minute)?.running).toBe(1);
  });

  it('reads CPU from the people who work, so that Azure’s usual rules can be replayed', async () => {
    const busy = [
      rule('Percentage CPU', 'GreaterThan', 75, 'Increase'),
      rule('Percentage CPU', 'LessThan', 25, 'Decrease'),
    ];
    const sessions = [session('alice', 0, 120), session('bob', 0, 60)];
    const { timeline } = await run(sessions, setting(busy, 1));
    const grown = timeline.find(({ asked }) => asked === 2);
    expect(grown?.at).toBeGreaterThan(nine);
    expect((grown?.at ?? 0) % minute).toBe(0);
    expect(timeline.findLast(({ at }) => at < nine + 119 * minute)?.asked).toBe(2); // 25 % is not below 25 %
  });

  it('stops at once when it is told to', async () => {
    const stop = new AbortController();
    stop.abort(new Error('enough'));
    await expect(replay([session('a', 0, 9)], setting(bySeats), pool, stop.signal)).rejects.toThrow('enough');
  });

  const cases = fc.record({
    people: fc.integer({ min: 1, max: 25 }),
    seed: fc.integer({ min: 0, max: 10_000 }),
    usersPerInstance: fc.integer({ min: 1, max: 4 }),
    standby: fc.record({
      count: fc.integer({ min: 0, max: 2 }),
      as: fc.constantFrom('stopped' as const, 'frozen' as const),
    }),
    maximum: fc.integer({ min: 1, max: 15 }),
    prefer: fc.constantFrom('most-users' as const, 'fewest-users' as const),
  });

  it('keeps its promises on any day', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ people, seed, usersPerInstance, standby, maximum, prefer }) => {
        const sessions = generateTrace({ people, days: 1, seed });
        if (sessions.length === 0) return;
        const options = { standby, placement: { prefer, usersPerInstance } };
        const day = () => run(sessions, setting(bySeats, 0, maximum), options);
        const one = await day();
        expect(await day()).toEqual(one); // the same day, the same replay
        expectConserved(one);
        expectPlacedWell(one, usersPerInstance, standby.count === 0);
        // Nobody can do with fewer than hold those who were there; with hindsight all could have been.
        const stays = one.visits.map(({ user, from, to }) => ({ user, from, to: to ?? one.to }));
        const hours = hoursOf(one.timeline, 'running', one.to);
        expect((await hindsight(stays, usersPerInstance, signal)).bound).toBeLessThanOrEqual(hours + 1e-9);
        expect(one.atRisk).toEqual(new Set());
        expect(peakOf(one)).toBeLessThanOrEqual(maximum + standby.count + maximum); // those that drain, too
      }),
      { numRuns: 12 },
    );
  }, 60_000);
});

/** Instance-hours are what the instances' lives add up to. */
function expectConserved({ timeline, lives, to }: Replay): void {
  const lived = lives.reduce((sum, life) => sum + (life.to - life.from), 0) / 3_600_000;
  expect(hoursOf(timeline, 'running', to)).toBeCloseTo(lived, 6);
}

function expectPlacedWell({ visits, lives, to }: Replay, usersPerInstance: number, allNew: boolean): void {
  for (const visit of visits) {
    const life = lives.find(
      (one) => one.instance === visit.instance && one.from <= visit.from && (visit.to ?? to) <= one.to,
    );
    // On an instance that was there all the time, and not before it could be ready.
    expect(life).toBeDefined();
    if (allNew) expect(visit.from - (life?.from ?? 0)).toBeGreaterThanOrEqual(4_400);
    const sameTime = visits.filter(({ from, to: end }) => from <= visit.from && visit.from < (end ?? to));
    // Nobody is in two places, and no instance has more than it takes.
    for (const other of sameTime) if (other.user === visit.user) expect(other.instance).toBe(visit.instance);
    const there = new Set(sameTime.filter(({ instance }) => instance === visit.instance).map(({ user }) => user));
    expect(there.size).toBeLessThanOrEqual(usersPerInstance);
  }
}
