/** Lengths of time as ISO 8601 writes them, such as `PT5M`: what Azure's documents hold. */
import type { Json } from '../../core/json.ts';
import { invalid, nameOfPath, requiredString } from '../read-body.ts';

const pattern = /^P(?:(\d{1,5})W)?(?:(\d{1,5})D)?(?:T(?:(\d{1,5})H)?(?:(\d{1,5})M)?(?:(\d{1,6})(?:\.\d+)?S)?)?$/i;
const units = [7 * 24 * 3_600_000, 24 * 3_600_000, 3_600_000, 60_000, 1_000];

/** Milliseconds; undefined where the text is no duration. Years and months, which differ in length, are none here. */
export function parseDuration(text: string): number | undefined {
  const match = pattern.exec(text.trim());
  if (match === null || /[PT]$/i.test(text.trim())) return undefined;
  return units.reduce((sum, unit, index) => sum + unit * Number(match[index + 1] ?? 0), 0);
}

/** A range of durations, with the words of Azure's documents for its ends. */
export interface DurationRange {
  minimum: number;
  maximum: number;
  words: string;
}

/** The duration at a path, in milliseconds. `InvalidParameter` where it is missing, none, or outside of its range. */
export function requiredDuration(body: Json, range: DurationRange, ...path: readonly (string | number)[]): number {
  const text = requiredString(body, ...path);
  const value = parseDuration(text);
  if (value !== undefined && value >= range.minimum && value <= range.maximum) return value;
  const name = nameOfPath(path);
  throw invalid(
    name,
    `The value '${text.slice(0, 40)}' of '${name}' is not valid: a duration from ${range.words} is expected, such as 'PT5M' for five minutes.`,
  );
}
