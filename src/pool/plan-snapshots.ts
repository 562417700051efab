/**
 * Which snapshots of a share are taken and which go, by its schedule. Pure. Time is counted in UTC: an hour has sixty minutes
 * there, a day has 24 hours, and a week begins on Monday. Only what a schedule had taken is ever taken away by it.
 */
import type { EpochMillis } from '../core/time.ts';

/** How many of each are kept; none taken where all are 0. */
export interface SnapshotSchedule {
  hourly: number;
  daily: number;
  weekly: number;
  monthly: number;
}

export interface PresentSnapshot {
  name: string;
  takenAt: EpochMillis;
  /** By whom: what is a person's own is never taken away. */
  kind: 'hand' | 'schedule' | 'restore';
}

export interface SnapshotPlan {
  take: boolean;
  remove: string[];
  /** Something is taken away before its time, because what snapshots keep has become more than the share itself may hold. */
  forRoom: boolean;
}

const hour = 3_600_000;
const day = 24 * hour;
/** 1970 began on a Thursday. */
const monday = 4 * day;
/** How a share was before it was restored, is kept so long. */
const beforeRestoreDays = 30;

type Class = keyof SnapshotSchedule;
const classes = ['hourly', 'daily', 'weekly', 'monthly'] as const satisfies readonly Class[];

/** The number of the hour, day, week or month that a time is in. */
function periodOf(of: Class, time: EpochMillis): number {
  switch (of) {
    case 'hourly':
      return Math.floor(time / hour);
    case 'daily':
      return Math.floor(time / day);
    case 'weekly':
      return Math.floor((time - monday) / (7 * day));
    case 'monthly': {
      const date = new Date(time);
      return date.getUTCFullYear() * 12 + date.getUTCMonth();
    }
  }
}

/**
 * One is taken where the present period of the finest class has none yet: what was missed while nothing ran is not made up for.
 * Of each class the last one in each of the newest periods *that have any* is kept: a clock that jumps ahead, or a month without
 * power, takes nothing away. One that seems to come from the future (the clock was put back) stays, and stands for nothing. As long as
 * snapshots keep more than the share may hold, the oldest go one by one, the newest stays, and none is taken beside it.
 *
 * @param room what snapshots keep beside what the share holds, and what the share may hold
 */
export function planSnapshots(
  schedule: SnapshotSchedule,
  present: readonly PresentSnapshot[],
  now: EpochMillis,
  room: { snapshotBytes: number; quotaBytes: number },
): SnapshotPlan {
  const past = present.filter(({ takenAt }) => takenAt <= now).toSorted((one, other) => other.takenAt - one.takenAt);
  const own = past.filter(({ kind }) => kind === 'schedule');
  const old = past.filter(({ kind, takenAt }) => kind === 'restore' && now - takenAt > beforeRestoreDays * day);
  const finest = classes.find((one) => schedule[one] > 0);
  // Without a schedule nothing is taken, and what there is stays for a person to decide.
  if (finest === undefined) return { take: false, remove: old.map(({ name }) => name), forRoom: false };
  const isOver = room.snapshotBytes > room.quotaBytes;
  const isDue = !own.some(({ takenAt }) => periodOf(finest, takenAt) === periodOf(finest, now));
  const take = isDue && (!isOver || own.length === 0);
  const kept = new Set(classes.flatMap((one) => newestOf(one, schedule[one], own, take ? now : undefined)));
  const surplus = own.filter(({ name }) => !kept.has(name));
  const remove = [...surplus, ...old].map(({ name }) => name);
  // The newest stays: what keeps so much may be a person's, and then giving up everything would help nobody.
  const oldest = own.slice(1).findLast(({ name }) => kept.has(name));
  // One at a time: how much room that gives is seen only when it is gone.
  if (isOver && remove.length === 0 && oldest !== undefined)
    return { take: false, remove: [oldest.name], forRoom: true };
  return { take, remove, forRoom: false };
}

/** The last one in each of the newest `count` periods that have any; `taken`: one that is about to be. */
function newestOf(of: Class, count: number, own: readonly PresentSnapshot[], taken: EpochMillis | undefined): string[] {
  const seen = new Set<number>(taken === undefined || count === 0 ? [] : [periodOf(of, taken)]);
  const kept: string[] = [];
  for (const { name, takenAt } of own) {
    const period = periodOf(of, takenAt);
    if (seen.has(period) || seen.size >= count) continue;
    seen.add(period);
    kept.push(name);
  }
  return kept;
}

/** When there is something to be done next, should nothing else change. */
export function nextSnapshotAt(schedule: SnapshotSchedule, now: EpochMillis): EpochMillis | undefined {
  const finest = classes.find((one) => schedule[one] > 0);
  if (finest === undefined) return undefined;
  return (Math.floor(now / hour) + 1) * hour;
}

export const usualSchedule: SnapshotSchedule = { hourly: 24, daily: 7, weekly: 0, monthly: 0 };
const noSchedule: SnapshotSchedule = { hourly: 0, daily: 0, weekly: 0, monthly: 0 };
/** Azure keeps 200 of a share: what is left is for those taken by hand. */
const mostKept = 150;

/** `hourly=24,daily=14,weekly=8`, or `off`; undefined where the text is neither. */
export function parseSchedule(text: string): SnapshotSchedule | undefined {
  if (text.trim() === 'off') return noSchedule;
  const schedule = { ...noSchedule };
  const seen = new Set<Class>();
  for (const part of text.split(',')) {
    const [, name = '', count = ''] = /^\s*([a-z]+)\s*=\s*(\d{1,3})\s*$/.exec(part) ?? [];
    const found = classes.find((one) => one === name);
    if (found === undefined || seen.has(found)) return undefined;
    seen.add(found);
    schedule[found] = Number(count);
  }
  const kept = classes.reduce((sum, one) => sum + schedule[one], 0);
  return kept > mostKept ? undefined : schedule;
}

/** For people, and as `parseSchedule` reads it. */
export function describeSchedule(schedule: SnapshotSchedule): string {
  const parts = classes.filter((one) => schedule[one] > 0).map((one) => `${one}=${String(schedule[one])}`);
  return parts.length === 0 ? 'off' : parts.join(',');
}
