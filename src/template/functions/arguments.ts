/** Reads arguments as the type that a function needs, with errors that name the function. */
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import type { Call } from '../evaluate.ts';
import { parseLenient } from '../parse-lenient.ts';
import { ExpressionError } from '../template-error.ts';

/** What an array of a template may grow to: bounded, so that a small template cannot fill the memory. */
export const longestArray = 100_000;

export function wrong(call: Call, index: number, expected: string): ExpressionError {
  return new ExpressionError(
    `The template function '${call.name}' expects its parameter at position '${index + 1}' to be ${expected}. Please see https://aka.ms/arm-functions for usage details`,
  );
}

export function text(call: Call, index: number): string {
  const value = call.arg(index);
  if (typeof value !== 'string') throw wrong(call, index, 'a string');
  return value;
}

export function whole(call: Call, index: number): number {
  const value = call.arg(index);
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw wrong(call, index, 'an integer');
  return value;
}

export function array(call: Call, index: number): Json[] {
  const value = call.arg(index);
  if (!Array.isArray(value)) throw wrong(call, index, 'an array');
  return value;
}

export function object(call: Call, index: number): JsonObject {
  const value = call.arg(index);
  if (!isObject(value)) throw wrong(call, index, 'an object');
  return value;
}

export function truth(call: Call, index: number): boolean {
  const value = call.arg(index);
  if (typeof value !== 'boolean') throw wrong(call, index, 'a boolean');
  return value;
}

export function all(call: Call): Json[] {
  return Array.from({ length: call.count }, (_, index) => call.arg(index));
}

/** The JSON that a text holds. */
export function parsed(call: Call, value: string): Json {
  try {
    return parseLenient(value).value;
  } catch {
    throw wrong(call, 0, 'JSON');
  }
}

/** The parts of a text put together. One that would be too long is not begun. */
export function joined(call: Call, parts: Iterable<string>, between = ''): string {
  const grow = call.environment.scope.budget.text();
  const taken: string[] = [];
  for (const part of parts) {
    grow(part.length + (taken.length === 0 ? 0 : between.length));
    taken.push(part);
  }
  return taken.join(between);
}

/** A text that grows by no more than a small factor: it may be made before it is looked at. */
export function bounded(call: Call, value: string): string {
  call.environment.scope.budget.text()(value.length);
  return value;
}

/** As the service prints values in texts: strings as they are, booleans `True` and `False`, everything else as JSON. */
export function printed(value: Json): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (value === null) return '';
  return JSON.stringify(value);
}

/** A text that is the same for values that are `same`, for finding one among many. */
export function identity(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(identity).join(',')}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const members = Object.entries(value).map(
    ([name, inner]) => `${JSON.stringify(name.toLowerCase())}:${identity(inner)}`,
  );
  return `{${members.toSorted().join(',')}}`;
}

/** Equal as the language means it: member names ignore case, everything else is exact. */
export function same(a: Json, b: Json): boolean {
  if (Array.isArray(a))
    return Array.isArray(b) && a.length === b.length && a.every((value, index) => same(value, b[index] ?? null));
  if (isObject(a)) {
    if (!isObject(b)) return false;
    const other = new Map(Object.entries(b).map(([name, value]) => [name.toLowerCase(), value]));
    const names = Object.keys(a);
    return (
      names.length === other.size &&
      names.every(
        (name) => other.has(name.toLowerCase()) && same(a[name] ?? null, other.get(name.toLowerCase()) ?? null),
      )
    );
  }
  return a === b;
}
