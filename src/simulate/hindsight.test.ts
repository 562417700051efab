import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hindsight as hindsightOf, type Stay } from './hindsight.ts';

const hour = 3_600_000;
const hindsight = (stays: readonly Stay[], usersPerInstance: number) =>
  hindsightOf(stays, usersPerInstance, new AbortController().signal);
const stay = (user: string, from: number, to: number): Stay => ({ user, from: from * hour, to: to * hour });

describe('the best with hindsight', () => {
  it('needs as many instances as hold the people of each moment', async () => {
    const { bound, packed } = await hindsight([stay('a', 0, 4), stay('b', 1, 3), stay('c', 2, 3)], 2);
    expect(bound).toBe(5); // one from 0 to 4, another from 2 to 3
    expect(packed).toBe(5);
  });

  it('moves nobody: who stays longer keeps an instance', async () => {
    // At 2 two people would fit on one instance, but they came when both were half full with others.
    const stays = [stay('a', 0, 9), stay('b', 0, 2), stay('c', 1, 9), stay('d', 1, 2), stay('e', 1, 9)];
    const { bound, packed } = await hindsight(stays, 2);
    expect(bound).toBeLessThanOrEqual(packed);
    expect(packed).toBeLessThan(9 + 8 + 8);
  });

  it('gives one person one seat, however many sessions they have', async () => {
    expect(await hindsight([stay('a', 0, 2), stay('a', 1, 4)], 1)).toMatchObject({ bound: 4, packed: 4 });
  });

  it('lets no instance run where nobody is', async () => {
    expect(await hindsight([stay('a', 0, 1), stay('b', 5, 6)], 1)).toMatchObject({ bound: 2, packed: 2 });
  });

  it('never packs below the bound, nor above an instance for each', async () => {
    const stays = fc.array(
      fc
        .record({
          user: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g'),
          from: fc.integer({ min: 0, max: 20 }),
          long: fc.integer({ min: 1, max: 9 }),
        })
        .map(({ user, from, long }) => stay(user, from, from + long)),
      { maxLength: 14 },
    );
    await fc.assert(
      fc.asyncProperty(stays, fc.integer({ min: 1, max: 4 }), async (some, usersPerInstance) => {
        const { bound, packed } = await hindsight(some, usersPerInstance);
        const alone = (await hindsight(some, 1)).bound;
        expect(packed).toBeGreaterThanOrEqual(bound - 1e-9);
        expect(packed).toBeLessThanOrEqual(alone + 1e-9);
      }),
    );
  });
});
