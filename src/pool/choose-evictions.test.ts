import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chooseEvictions } from './choose-evictions.ts';

const set = (key: string, count: number, isPreemptible: boolean, size = 1) => ({ key, count, isPreemptible, size });

describe('evictions', () => {
  it.each([
    ['none where everything fits', [set('a', 2, false), set('b', 2, true)], 4, {}],
    ['what is missing, of preemptible sets', [set('a', 3, false), set('b', 2, true)], 4, { b: 1 }],
    ['of several, one after the other', [set('b', 2, true), set('a', 5, false), set('c', 2, true)], 6, { b: 2, c: 1 }],
    ['whole instances', [set('a', 3, false), set('b', 2, true, 4)], 10, { b: 1 }],
    ['nothing of regular sets', [set('a', 9, false)], 4, {}],
  ] as const)('are %s', (_what, sets, host, expected) => {
    expect(Object.fromEntries(chooseEvictions(sets, host))).toEqual(expected);
  });

  it('make room for all that is promised to regular sets, and take no more than is needed', () => {
    const sets = fc
      .array(fc.record({ count: fc.nat(5), isPreemptible: fc.boolean() }), { maxLength: 6 })
      .map((all) => all.map((each, index) => ({ ...each, key: String(index), size: 1 })));
    fc.assert(
      fc.property(sets, fc.nat(20), (all, host) => {
        const taken = chooseEvictions(all, host);
        const left = all.reduce((sum, one) => sum + one.count - (taken.get(one.key) ?? 0), 0);
        const regular = all.reduce((sum, one) => sum + (one.isPreemptible ? 0 : one.count), 0);
        const total = all.reduce((sum, one) => sum + one.count, 0);
        expect(left).toBe(Math.min(total, Math.max(host, regular)));
      }),
    );
  });
});
