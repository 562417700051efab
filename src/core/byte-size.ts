/** Sizes as people write them: `10GiB`, `500 MiB`, `2T`, `1073741824`. Pure. */

const units = ['', 'K', 'M', 'G', 'T', 'P'];

/**
 * The bytes that a text means; undefined where it means none. `K`, `KiB` and so on are powers of 1,024, `KB` and so on of 1,000, as
 * they are written. 8 PiB and more (no number of ours counts so far), and less than a byte, is no size.
 */
export function parseByteSize(text: string): number | undefined {
  const found = /^(\d{1,16}(?:\.\d{1,6})?) ?([KMGTP]?)(i?B)?$/i.exec(text.trim());
  if (found === null) return undefined;
  const [, digits = '', letter = '', suffix = ''] = found;
  if (suffix.toLowerCase() === 'ib' && letter === '') return undefined;
  const base = suffix.toLowerCase() === 'b' && letter !== '' ? 1_000 : 1_024;
  const bytes = Math.round(Number(digits) * base ** units.indexOf(letter.toUpperCase()));
  return bytes >= 1 && Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** For people: at most one digit behind the point, in powers of 1,024. `1.5 GiB`. */
export function describeBytes(bytes: number): string {
  let amount = bytes;
  let unit = 0;
  // What would be shown as 1024 of a unit is one of the next.
  while (unit < units.length - 1 && Math.round(amount * 10) / 10 >= 1_024) {
    amount /= 1_024;
    unit += 1;
  }
  if (unit === 0) return `${bytes} B`;
  return `${String(Math.round(amount * 10) / 10)} ${units[unit] ?? ''}iB`;
}
