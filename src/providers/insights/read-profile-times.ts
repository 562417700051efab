/** The times of an autoscale setting's profiles, as typed values: dates, and what recurs each week. */
import { dig, type Json, type JsonObject } from '../../core/json.ts';
import { nearestWord } from '../../core/nearest-word.ts';
import type { EpochMillis } from '../../core/time.ts';
import { weekdays, type Recurrence } from '../../pool/autoscale/setting.ts';
import { findTimeZone, timeZone, windowsNames } from '../../pool/autoscale/windows-time.ts';
import { invalid, nameOfPath, optionalString, requiredChoice, requiredInteger, requiredString } from '../read-body.ts';

type Path = readonly (string | number)[];

const minute = 60_000;
const hour = 60 * minute;

/** From one time on clocks to another; those of UTC where no time zone is named. */
export function readFixedDate(body: JsonObject, at: Path): { start: EpochMillis; end: EpochMillis } {
  const zone = optionalString(body, ...at, 'timeZone') === undefined ? 'UTC' : readTimeZone(body, [...at, 'timeZone']);
  const start = readDate(body, [...at, 'start'], zone);
  const end = readDate(body, [...at, 'end'], zone);
  if (start >= end) throw invalid(`${nameOfPath(at)}.end`, `'${nameOfPath(at)}.end' must be later than its 'start'.`);
  return { start, end };
}

/**
 * A time on the clocks of the zone. Clients append a `Z` though they mean the zone that stands beside it (az does so to all
 * it sends), so it says nothing; another offset, such as `+02:00`, does.
 */
function readDate(body: JsonObject, at: Path, zone: string): EpochMillis {
  const value = requiredString(body, ...at);
  const match = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?)?(Z|[+-]\d\d:?\d\d)?$/i.exec(
    value.trim(),
  );
  const [year = 0, month = 0, day = 0, hours = 0, minutes = 0, seconds = 0] = (match ?? [])
    .slice(1, 7)
    .map((part) => Number(part || 0));
  const shown = new Date(Date.UTC(year, month - 1, day, hours, minutes, seconds));
  const isDate =
    shown.getUTCMonth() === month - 1 && shown.getUTCDate() === day && hours < 24 && minutes < 60 && seconds < 60;
  if (match === null || !isDate)
    throw invalid(
      nameOfPath(at),
      `The value '${value.slice(0, 40)}' of '${nameOfPath(at)}' is not valid: a date and time such as '2026-12-24T18:00:00' is expected.`,
    );
  const offset = match[7];
  if (offset === undefined || offset.toUpperCase() === 'Z')
    return timeZone(zone).instantOf({ year, month, day, hour: hours, minute: minutes, second: seconds });
  const [ahead = 0, more = 0] = [offset.slice(1, 3), offset.slice(-2)].map(Number);
  return shown.getTime() - (offset.startsWith('-') ? -1 : 1) * (ahead * hour + more * minute);
}

/** Each week, at local times of some days. */
export function readRecurrence(body: JsonObject, at: Path): Recurrence {
  const frequency = optionalString(body, ...at, 'frequency');
  if (frequency?.toLowerCase() !== 'week')
    throw invalid(
      `${nameOfPath(at)}.frequency`,
      `The value of '${nameOfPath(at)}.frequency' must be 'Week': profiles recur each week.`,
    );
  const schedule = [...at, 'schedule'];
  const days = list(body, [...schedule, 'days']).map((_day, index) =>
    requiredChoice(body, weekdays, ...schedule, 'days', index),
  );
  const numbers = (name: string, maximum: number) =>
    list(body, [...schedule, name]).map((_one, index) =>
      requiredInteger(body, { minimum: 0, maximum }, ...schedule, name, index),
    );
  return {
    timeZone: readTimeZone(body, [...schedule, 'timeZone']),
    days,
    hours: numbers('hours', 23),
    minutes: numbers('minutes', 59),
  };
}

function readTimeZone(body: JsonObject, at: Path): string {
  const name = requiredString(body, ...at);
  const found = findTimeZone(name);
  if (found !== undefined) return found;
  const near = nearestWord(name, windowsNames());
  throw invalid(
    nameOfPath(at),
    `The time zone '${name.slice(0, 80)}' of '${nameOfPath(at)}' is not known${near === undefined ? '.' : `: did you mean '${near}'?`} Windows' names are expected, such as 'W. Europe Standard Time', or IANA's, such as 'Europe/Berlin'.`,
  );
}

/** An array that holds something. */
function list(body: JsonObject, at: Path): readonly Json[] {
  const value = dig(body, ...at);
  if (Array.isArray(value) && value.length > 0) return value;
  throw invalid(nameOfPath(at), `The value of '${nameOfPath(at)}' must be an array that is not empty.`);
}
