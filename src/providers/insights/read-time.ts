/** Times and spans of time as clients of Azure's write them. */
import { PoolhouseError } from '../../core/errors.ts';
import type { EpochMillis } from '../../core/time.ts';

/**
 * An ISO 8601 time; without a zone it is UTC, as az writes it. `BadRequest` for anything else; `what` says which time it is.
 */
export function readTime(text: string, what: string): EpochMillis {
  // A plus that was not encoded arrives as a space.
  const plain = text.trim().replace(/ (?=\d\d:?\d\d$)/, '+');
  const zoned = /T.*(Z|[+-]\d\d:?\d\d)$/i.test(plain) ? plain : `${plain}${plain.includes('T') ? '' : 'T00:00:00'}Z`;
  const time = /^\d{4}-\d\d-\d\dT/i.test(zoned) ? Date.parse(zoned) : Number.NaN;
  if (Number.isFinite(time)) return time;
  throw new PoolhouseError(
    'BadRequest',
    `${what} '${text.slice(0, 60)}' is not a time such as '2026-03-01T12:00:00Z'.`,
  );
}

const minute = 60_000;

/** The intervals that metrics can be asked in, as Azure's. */
export const intervals: ReadonlyMap<string, number> = new Map([
  ['PT1M', minute],
  ['PT5M', 5 * minute],
  ['PT15M', 15 * minute],
  ['PT30M', 30 * minute],
  ['PT1H', 60 * minute],
  ['PT6H', 360 * minute],
  ['PT12H', 720 * minute],
  ['P1D', 1_440 * minute],
]);

/** The name and the milliseconds of an interval, `PT60M` and `PT1H` alike. `BadRequest` with those that there are. */
export function readInterval(text: string): { name: string; milliseconds: number } {
  const match = /^P(?:(\d{1,3})D)?(?:T(?:(\d{1,3})H)?(?:(\d{1,5})M)?)?$/i.exec(text.trim());
  const [days, hours, minutes] = [1, 2, 3].map((group) => Number(match?.[group] ?? 0));
  const milliseconds = (((days ?? 0) * 24 + (hours ?? 0)) * 60 + (minutes ?? 0)) * minute;
  for (const [name, length] of intervals) if (length === milliseconds) return { name, milliseconds };
  throw new PoolhouseError(
    'BadRequest',
    `The interval '${text.slice(0, 40)}' is none of those that there are: ${[...intervals.keys()].join(', ')}.`,
  );
}
