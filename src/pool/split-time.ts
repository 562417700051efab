/**
 * Instance-time as the ledger counts it: whose it was, on which day. Pure, and nothing is lost: what the entries hold together is
 * the time of all instances, to the millisecond.
 */
import type { EpochMillis } from '../core/time.ts';

/** An instance that was there for a while, and who was active on it. */
export interface InstanceTime {
  /** `resourcegroup/scaleset`, in lower case. */
  pool: string;
  size: string;
  from: EpochMillis;
  to: EpochMillis;
  /** Prepared and not counted in the capacity: nobody is on it. */
  standby: boolean;
  /** Each once; '' for somebody whom nobody knows. None: it was idle. */
  active: readonly string[];
}

/** Milliseconds of a day, a pool, a user and a size. Idle and standby time is nobody's: the user is ''. */
export interface LedgerEntry {
  /** In UTC: `2026-03-01`. */
  day: string;
  pool: string;
  user: string;
  size: string;
  used: number;
  idle: number;
  standby: number;
}

const day = 24 * 3_600_000;

export function dayOf(at: EpochMillis): string {
  return new Date(at).toISOString().slice(0, 10);
}

/** Time on an instance with several users is divided equally between them. One entry for each day, pool, user and size. */
export function splitTime(times: readonly InstanceTime[]): LedgerEntry[] {
  const entries = new Map<string, LedgerEntry>();
  const entryOf = (at: EpochMillis, { pool, size }: InstanceTime, user: string): LedgerEntry => {
    const key = JSON.stringify([dayOf(at), pool, user, size]);
    const entry = entries.get(key) ?? { ...{ day: dayOf(at), pool, user, size }, used: 0, idle: 0, standby: 0 };
    entries.set(key, entry);
    return entry;
  };
  for (const time of times) {
    for (const { at, milliseconds } of byDay(time.from, time.to)) {
      if (time.standby) entryOf(at, time, '').standby += milliseconds;
      else if (time.active.length === 0) entryOf(at, time, '').idle += milliseconds;
      else
        for (const [index, user] of time.active.entries())
          entryOf(at, time, user).used += shareOf(milliseconds, time.active.length, index);
    }
  }
  return [...entries.values()];
}

/** Whole milliseconds; those that cannot be divided go to the first. */
const shareOf = (milliseconds: number, count: number, index: number): number =>
  Math.floor(milliseconds / count) + (index < milliseconds % count ? 1 : 0);

function* byDay(from: EpochMillis, to: EpochMillis): Generator<{ at: EpochMillis; milliseconds: number }> {
  for (let at = from; at < to;) {
    const end = Math.min(to, (Math.floor(at / day) + 1) * day);
    yield { at, milliseconds: end - at };
    at = end;
  }
}
