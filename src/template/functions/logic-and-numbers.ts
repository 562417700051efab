import type { LanguageFunction } from '../evaluate.ts';
import { ExpressionError } from '../template-error.ts';
import { all, array, same, text, truth, whole, wrong } from './arguments.ts';

function compare(pick: (order: number) => boolean): LanguageFunction {
  return (call) => {
    const [a, b] = [call.arg(0), call.arg(1)];
    if (typeof a === 'number' && typeof b === 'number') return pick(a - b);
    if (typeof a === 'string' && typeof b === 'string') return pick(a < b ? -1 : a > b ? 1 : 0);
    throw wrong(call, 1, 'of the same type as the first: two integers or two strings');
  };
}

function calculate(operation: (a: number, b: number) => number): LanguageFunction {
  return (call) => {
    const result = operation(whole(call, 0), whole(call, 1));
    if (!Number.isSafeInteger(result))
      throw new ExpressionError(`The template function '${call.name}' leaves the range of integers`);
    return result;
  };
}

const extreme =
  (choose: (...values: number[]) => number): LanguageFunction =>
  (call) => {
    const values = call.count === 1 && Array.isArray(call.arg(0)) ? array(call, 0) : all(call);
    if (values.length === 0 || !values.every((value) => typeof value === 'number'))
      throw wrong(call, 0, 'integers, or an array of them');
    return values.reduce((a, b) => choose(a, b));
  };

const nonZero = (divisor: number): number => {
  if (divisor === 0) throw new ExpressionError(`The template divides by zero`);
  return divisor;
};

export const logicAndNumbers: Record<string, LanguageFunction> = {
  and: (call) =>
    all(call).length > 0 && Array.from({ length: call.count }, (_, index) => truth(call, index)).every(Boolean),
  or: (call) => Array.from({ length: call.count }, (_, index) => truth(call, index)).some(Boolean),
  not: (call) => !truth(call, 0),
  true: () => true,
  false: () => false,
  null: () => null,
  bool: (call) => {
    const value = call.arg(0);
    if (typeof value === 'boolean') return value;
    if (typeof value === 'number') return value !== 0;
    if (typeof value === 'string' && /^(true|1)$/i.test(value)) return true;
    if (typeof value === 'string' && /^(false|0)$/i.test(value)) return false;
    throw wrong(call, 0, `'true', 'false', 1 or 0`);
  },
  if: (call) => (truth(call, 0) ? call.arg(1) : call.arg(2)),
  equals: (call) => same(call.arg(0), call.arg(1)),
  greater: compare((order) => order > 0),
  greaterorequals: compare((order) => order >= 0),
  less: compare((order) => order < 0),
  lessorequals: compare((order) => order <= 0),
  coalesce: (call) => all(call).find((value) => value !== null) ?? null,
  add: calculate((a, b) => a + b),
  sub: calculate((a, b) => a - b),
  mul: calculate((a, b) => a * b),
  div: calculate((a, b) => Math.trunc(a / nonZero(b))),
  mod: calculate((a, b) => a % nonZero(b)),
  min: extreme(Math.min),
  max: extreme(Math.max),
  int: (call) => {
    const value = call.arg(0);
    if (typeof value === 'number') return Math.trunc(value);
    if (typeof value === 'string' && /^\s*[-+]?\d{1,15}\s*$/.test(value)) return Number(value);
    throw wrong(call, 0, 'an integer, or a string that can be converted to one');
  },
  float: (call) => {
    const value = Number(typeof call.arg(0) === 'number' ? call.arg(0) : text(call, 0));
    if (!Number.isFinite(value)) throw wrong(call, 0, 'a number');
    return value;
  },
};
