import { describe, expect, it } from 'vitest';
import { chooseProfile, lastStart } from './choose-profile.ts';
import type { AutoscaleProfile, Recurrence } from './setting.ts';

const recurrence = (days: string, hour: number, minute = 0, timeZone = 'UTC'): Recurrence => ({
  timeZone,
  days: days.split(' ') as Recurrence['days'][number][], // the test's own words
  hours: [hour],
  minutes: [minute],
});
const profile = (name: string, when: Partial<AutoscaleProfile> = {}): AutoscaleProfile => ({
  ...{ name, capacity: { minimum: 0, maximum: 3, default: 1 }, rules: [] },
  ...{ fixedDate: undefined, recurrence: undefined, ...when },
});
const chosen = (profiles: readonly AutoscaleProfile[], at: string) =>
  chooseProfile({ enabled: true, target: '', profiles }, Date.parse(at))?.name;
const dates = (start: string, end: string) => ({ fixedDate: { start: Date.parse(start), end: Date.parse(end) } });

/** https://learn.microsoft.com/azure/azure-monitor/autoscale/autoscale-understanding-settings#which-profile-will-autoscale-use */
describe('rule 1: the profile in force', () => {
  const profiles = [
    profile('default'),
    profile('thursdays', { recurrence: recurrence('Thursday', 6) }),
    profile('{"name":"default","for":"thursdays"}', { recurrence: recurrence('Thursday', 22, 50) }),
    profile('launch', dates('2026-11-26T10:00:00Z', '2026-11-26T11:00:00Z')),
    profile('launch again', dates('2026-11-26T10:30:00Z', '2026-11-26T11:30:00Z')),
  ];

  it.each([
    ['2026-11-26T09:59:59Z', 'thursdays'],
    ['2026-11-26T10:00:00Z', 'launch'],
    ['2026-11-26T10:45:00Z', 'launch'],
    ['2026-11-26T11:00:00Z', 'launch again'],
    ['2026-11-26T11:30:00Z', 'thursdays'],
    ['2026-11-26T22:50:00Z', '{"name":"default","for":"thursdays"}'],
    ['2026-11-26T05:59:00Z', '{"name":"default","for":"thursdays"}'],
  ])('is, at %s, %s: a fixed date before a recurrence before the default, the first in order', (at, name) => {
    expect(chosen(profiles, at)).toBe(name);
  });

  it('is the default profile where nothing else matches', () => {
    const [standard, , , launch] = profiles;
    expect(
      chosen(
        [launch, standard].filter((one) => one !== undefined),
        '2026-11-27T00:00:00Z',
      ),
    ).toBe('default');
    expect(chosen(launch === undefined ? [] : [launch], '2026-11-27T00:00:00Z')).toBeUndefined();
  });

  /** https://learn.microsoft.com/azure/azure-monitor/autoscale/autoscale-multiprofile#add-a-recurring-profile-using-arm-templates */
  it('ends, where it recurs, when the next one begins', () => {
    const week = [
      profile('Weekday profile', { recurrence: recurrence('Monday', 4, 0, 'Europe/Chisinau') }),
      profile('Weekend profile', { recurrence: recurrence('Saturday', 0, 1, 'Europe/Chisinau') }),
    ];
    const at = (local: string) => chosen(week, `${local}+02:00`); // in winter
    expect(at('2026-11-27T23:59:00')).toBe('Weekday profile');
    expect(at('2026-11-28T00:00:59')).toBe('Weekday profile');
    expect(at('2026-11-28T00:01:00')).toBe('Weekend profile');
    expect(at('2026-11-30T03:59:59')).toBe('Weekend profile');
    expect(at('2026-11-30T04:00:00')).toBe('Weekday profile');
  });

  it('begins at the same local time, in summer and in winter', () => {
    const rule = recurrence('Monday', 6, 0, 'America/Los_Angeles');
    const iso = (now: string) => new Date(lastStart(rule, Date.parse(now)) ?? 0).toISOString();
    expect(iso('2026-03-05T00:00:00Z')).toBe('2026-03-02T14:00:00.000Z');
    expect(iso('2026-03-12T00:00:00Z')).toBe('2026-03-09T13:00:00.000Z');
    expect(iso('2026-11-05T00:00:00Z')).toBe('2026-11-02T14:00:00.000Z');
  });

  it('begins also on a night when the clocks skip its hour, and once when they show it twice', () => {
    const rule = recurrence('Sunday', 2, 30, 'Europe/Berlin');
    const iso = (now: string) => new Date(lastStart(rule, Date.parse(now)) ?? 0).toISOString();
    expect(iso('2026-03-29T01:29:00Z')).toBe('2026-03-22T01:30:00.000Z');
    expect(iso('2026-03-29T01:30:00Z')).toBe('2026-03-29T01:30:00.000Z');
    expect(iso('2026-10-25T00:29:00Z')).toBe('2026-10-18T00:30:00.000Z');
    expect(iso('2026-10-25T01:45:00Z')).toBe('2026-10-25T00:30:00.000Z');
  });

  it('may begin at several hours and minutes, and on the day before where the zone is ahead', () => {
    const rule: Recurrence = { timeZone: 'Asia/Tokyo', days: ['Monday'], hours: [1, 13], minutes: [0, 30] };
    const iso = (now: string) => new Date(lastStart(rule, Date.parse(now)) ?? 0).toISOString();
    expect(iso('2026-11-22T16:10:00Z')).toBe('2026-11-22T16:00:00.000Z');
    expect(iso('2026-11-22T16:30:00Z')).toBe('2026-11-22T16:30:00.000Z');
    expect(iso('2026-11-23T04:00:00Z')).toBe('2026-11-23T04:00:00.000Z');
    expect(lastStart({ ...rule, days: [] }, Date.parse('2026-11-23T04:00:00Z'))).toBeUndefined();
  });
});
