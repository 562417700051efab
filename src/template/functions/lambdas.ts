import { textOf, type Json } from '../../core/json.ts';
import type { Call, LanguageFunction } from '../evaluate.ts';
import { ExpressionError } from '../template-error.ts';
import { array, object, printed } from './arguments.ts';

/** A lambda argument as a function of values. */
function lambdaOf(call: Call, index: number): (...values: Json[]) => Json {
  const raw = call.raw(index);
  if (raw?.kind !== 'call' || raw.name.toLowerCase() !== 'lambda')
    throw new ExpressionError(`The template function '${call.name}' expects a lambda at position '${index + 1}'`);
  const names = raw.args.slice(0, -1).map((name) => (name.kind === 'literal' ? String(name.value) : ''));
  const body = raw.args.at(-1);
  if (body === undefined) throw new ExpressionError(`The lambda of '${call.name}' has no expression`);
  return (...values) =>
    call.evaluate(body, new Map(names.map((name, place) => [name.toLowerCase(), values[place] ?? null])));
}

function isTrue(value: Json, call: Call): boolean {
  if (typeof value !== 'boolean') throw new ExpressionError(`The lambda of '${call.name}' must give true or false`);
  return value;
}

export const lambdas: Record<string, LanguageFunction> = {
  lambda: () => {
    throw new ExpressionError(`'lambda' stands only as an argument of filter, map, sort and the like`);
  },
  lambdavariables: (call) => {
    const name = textOf(call.arg(0));
    const value = call.environment.lambda.get(name.toLowerCase());
    if (value === undefined) throw new ExpressionError(`The lambda variable '${name}' is not found`);
    return value;
  },
  filter: (call) => {
    const test = lambdaOf(call, 1);
    return array(call, 0).filter((value, index) => isTrue(test(value, index), call));
  },
  map: (call) => {
    const change = lambdaOf(call, 1);
    return array(call, 0).map((value, index) => change(value, index));
  },
  mapvalues: (call) => {
    const change = lambdaOf(call, 1);
    return Object.fromEntries(Object.entries(object(call, 0)).map(([name, value]) => [name, change(value)]));
  },
  reduce: (call) => {
    const join = lambdaOf(call, 2);
    return array(call, 0).reduce((result, value, index) => join(result, value, index), call.arg(1));
  },
  sort: (call) => {
    const before = lambdaOf(call, 1);
    return array(call, 0).toSorted((a, b) => (isTrue(before(a, b), call) ? -1 : isTrue(before(b, a), call) ? 1 : 0));
  },
  groupby: (call) => {
    const keyOf = lambdaOf(call, 1);
    const groups = new Map<string, Json[]>();
    for (const value of array(call, 0)) {
      const key = printed(keyOf(value));
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [value]);
      else group.push(value);
    }
    return Object.fromEntries(groups);
  },
  toobject: (call) => {
    const keyOf = lambdaOf(call, 1);
    const valueOf = call.count > 2 ? lambdaOf(call, 2) : (value: Json) => value;
    return Object.fromEntries(array(call, 0).map((value) => [printed(keyOf(value)), valueOf(value)]));
  },
};
