import { isObject, member, setMember, type Json, type JsonObject } from '../../core/json.ts';
import type { Call, LanguageFunction } from '../evaluate.ts';
import { ExpressionError } from '../template-error.ts';
import {
  all,
  array,
  identity,
  joined,
  longestArray,
  object,
  parsed,
  printed,
  same,
  text,
  whole,
  wrong,
} from './arguments.ts';

const isIn = (list: readonly Json[], value: Json) => list.some((one) => same(one, value));

function lengthOf(call: Call): number {
  const value = call.arg(0);
  if (typeof value === 'string' || Array.isArray(value)) return value.length;
  if (isObject(value)) return Object.keys(value).length;
  throw wrong(call, 0, 'a string, an array or an object');
}

const end =
  (pick: (value: string | Json[]) => Json | undefined): LanguageFunction =>
  (call) => {
    const value = call.arg(0);
    if (typeof value === 'string') return pick(value) ?? '';
    if (Array.isArray(value)) return pick(value) ?? null;
    throw wrong(call, 0, 'a string or an array');
  };

/** `skip` and `take`: on a string or an array. */
const part =
  (from: (count: number) => [number, number | undefined]): LanguageFunction =>
  (call) => {
    const value = call.arg(0);
    const range = from(Math.max(0, whole(call, 1)));
    if (typeof value === 'string' || Array.isArray(value)) return value.slice(...range);
    throw wrong(call, 0, 'a string or an array');
  };

const position =
  (find: (text: string, wanted: string) => number, findIn: (list: Json[], wanted: Json) => number): LanguageFunction =>
  (call) => {
    const value = call.arg(0);
    if (Array.isArray(value)) return findIn(value, call.arg(1));
    return find(text(call, 0).toLowerCase(), text(call, 1).toLowerCase());
  };

function combine(call: Call, arrays: (lists: Json[][]) => Json[], objects: (list: JsonObject[]) => JsonObject): Json {
  const values = all(call);
  if (values.length > 0 && values.every((value) => Array.isArray(value))) return arrays(values);
  if (values.length > 0 && values.every((value) => isObject(value))) return objects(values);
  throw wrong(call, 0, 'arrays, or objects, all of one kind');
}

function mergeDeep(a: JsonObject, b: JsonObject): JsonObject {
  const result = new Map(Object.entries(a));
  for (const [name, value] of Object.entries(b)) {
    const before = result.get(name);
    result.set(name, isObject(before) && isObject(value) ? mergeDeep(before, value) : value);
  }
  return Object.fromEntries(result);
}

/** A property by a path of names and indices; undefined as soon as one is missing. */
function follow(call: Call, pick: (list: Json[], index: number) => Json | undefined): Json {
  let value: Json | undefined = call.arg(0);
  for (let index = 1; index < call.count; index += 1) {
    const step = call.arg(index);
    value =
      Array.isArray(value) && typeof step === 'number'
        ? pick(value, step)
        : typeof step === 'string'
          ? member(value, step)
          : undefined;
    if (value === undefined) return null;
  }
  return value;
}

export const arraysAndObjects: Record<string, LanguageFunction> = {
  array: (call) => (Array.isArray(call.arg(0)) ? call.arg(0) : [call.arg(0)]),
  createarray: (call) => all(call),
  createobject: (call) => {
    if (call.count % 2 !== 0)
      throw new ExpressionError(`The template function 'createObject' takes names and values in pairs`);
    const result: JsonObject = {};
    for (let index = 0; index < call.count; index += 2) setMember(result, text(call, index), call.arg(index + 1));
    return result;
  },
  contains: (call) => {
    const [container, wanted] = [call.arg(0), call.arg(1)];
    if (typeof container === 'string') return container.includes(printed(wanted));
    if (Array.isArray(container)) return isIn(container, wanted);
    if (isObject(container)) return member(container, printed(wanted)) !== undefined;
    throw wrong(call, 0, 'a string, an array or an object');
  },
  empty: (call) => {
    const value = call.arg(0);
    return value === null || (typeof value === 'object' || typeof value === 'string' ? lengthOf(call) === 0 : false);
  },
  first: end((value) => value[0]),
  last: end((value) => value.at(-1)),
  flatten: (call) => array(call, 0).flat(1),
  indexof: position(
    (value, wanted) => value.indexOf(wanted),
    (list, wanted) => list.findIndex((one) => same(one, wanted)),
  ),
  lastindexof: position(
    (value, wanted) => value.lastIndexOf(wanted),
    (list, wanted) => list.findLastIndex((one) => same(one, wanted)),
  ),
  indexfromend: (call) => {
    const value = array(call, 0).at(-whole(call, 1));
    if (value === undefined || whole(call, 1) < 1)
      throw new ExpressionError(`The language expression property array index '${whole(call, 1)}' is out of bounds`);
    return value;
  },
  intersection: (call) =>
    combine(
      call,
      (lists) => {
        const sets = lists.map((list) => new Set(list.map(identity)));
        return (lists[0] ?? []).filter((value) => sets.every((set) => set.has(identity(value))));
      },
      (list) =>
        Object.fromEntries(
          Object.entries(list[0] ?? {}).filter(([name, value]) =>
            list.every((one) => Object.hasOwn(one, name) && same(one[name] ?? null, value)),
          ),
        ),
    ),
  union: (call) =>
    combine(
      call,
      (lists) => {
        const first = new Map<string, Json>();
        for (const value of lists.flat(1)) {
          const key = identity(value);
          if (!first.has(key)) first.set(key, value);
        }
        return [...first.values()];
      },
      (list) => list.reduce(mergeDeep, {}),
    ),
  items: (call) =>
    Object.entries(object(call, 0))
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => ({ key, value })),
  join: (call) => joined(call, array(call, 0).map(printed), text(call, 1)),
  json: (call) => parsed(call, text(call, 0)),
  length: lengthOf,
  objectkeys: (call) => Object.keys(object(call, 0)).toSorted(),
  range: (call) => {
    const count = whole(call, 1);
    if (count < 0 || count > Math.min(10_000, longestArray)) throw wrong(call, 1, 'from 0 to 10000');
    return Array.from({ length: count }, (_, index) => whole(call, 0) + index);
  },
  shallowmerge: (call) =>
    array(call, 0).reduce<JsonObject>((result, value) => ({ ...result, ...(isObject(value) ? value : {}) }), {}),
  skip: part((count) => [count, undefined]),
  take: part((count) => [0, count]),
  tryget: (call) => follow(call, (list, index) => list[index]),
  tryindexfromend: (call) => follow(call, (list, index) => (index < 1 ? undefined : list.at(-index))),
};
