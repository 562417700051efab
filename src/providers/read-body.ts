/** Reads values out of ARM bodies, with errors that name the property as ARM does. Parse, do not trust. */
import { PoolhouseError } from '../core/errors.ts';
import { parseIsoDuration } from '../core/iso-duration.ts';
import { dig, isObject, type Json, type JsonObject } from '../core/json.ts';

type Path = readonly (string | number)[];

/** A path as messages name it: `properties.profiles[0].name`. */
export function nameOfPath(path: Path): string {
  return path.reduce<string>(
    (text, step) => (typeof step === 'number' ? `${text}[${step}]` : text === '' ? step : `${text}.${step}`),
    '',
  );
}

export function invalid(target: string, message: string): PoolhouseError {
  return new PoolhouseError('InvalidParameter', message, { target });
}

/** The string at a path; undefined where there is none. A value of another type is an error. */
export function optionalString(body: Json, ...path: Path): string | undefined {
  const value = dig(body, ...path);
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string')
    throw invalid(nameOfPath(path), `The value of '${nameOfPath(path)}' must be a string.`);
  return value;
}

export function requiredString(body: Json, ...path: Path): string {
  const value = optionalString(body, ...path);
  if (value === undefined || value === '')
    throw invalid(nameOfPath(path), `Required parameter '${nameOfPath(path)}' is missing (null).`);
  return value;
}

/** The whole number at a path. Templates often carry numbers as text: '5' counts. */
export function optionalInteger(
  body: Json,
  range: { minimum: number; maximum: number },
  ...path: Path
): number | undefined {
  const value = dig(body, ...path);
  if (value === undefined || value === null) return undefined;
  const number = typeof value === 'string' && /^-?\d{1,15}$/.test(value) ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isInteger(number) || number < range.minimum || number > range.maximum) {
    throw invalid(
      nameOfPath(path),
      `The value ${JSON.stringify(value)} of '${nameOfPath(path)}' is not valid: a whole number from ${range.minimum} to ${range.maximum} is expected.`,
    );
  }
  return number;
}

export function requiredInteger(body: Json, range: { minimum: number; maximum: number }, ...path: Path): number {
  const value = optionalInteger(body, range, ...path);
  if (value === undefined)
    throw invalid(nameOfPath(path), `Required parameter '${nameOfPath(path)}' is missing (null).`);
  return value;
}

/** The milliseconds of the ISO 8601 duration at a path. `range` is written as durations, too, for the error. */
export function optionalDuration(
  body: Json,
  range: { minimum: string; maximum: string },
  ...path: Path
): number | undefined {
  const value = optionalString(body, ...path);
  if (value === undefined || value === '') return undefined;
  const length = parseIsoDuration(value);
  const [minimum = 0, maximum = Infinity] = [range.minimum, range.maximum].map(parseIsoDuration);
  if (length === undefined || length < minimum || length > maximum)
    throw invalid(
      nameOfPath(path),
      `The value '${value.slice(0, 40)}' of '${nameOfPath(path)}' is not valid: an ISO 8601 duration from ${range.minimum} to ${range.maximum} is expected, such as '${range.minimum}'.`,
    );
  return length;
}

export function optionalBoolean(body: Json, ...path: Path): boolean | undefined {
  const value = dig(body, ...path);
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'boolean') return value;
  if (value === 'true' || value === 'false') return value === 'true';
  throw invalid(nameOfPath(path), `The value of '${nameOfPath(path)}' must be true or false.`);
}

/** The objects of the array at a path; none where it is missing. */
export function objects(body: Json, ...path: Path): JsonObject[] {
  const value = dig(body, ...path);
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw invalid(nameOfPath(path), `The value of '${nameOfPath(path)}' must be an array.`);
  return value.map((item, index) => {
    if (!isObject(item))
      throw invalid(`${nameOfPath(path)}[${index}]`, `The value of '${nameOfPath(path)}[${index}]' must be an object.`);
    return item;
  });
}

/** The object at a path; an empty one where it is missing. */
export function objectAt(body: Json, ...path: Path): JsonObject {
  const value = dig(body, ...path);
  if (value === undefined || value === null) return {};
  if (!isObject(value)) throw invalid(nameOfPath(path), `The value of '${nameOfPath(path)}' must be an object.`);
  return value;
}

/** One of a few words, in any case, given back as Azure writes it. */
export function optionalChoice<T extends string>(body: Json, choices: readonly T[], ...path: Path): T | undefined {
  const value = optionalString(body, ...path);
  if (value === undefined) return undefined;
  const choice = choices.find((word) => word.toLowerCase() === value.toLowerCase());
  if (choice === undefined) {
    throw invalid(
      nameOfPath(path),
      `The value '${value}' of '${nameOfPath(path)}' is not valid. Expected one of: ${choices.join(', ')}.`,
    );
  }
  return choice;
}

/** One of a few words, as `optionalChoice` gives it; missing is an error. */
export function requiredChoice<Word extends string>(body: Json, words: readonly Word[], ...path: Path): Word {
  requiredString(body, ...path);
  return optionalChoice(body, words, ...path) as Word; // it is not missing
}

/** The number at a path, of any kind. Text that is one counts. */
export function requiredNumber(body: Json, ...path: Path): number {
  const value = dig(body, ...path);
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof number === 'number' && Number.isFinite(number)) return number;
  throw invalid(
    nameOfPath(path),
    `The value ${JSON.stringify(value ?? null)} of '${nameOfPath(path)}' is not valid: a number is expected.`,
  );
}
