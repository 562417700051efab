import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { place, type Person, type PlacementPolicy, type Seats } from './placement.ts';

const spread: PlacementPolicy = { prefer: 'fewest-users' };
const fill: PlacementPolicy = { prefer: 'most-users', usersPerInstance: 4 };
const stranger: Person = { boundTo: undefined, sessions: 0 };
const at = (instance: string, users: number, state: 'in rotation' | 'held back' | 'away' = 'in rotation'): Seats => ({
  instance,
  users,
  reachable: state !== 'away',
  inRotation: state === 'in rotation',
});
const lands = (instance: string, isNew = true) => ({ outcome: 'placed', instance, isNew });
const waits = (because: string) => ({ outcome: 'wait', because });

describe('placement', () => {
  it.each<[string, Person, Seats[], PlacementPolicy, object]>([
    ['goes where the fewest are', stranger, [at('a', 2), at('b', 1), at('c', 3)], spread, lands('b')],
    ['takes the first of equals', stranger, [at('b', 1), at('a', 1)], spread, lands('a')],
    ['fills one after the other', stranger, [at('a', 2), at('b', 3), at('c', 0)], fill, lands('b')],
    ['passes over a full one', stranger, [at('a', 2), at('b', 4)], fill, lands('a')],
    [
      'passes over one that drains, fails or lacks a mount',
      stranger,
      [at('a', 0, 'held back'), at('b', 9)],
      spread,
      lands('b'),
    ],
    ['waits where there is nobody', stranger, [], spread, waits('nobody in rotation')],
    ['waits while nobody is in rotation', stranger, [at('a', 0, 'held back')], spread, waits('nobody in rotation')],
    ['waits for room', stranger, [at('a', 4), at('b', 4), at('c', 0, 'held back')], fill, waits('full')],
    ['comes back to their own', { boundTo: 'b', sessions: 1 }, [at('a', 0), at('b', 9)], spread, lands('b', false)],
    [
      'comes back while it drains',
      { boundTo: 'b', sessions: 0 },
      [at('a', 0), at('b', 1, 'held back')],
      spread,
      lands('b', false),
    ],
    ['comes back when it is full', { boundTo: 'b', sessions: 0 }, [at('a', 0), at('b', 4)], fill, lands('b', false)],
    [
      'goes elsewhere when their own is away',
      { boundTo: 'b', sessions: 0 },
      [at('a', 0), at('b', 1, 'away')],
      spread,
      lands('a'),
    ],
    ['goes elsewhere when their own is gone', { boundTo: 'x', sessions: 0 }, [at('a', 0)], spread, lands('a')],
    [
      'has as many sessions as the pool allows, and not one more',
      { boundTo: 'a', sessions: 3 },
      [at('a', 1)],
      { ...spread, sessionsPerUser: 3 },
      { outcome: 'refused', because: 'too many sessions' },
    ],
    [
      'may have one more below the limit',
      { boundTo: 'a', sessions: 2 },
      [at('a', 1)],
      { ...spread, sessionsPerUser: 3 },
      lands('a', false),
    ],
  ])('a person %s', (_what, person, pool, policy, expected) => {
    expect(place(person, pool, policy)).toEqual(expected);
  });

  it('never brings anybody new to an instance that is not in rotation or is full', () => {
    const seats = fc.record({
      instance: fc.string(),
      reachable: fc.boolean(),
      inRotation: fc.boolean(),
      users: fc.nat(9),
    });
    const policies = fc.record({
      prefer: fc.constantFrom<PlacementPolicy['prefer'][]>('fewest-users', 'most-users'),
      usersPerInstance: fc.option(fc.integer({ min: 1, max: 9 }), { nil: undefined }),
    });
    const pools = fc.uniqueArray(seats, { selector: (one) => one.instance });
    fc.assert(
      fc.property(pools, policies, (pool, policy) => {
        const placed = place(stranger, pool, policy);
        const open = pool.filter((one) => one.inRotation && one.users < (policy.usersPerInstance ?? Infinity));
        if (placed.outcome === 'placed') expect(open.map((one) => one.instance)).toContain(placed.instance);
        else expect(open).toEqual([]);
      }),
    );
  });
});
