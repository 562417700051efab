/** Loops (`copy`) of properties, variables and outputs, and how many times any loop may go round. */
import { isObject, member, textOf, type Json, type JsonObject } from '../core/json.ts';
import { evaluateValue, type Environment } from './evaluate.ts';
import { languageFunctions } from './functions/index.ts';
import { ExpressionError } from './template-error.ts';

/** Evaluates a value in which `copy` arrays make lists of properties. */
export function evaluateWithCopies(value: Json, environment: Environment): Json {
  return environment.scope.budget.sized(withCopies(value, environment));
}

function withCopies(value: Json, environment: Environment): Json {
  environment.scope.budget.spend();
  if (Array.isArray(value)) return value.map((inner) => evaluateWithCopies(inner, environment));
  if (!isObject(value)) return evaluateValue(value, environment, languageFunctions);
  const { copy, ...others } = value;
  const loops = Array.isArray(copy) ? copy.filter(isObject) : [];
  if (loops.length === 0) {
    return Object.fromEntries(
      Object.entries(value).map(([name, inner]) => [
        textOf(evaluateValue(name, environment, languageFunctions)),
        evaluateWithCopies(inner, environment),
      ]),
    );
  }
  return {
    ...(evaluateWithCopies(others, environment) as JsonObject), // an object stays one
    ...Object.fromEntries(loops.map((loop) => [textOf(member(loop, 'name')), itemsOf(loop, environment)])),
  };
}

/** What a loop of a property, a variable or an output makes: its `input`, `count` times. */
export function itemsOf(loop: JsonObject, environment: Environment): Json[] {
  const name = textOf(member(loop, 'name')).toLowerCase();
  return Array.from({ length: countOf(loop, environment) }, (_, index) => {
    const copyIndex = new Map([
      ...environment.copyIndex,
      [name, index] as const,
      ...(environment.copyIndex.has('') ? [] : [['', index] as const]),
    ]);
    return evaluateWithCopies(member(loop, 'input') ?? null, { ...environment, copyIndex });
  });
}

/** The `batchSize` of a serial loop: how many go at once. */
export function batchSizeOf(loop: JsonObject, count: number, environment: Environment): number {
  const size = evaluateValue(member(loop, 'batchSize') ?? 1, environment, languageFunctions);
  if (typeof size !== 'number' || !Number.isInteger(size) || size < 1 || size > Math.max(1, count)) {
    throw new ExpressionError(
      `The template copy batchSize must be an integer from 1 to the count of the loop ('${count}'), not '${JSON.stringify(size)}'`,
    );
  }
  return size;
}

const mostCopies = 800;

/** The `count` of a loop, which is from 0 to 800. */
export function countOf(loop: JsonObject, environment: Environment): number {
  const count = evaluateValue(member(loop, 'count') ?? 0, environment, languageFunctions);
  if (typeof count !== 'number' || !Number.isInteger(count) || count < 0 || count > mostCopies) {
    throw new ExpressionError(
      `The template copy count must be an integer from 0 to ${mostCopies}, not '${JSON.stringify(count)}'`,
    );
  }
  return count;
}
