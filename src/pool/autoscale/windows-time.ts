/**
 * Local time in time zones by the names that Windows, and so Azure, has for them. IANA's names are taken too. `Intl` knows
 * the zones and their daylight saving. Pure: it reads the tables that the runtime carries.
 */
import { findIana, WINDOWS_TO_IANA_MAP } from 'windows-iana';
import type { EpochMillis } from '../../core/time.ts';

/** A date and time of day as a clock on the wall shows it. */
export interface LocalTime {
  year: number;
  /** From 1. */
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
}

const day = 24 * 3_600_000;

/** IANA's name of a time zone, given that or Windows' name in any case; undefined where there is no such zone. */
export function findTimeZone(name: string): string | undefined {
  const wanted = name.replace(/\s+/g, ' ').trim();
  const windows = windowsNames().find((one) => one.toLowerCase() === wanted.toLowerCase());
  const iana = windows === undefined ? wanted : findIana(windows)[0];
  try {
    return new Intl.DateTimeFormat('en-US', { timeZone: iana }).resolvedOptions().timeZone;
  } catch {
    return undefined; // what `Intl` does not know is no zone
  }
}

/** All the names that Windows has. */
export function windowsNames(): string[] {
  return [...new Set(WINDOWS_TO_IANA_MAP.map(({ windowsName }) => windowsName))];
}

/** A time zone that tells what its clocks show. Making one is dear: make it once for many questions. */
export interface TimeZone {
  localAt(instant: EpochMillis): LocalTime;
  /**
   * When clocks show this. A time that they skip in spring is as much later as they skip (02:30 is 03:30); of one that they
   * show twice in autumn it is the first: as RFC 5545 has it, and java.time.
   */
  instantOf(local: LocalTime): EpochMillis;
}

/** @param iana a name that `findTimeZone` has given */
export function timeZone(iana: string): TimeZone {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: iana,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  function localAt(instant: EpochMillis): LocalTime {
    const parts = new Map(format.formatToParts(instant).map(({ type, value }) => [type, Number(value)]));
    const of = (type: Intl.DateTimeFormatPartTypes) => parts.get(type) ?? 0;
    return {
      ...{ year: of('year'), month: of('month'), day: of('day') },
      ...{ hour: of('hour'), minute: of('minute'), second: of('second') },
    };
  }
  /** How far the clocks are ahead of UTC, to the second. */
  const offsetAt = (instant: EpochMillis) => asIfUtc(localAt(instant)) - Math.floor(instant / 1_000) * 1_000;
  return {
    localAt,
    instantOf(local) {
      const shown = asIfUtc(local);
      // The clocks change at most once around a moment: one of the offsets a day before and a day after is right.
      const [before, after] = [offsetAt(shown - day), offsetAt(shown + day)];
      const right = [shown - before, shown - after].filter((instant) => asIfUtc(localAt(instant)) === shown);
      return right.length > 0 ? Math.min(...right) : shown - before;
    },
  };
}

function asIfUtc({ year, month, day: date, hour, minute, second }: LocalTime): EpochMillis {
  return Date.UTC(year, month - 1, date, hour, minute, second);
}
