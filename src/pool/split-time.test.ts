import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { splitTime, type InstanceTime, type LedgerEntry } from './split-time.ts';

const hour = 3_600_000;
const midnight = Date.UTC(2026, 2, 4);
const time = (changes: Partial<InstanceTime>): InstanceTime => ({
  ...{ pool: 'lab/team', size: 'Standard_D2_v2', from: midnight, to: midnight + hour, standby: false, active: [] },
  ...changes,
});
const entry = (changes: Partial<LedgerEntry>): LedgerEntry => ({
  ...{ day: '2026-03-04', pool: 'lab/team', user: '', size: 'Standard_D2_v2', used: 0, idle: 0, standby: 0 },
  ...changes,
});

describe('instance-time', () => {
  it.each<[string, InstanceTime[], LedgerEntry[]]>([
    ['is idle where nobody is active', [time({})], [entry({ idle: hour })]],
    ['is of who is active', [time({ active: ['alice'] })], [entry({ user: 'alice', used: hour })]],
    [
      'is divided equally between several',
      [time({ active: ['alice', 'bob'] })],
      [entry({ user: 'alice', used: hour / 2 }), entry({ user: 'bob', used: hour / 2 })],
    ],
    [
      'is divided without a rest',
      [time({ to: midnight + 8, active: ['alice', 'bob', 'eve'] })],
      [entry({ user: 'alice', used: 3 }), entry({ user: 'bob', used: 3 }), entry({ user: 'eve', used: 2 })],
    ],
    ['is standby, and nobody’s', [time({ standby: true, active: ['alice'] })], [entry({ standby: hour })]],
    [
      'is of the days on which it was',
      [time({ from: midnight - hour, active: ['alice'] })],
      [entry({ day: '2026-03-03', user: 'alice', used: hour }), entry({ user: 'alice', used: hour })],
    ],
    ['of several instances is taken together', [time({}), time({})], [entry({ idle: 2 * hour })]],
    [
      'of several sizes and pools is kept apart',
      [time({}), time({ size: 'Standard_D1' }), time({ pool: 'lab/other' })],
      [entry({ idle: hour }), entry({ size: 'Standard_D1', idle: hour }), entry({ pool: 'lab/other', idle: hour })],
    ],
    ['that has not passed is none', [time({ to: midnight }), time({ to: midnight - 1 })], []],
  ])('%s', (_what, times, expected) => {
    expect(splitTime(times)).toEqual(expected);
  });

  it('is never lost and never made', () => {
    const times = fc.array(
      fc.record({
        pool: fc.constantFrom('lab/a', 'lab/b'),
        size: fc.constantFrom('Standard_D1', 'Standard_D2'),
        from: fc.integer({ min: midnight - 3 * 24 * hour, max: midnight }),
        length: fc.nat({ max: 5 * 24 * hour }),
        standby: fc.boolean(),
        active: fc.uniqueArray(fc.constantFrom('', 'alice', 'bob', 'eve', 'mallory', 'trent', 'victor')),
      }),
    );
    fc.assert(
      fc.property(times, (list) => {
        const entries = splitTime(list.map(({ length, ...one }) => ({ ...one, to: one.from + length })));
        const sum = (of: 'used' | 'idle' | 'standby') => entries.reduce((total, one) => total + one[of], 0);
        const expected = (fits: (one: (typeof list)[number]) => boolean) =>
          list.filter(fits).reduce((total, { length }) => total + length, 0);
        expect(sum('standby')).toBe(expected((one) => one.standby));
        expect(sum('idle')).toBe(expected((one) => !one.standby && one.active.length === 0));
        expect(sum('used')).toBe(expected((one) => !one.standby && one.active.length > 0));
        for (const { user, used, idle, standby } of entries) {
          expect([used, idle, standby].every((one) => Number.isInteger(one) && one >= 0)).toBe(true);
          if (user !== '') expect(idle + standby).toBe(0);
        }
      }),
    );
  });
});
