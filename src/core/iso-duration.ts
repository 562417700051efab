/** Durations as ISO 8601 writes them (`PT30M`, `P1DT12H`): weeks and shorter, of which the length is always the same. */

const units = { week: 604_800_000, day: 86_400_000, hour: 3_600_000, minute: 60_000, second: 1_000 } as const;

const pattern =
  /^P(?=.)(?:(\d{1,4})W)?(?:(\d{1,4})D)?(?:T(?=.)(?:(\d{1,5})H)?(?:(\d{1,6})M)?(?:(\d{1,8}(?:\.\d{1,3})?)S)?)?$/i;

/** Its milliseconds; undefined where the text is no such duration. */
export function parseIsoDuration(text: string): number | undefined {
  const parts = pattern.exec(text.trim());
  if (parts === null) return undefined;
  const [weeks = 0, days = 0, hours = 0, minutes = 0, seconds = 0] = parts
    .slice(1)
    .map((digits: string | undefined) => Number(digits ?? 0));
  return (
    weeks * units.week +
    days * units.day +
    hours * units.hour +
    minutes * units.minute +
    Math.round(seconds * units.second)
  );
}
