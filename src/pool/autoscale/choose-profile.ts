/**
 * Which profile of an autoscale setting is in force. Pure.
 * https://learn.microsoft.com/azure/azure-monitor/autoscale/autoscale-multiprofile
 */
import type { EpochMillis } from '../../core/time.ts';
import { weekdays, type AutoscaleProfile, type AutoscaleSetting, type Recurrence } from './setting.ts';
import { timeZone } from './windows-time.ts';

/**
 * A fixed date before a recurrence before the default profile; of several that match, the first in the setting's order. A
 * recurring profile has no end: it lasts until the next one begins, so the one that began last is in force. (That is why
 * clients write the default profile once more, with a recurrence, for the time when another is to end.) Undefined where
 * none matches: then nothing is to be done.
 */
export function chooseProfile({ profiles }: AutoscaleSetting, now: EpochMillis): AutoscaleProfile | undefined {
  const fixed = profiles.find(
    ({ fixedDate }) => fixedDate !== undefined && fixedDate.start <= now && now < fixedDate.end,
  );
  if (fixed !== undefined) return fixed;
  let recurring: { profile: AutoscaleProfile; start: EpochMillis } | undefined;
  for (const profile of profiles) {
    if (profile.recurrence === undefined || profile.fixedDate !== undefined) continue;
    const start = lastStart(profile.recurrence, now);
    if (start !== undefined && (recurring === undefined || start > recurring.start)) recurring = { profile, start };
  }
  if (recurring !== undefined) return recurring.profile;
  return profiles.find(({ fixedDate, recurrence }) => fixedDate === undefined && recurrence === undefined);
}

/** When a recurrence began last; undefined for one that never does. */
export function lastStart(
  { timeZone: name, days, hours, minutes }: Recurrence,
  now: EpochMillis,
): EpochMillis | undefined {
  const zone = timeZone(name);
  const today = zone.localAt(now);
  for (let back = 0; back <= 7; back += 1) {
    const date = new Date(Date.UTC(today.year, today.month - 1, today.day - back));
    const weekday = weekdays[date.getUTCDay()];
    if (!days.some((one) => one === weekday)) continue;
    const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate()];
    const starts = hours
      .flatMap((hour) => minutes.map((of) => zone.instantOf({ year, month, day, hour, minute: of, second: 0 })))
      .filter((start) => start <= now);
    // On the night when the clocks go forward, a skipped time may lie behind another: the later instant counts.
    if (starts.length > 0) return Math.max(...starts);
  }
  return undefined;
}
