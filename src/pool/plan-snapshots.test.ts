import { describe, expect, it } from 'vitest';
import {
  describeSchedule,
  nextSnapshotAt,
  parseSchedule,
  planSnapshots,
  usualSchedule,
  type PresentSnapshot,
  type SnapshotSchedule,
} from './plan-snapshots.ts';

const hour = 3_600_000;
const day = 24 * hour;
/** A Thursday. */
const noon = Date.UTC(2026, 10, 26, 12);
const room = { snapshotBytes: 0, quotaBytes: 100 };
const off: SnapshotSchedule = { hourly: 0, daily: 0, weekly: 0, monthly: 0 };

function taken(time: number, kind: PresentSnapshot['kind'] = 'schedule'): PresentSnapshot {
  return { name: `${kind} ${new Date(time).toISOString().slice(0, 16)}`, takenAt: time, kind };
}
const names = (...snapshots: PresentSnapshot[]) => snapshots.map(({ name }) => name);

/** Carries plans out, hour by hour. */
function live(schedule: SnapshotSchedule, from: number, hours: number, before: PresentSnapshot[] = []) {
  let present = before;
  for (let now = from; now < from + hours * hour; now += hour) {
    const plan = planSnapshots(schedule, present, now, room);
    present = present.filter(({ name }) => !plan.remove.includes(name));
    if (plan.take) present = [...present, taken(now)];
    const again = planSnapshots(schedule, present, now, room);
    expect(again).toEqual({ take: false, remove: [], forRoom: false });
  }
  return present.map(({ name }) => name);
}

describe('planSnapshots', () => {
  it.each<[string, SnapshotSchedule, PresentSnapshot[], boolean, string[]]>([
    ['the first is taken at once', usualSchedule, [], true, []],
    ['this hour has one', usualSchedule, [taken(noon - 1)], true, []],
    ['this hour has one already', usualSchedule, [taken(noon)], false, []],
    ['a person’s own is none of the schedule’s', usualSchedule, [taken(noon, 'hand')], true, []],
    ['off takes none and leaves what there is', off, [taken(noon - 400 * day)], false, []],
    ['daily only: a day that has one', { ...off, daily: 2 }, [taken(noon - 3 * hour)], false, []],
    [
      'surplus goes, the last of each day stays',
      { ...off, daily: 2 },
      [taken(noon), taken(noon - 2 * hour), taken(noon - day), taken(noon - 2 * day)],
      false,
      names(taken(noon - 2 * hour), taken(noon - 2 * day)),
    ],
    [
      'what people took stays, however old',
      { ...off, hourly: 1 },
      [taken(noon), taken(noon - 900 * day, 'hand'), taken(noon - 2 * hour)],
      false,
      names(taken(noon - 2 * hour)),
    ],
    [
      'before a restore: a month',
      { ...off, hourly: 1 },
      [taken(noon), taken(noon - 31 * day, 'restore'), taken(noon - 29 * day, 'restore')],
      false,
      names(taken(noon - 31 * day, 'restore')),
    ],
    [
      'a long time without power takes nothing away',
      { ...off, hourly: 3 },
      [taken(noon - 300 * day), taken(noon - 301 * day)],
      true,
      [],
    ],
    [
      'the future (the clock was put back) stays, and stands for nothing',
      { ...off, hourly: 1 },
      [taken(noon + 5 * hour), taken(noon - hour)],
      true,
      names(taken(noon - hour)),
    ],
  ])('%s', (_what, schedule, present, take, remove) => {
    expect(planSnapshots(schedule, present, noon, room)).toEqual({ take, remove, forRoom: false });
  });

  it('gives up its oldest, one at a time, where snapshots keep more than the share may hold', () => {
    const full = { snapshotBytes: 101, quotaBytes: 100 };
    const present = [taken(noon - hour), taken(noon - 2 * hour), taken(noon - 9 * hour, 'hand')];
    expect(planSnapshots(usualSchedule, present, noon, full)).toEqual({
      take: false,
      remove: names(taken(noon - 2 * hour)),
      forRoom: true,
    });
    expect(planSnapshots(usualSchedule, [taken(noon, 'hand')], noon, full)).toMatchObject({ take: true, remove: [] });
    // What people took keeps too much for good: the newest is not given up, and none comes and goes every hour.
    const last = [taken(noon - 5 * hour), taken(noon - 9 * hour, 'hand')];
    expect(planSnapshots(usualSchedule, last, noon, full)).toEqual({ take: false, remove: [], forRoom: false });
  });

  it('keeps as many of each as were asked for, over weeks', () => {
    const kept = live({ hourly: 3, daily: 2, weekly: 2, monthly: 0 }, Date.UTC(2026, 9, 1), 24 * 50);
    // 19 November (a Thursday), 23:00: three hours, the day before, the Sunday before.
    expect(kept).toEqual(
      names(
        taken(Date.UTC(2026, 10, 15, 23)),
        taken(Date.UTC(2026, 10, 18, 23)),
        taken(Date.UTC(2026, 10, 19, 21)),
        taken(Date.UTC(2026, 10, 19, 22)),
        taken(Date.UTC(2026, 10, 19, 23)),
      ),
    );
  });

  it('does the same on days when clocks are changed', () => {
    // 29 March and 25 October 2026 in Europe: nothing is taken twice or left out.
    for (const start of [Date.UTC(2026, 2, 28), Date.UTC(2026, 9, 24)])
      expect(live({ ...off, hourly: 72 }, start, 72)).toHaveLength(72);
  });

  it('says when to look again', () => {
    expect(nextSnapshotAt(usualSchedule, noon + 5)).toBe(noon + hour);
    expect(nextSnapshotAt(off, noon)).toBeUndefined();
  });
});

describe('a schedule as text', () => {
  it.each<[string, SnapshotSchedule | undefined]>([
    ['off', off],
    ['hourly=24,daily=7', usualSchedule],
    [' daily = 14 , weekly=8 ', { ...off, daily: 14, weekly: 8 }],
    ['monthly=12', { ...off, monthly: 12 }],
    ['', undefined],
    ['hourly', undefined],
    ['hourly=24;daily=7', undefined],
    ['yearly=3', undefined],
    ['daily=1,daily=2', undefined],
    ['hourly=-1', undefined],
    ['hourly=151', undefined],
  ])('%j', (text, schedule) => {
    expect(parseSchedule(text)).toEqual(schedule);
    if (schedule !== undefined) expect(parseSchedule(describeSchedule(schedule))).toEqual(schedule);
  });
});
