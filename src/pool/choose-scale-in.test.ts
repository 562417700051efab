import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chooseScaleIn, scaleInRules, type ScaleInCandidate } from './choose-scale-in.ts';

const one = (instanceId: number, changes: Partial<ScaleInCandidate> = {}): ScaleInCandidate => ({
  ...{ instanceId, zone: undefined, isProtected: false, people: 'nobody', alreadyDraining: false },
  ...changes,
});
const inZones = (...zones: number[][]) =>
  zones.flatMap((ids, index) => ids.map((id) => one(id, { zone: String(index + 1) })));

describe('what a smaller capacity takes away', () => {
  // The example of Azure's documentation of scale-in policies, three zones.
  const azure = inZones([3, 4, 5, 10], [2, 6, 9, 11], [1, 7, 8]);
  it.each([
    ['OldestVM', [2, 3, 1, 4, 6, 5]],
    ['NewestVM', [11, 10, 9, 8, 5, 7]],
    ['Default', [11, 10, 9, 8, 5, 7]],
  ] as const)('by %s, over zones', (rule, expected) => {
    expect(chooseScaleIn(azure, 6, rule)).toEqual(expected);
  });

  it.each([
    ['by the highest id', [one(0), one(1), one(2)], 'Default', [2, 1]],
    ['by the lowest id where the oldest goes', [one(0), one(1), one(2)], 'OldestVM', [0, 1]],
    ['never where it is protected', [one(0), one(1, { isProtected: true })], 'NewestVM', [0]],
    [
      'what goes already before all else',
      [one(0, { alreadyDraining: true, people: 'active' }), one(1)],
      'Default',
      [0, 1],
    ],
    ['where nobody is, whatever the rule', [one(0, { people: 'active' }), one(1), one(2)], 'OldestVM', [1, 2]],
    [
      'where nobody is, though its zone has fewer',
      [one(0, { zone: '1', people: 'active' }), one(1, { zone: '1', people: 'active' }), one(2, { zone: '2' })],
      'Default',
      [2, 1],
    ],
  ] as const)('%s', (_, candidates, rule, expected) => {
    expect(chooseScaleIn(candidates, 2, rule)).toEqual(expected);
  });

  it('is nobody protected, nobody twice, and no more than was asked', () => {
    const candidates = fc
      .array(
        fc.record({
          zone: fc.constantFrom(undefined, '1', '2'),
          isProtected: fc.boolean(),
          people: fc.constantFrom('nobody' as const, 'idle' as const, 'active' as const),
          alreadyDraining: fc.boolean(),
        }),
        { maxLength: 12 },
      )
      .map((all) => all.map((each, instanceId) => ({ instanceId, ...each })));
    fc.assert(
      fc.property(
        candidates,
        fc.integer({ min: -2, max: 15 }),
        fc.constantFrom(...scaleInRules),
        (all, count, rule) => {
          const chosen = chooseScaleIn(all, count, rule);
          const free = all.filter((each) => !each.isProtected).map(({ instanceId }) => instanceId);
          expect(new Set(chosen).size).toBe(chosen.length);
          expect(chosen.length).toBe(Math.max(0, Math.min(count, free.length)));
          for (const id of chosen) expect(free).toContain(id);
        },
      ),
    );
  });

  it('is what choosing one, and then one of those that are left, would take away', () => {
    const candidate = fc.record({
      zone: fc.constantFrom(undefined, '1', '2', '3'),
      isProtected: fc.boolean(),
      people: fc.constantFrom('nobody' as const, 'idle' as const, 'active' as const),
      alreadyDraining: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.array(candidate, { maxLength: 20 }),
        fc.integer({ min: 0, max: 20 }),
        fc.constantFrom(...scaleInRules),
        (all, count, rule) => {
          let left = withIds(all);
          const oneByOne: number[] = [];
          for (let taken = 0; taken < count; taken += 1) {
            const [next] = chooseScaleIn(left, 1, rule);
            left = left.filter(({ instanceId }) => instanceId !== next);
            if (next !== undefined) oneByOne.push(next);
          }
          expect(chooseScaleIn(withIds(all), count, rule)).toEqual(oneByOne);
        },
      ),
    );
  });
});

const withIds = <Candidate extends object>(all: readonly Candidate[]) =>
  all.map((each, instanceId) => ({ instanceId, ...each }));
