/** Until when somebody keeps the machine that they are on, though nothing of theirs runs there. Pure. */
import type { EpochMillis } from '../core/time.ts';

const minute = 60_000;
const hour = 60 * minute;

/**
 * The end that somebody asks for: a span (`90m`, `2h`, `1h30m`, `1d`) or a time of day (`18:00`, the next one by this
 * machine's clock and time zone). Undefined where it is neither.
 */
export function readLeaseEnd(text: string, now: EpochMillis): EpochMillis | undefined {
  const span = /^(?=.)(?:(\d{1,3})d)?(?:(\d{1,4})h)?(?:(\d{1,5})m(?:in)?)?$/.exec(text);
  if (span !== null) {
    const [days = 0, hours = 0, minutes = 0] = span.slice(1).map((digits: string | undefined) => Number(digits ?? 0));
    const length = (days * 24 + hours) * hour + minutes * minute;
    return length > 0 ? now + length : undefined;
  }
  const time = /^([01]?\d|2[0-3]):([0-5]\d)$/.exec(text);
  if (time === null) return undefined;
  const end = new Date(now);
  end.setHours(Number(time[1]), Number(time[2]), 0, 0);
  if (end.getTime() <= now) end.setDate(end.getDate() + 1);
  return end.getTime();
}
