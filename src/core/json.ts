/** JSON as data: what a document may hold, and nothing else. */
export type Json = null | boolean | number | string | Json[] | JsonObject;
export interface JsonObject {
  [key: string]: Json;
}

/** True for a plain JSON object: not null, not an array. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Gives an object a member. Defined, not assigned: one named `__proto__` is a member like all others. */
export function setMember(object: JsonObject, name: string, value: Json): void {
  Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
}

/** A value as text: a string as it is, nothing as the empty text, everything else as JSON. */
export function textOf(value: Json | undefined): string {
  if (value === undefined || value === null) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** The members of an object but the named ones, ignoring case. */
export function without(object: JsonObject, ...names: readonly string[]): JsonObject {
  const unwanted = new Set(names.map((name) => name.toLowerCase()));
  return Object.fromEntries(Object.entries(object).filter(([key]) => !unwanted.has(key.toLowerCase())));
}

/** The object without the named members, however deep they stand, ignoring case. */
export function withoutDeep(object: JsonObject, ...names: readonly string[]): JsonObject {
  const walk = (value: Json): Json => {
    if (Array.isArray(value)) return value.map(walk);
    if (!isObject(value)) return value;
    return Object.fromEntries(Object.entries(without(value, ...names)).map(([key, inner]) => [key, walk(inner)]));
  };
  return walk(object) as JsonObject; // an object stays one
}

/** The member of an object by its name, ignoring case as ARM does; undefined where there is none. */
export function member(object: Json | undefined, name: string): Json | undefined {
  if (!isObject(object)) return undefined;
  if (Object.hasOwn(object, name)) return object[name];
  const wanted = name.toLowerCase();
  for (const [key, value] of Object.entries(object)) if (key.toLowerCase() === wanted) return value;
  return undefined;
}

/** Walks a path of member names, ignoring case; undefined as soon as one is missing. */
export function dig(value: Json | undefined, ...path: (string | number)[]): Json | undefined {
  let here: Json | undefined = value;
  for (const step of path) {
    if (typeof step === 'number') here = Array.isArray(here) ? here[step] : undefined;
    else here = member(here, step);
    if (here === undefined) return undefined;
  }
  return here;
}
