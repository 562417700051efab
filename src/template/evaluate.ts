/**
 * Evaluates expressions. Lazy where the language is (`if` looks at one branch only). What is known at run time only
 * (`reference`, `list*`) is asked of the runtime, which may say that it does not know yet by throwing `NeedsRuntime`.
 */
import { isObject, member, textOf, type Json, type JsonObject } from '../core/json.ts';
import type { Budget } from './budget.ts';
import { isExpression, literalText, parseExpression, type Expression } from './expression.ts';
import { ExpressionError } from './template-error.ts';

/** What is not known before other resources are deployed. */
export interface RuntimeNeed {
  /** `reference`, or the name of the list function: `listKeys`. */
  kind: string;
  id: string;
  apiVersion: string | undefined;
  /** `reference(…, 'Full')`: the whole document. */
  full: boolean;
}

/** Thrown when an expression needs what is not known yet. */
export class NeedsRuntime extends Error {
  override readonly name = 'NeedsRuntime';
  readonly need: RuntimeNeed;
  constructor(need: RuntimeNeed) {
    super(`'${need.kind}' of '${need.id}' is known only when that is deployed`);
    this.need = need;
  }
}

export interface Environment {
  parameter(name: string): Json;
  variable(name: string): Json;
  /** Values of functions that depend on where the template is deployed. */
  scope: Scope;
  /** `copyIndex`: by the loop's name; '' for the innermost. */
  copyIndex: ReadonlyMap<string, number>;
  /** Variables of lambdas around. */
  lambda: ReadonlyMap<string, Json>;
  userFunction(namespace: string, name: string): UserFunction | undefined;
  runtime(need: RuntimeNeed): Json;
}

export interface UserFunction {
  parameters: string[];
  output: Json;
}

export interface Scope {
  subscription: JsonObject;
  tenant: JsonObject;
  resourceGroup: JsonObject;
  deployment: JsonObject;
  environment: JsonObject;
  /** What this expansion may still cost. */
  budget: Budget;
  now: number;
  newGuid(): string;
  /** The id of a resource of this template by its name, for `reference('name')`; undefined where there is none. */
  idOfName(name: string): string | undefined;
  /** True while parameter defaults are evaluated: `utcNow` and `newGuid` are allowed there only. */
  inDefaults: boolean;
}

/** A function of the language. Arguments are evaluated when they are asked for. */
export interface Call {
  name: string;
  count: number;
  environment: Environment;
  /** The value of an argument. */
  arg(index: number): Json;
  /** The argument as it is written. */
  raw(index: number): Expression | undefined;
  /** Evaluates an expression with more lambda variables. */
  evaluate(expression: Expression, lambda?: ReadonlyMap<string, Json>): Json;
}
export type LanguageFunction = (call: Call) => Json;
export type FunctionTable = ReadonlyMap<string, LanguageFunction>;

/** `listKeys` and the like: any name that begins so, in lower case. */
export const isRuntimeList = (name: string) => name.startsWith('list') && name.length > 4;

export function evaluateExpression(expression: Expression, environment: Environment, functions: FunctionTable): Json {
  const evaluate = (inner: Expression, lambda?: ReadonlyMap<string, Json>): Json =>
    evaluateExpression(
      inner,
      lambda === undefined ? environment : { ...environment, lambda: new Map([...environment.lambda, ...lambda]) },
      functions,
    );

  const { budget } = environment.scope;
  budget.spend();
  switch (expression.kind) {
    case 'literal':
      return expression.value;
    case 'property': {
      const object = evaluate(expression.of);
      const value = member(object, expression.name);
      if (value === undefined) throw missingProperty(object, expression.name);
      return value;
    }
    case 'index': {
      const container = evaluate(expression.of);
      const index = evaluate(expression.index);
      if (Array.isArray(container) && typeof index === 'number') {
        const value = container[index];
        if (value === undefined)
          throw new ExpressionError(`The language expression property array index '${index}' is out of bounds`);
        return value;
      }
      if (isObject(container) && typeof index === 'string') {
        const value = member(container, index);
        if (value === undefined) throw missingProperty(container, index);
        return value;
      }
      throw new ExpressionError(
        `The language expression property '${textOf(index)}' can't be evaluated: an object or an array is expected`,
      );
    }
    case 'call': {
      if (expression.namespace !== undefined) return callUserFunction(expression, environment, functions, evaluate);
      const name = expression.name.toLowerCase();
      const found = functions.get(name) ?? (isRuntimeList(name) ? functions.get('list*') : undefined);
      if (found === undefined) throw unknownFunction(expression.name);
      // Each argument is evaluated once at most: functions ask for one more than once, and what nests would double each time.
      const known = new Map<number, Json>();
      const result = found({
        name: expression.name,
        count: expression.args.length,
        environment,
        arg: (index) => {
          const argument = expression.args[index];
          if (argument === undefined)
            throw new ExpressionError(
              `The template function '${expression.name}' has ${expression.args.length} argument(s): one more is expected`,
            );
          const before = known.get(index);
          if (before !== undefined) return before;
          const value = evaluate(argument);
          known.set(index, value);
          return value;
        },
        raw: (index) => expression.args[index],
        evaluate,
      });
      return budget.sized(result);
    }
  }
}

export function unknownFunction(name: string): ExpressionError {
  return new ExpressionError(
    name.includes('.')
      ? `The template function '${name}' is not valid: the template does not define it`
      : `The template function '${name}' is not valid. Please see https://aka.ms/arm-functions for usage details`,
  );
}

function missingProperty(object: Json, name: string): ExpressionError {
  const known = isObject(object) ? `. Available properties are '${Object.keys(object).slice(0, 20).join(', ')}'` : '';
  return new ExpressionError(`The language expression property '${name}' doesn't exist${known}`);
}

function callUserFunction(
  expression: Extract<Expression, { kind: 'call' }>,
  environment: Environment,
  functions: FunctionTable,
  evaluate: (inner: Expression) => Json,
): Json {
  const called = `${expression.namespace ?? ''}.${expression.name}`;
  const found = environment.userFunction(expression.namespace ?? '', expression.name);
  if (found === undefined) throw unknownFunction(called);
  if (found.parameters.length !== expression.args.length) {
    throw new ExpressionError(
      `The template function '${called}' takes ${found.parameters.length} argument(s), not ${expression.args.length}`,
    );
  }
  const values = new Map(
    found.parameters.map((name, index) => [
      name.toLowerCase(),
      evaluate(expression.args[index] ?? { kind: 'literal', value: '' }),
    ]),
  );
  const inner: Environment = {
    ...environment,
    parameter: (name) => {
      const value = values.get(name.toLowerCase());
      if (value === undefined)
        throw new ExpressionError(`The template parameter '${name}' is not found in the function '${called}'`);
      return value;
    },
    variable: (name) => {
      throw new ExpressionError(`A function of a template cannot use variables ('${name}' in '${called}')`);
    },
    userFunction: () => undefined,
  };
  return evaluateValue(found.output, inner, functions);
}

/** The value with every expression in it evaluated: names of members too. */
export function evaluateValue(value: Json, environment: Environment, functions: FunctionTable): Json {
  environment.scope.budget.spend();
  if (typeof value === 'string') return evaluateText(value, environment, functions);
  if (Array.isArray(value))
    return environment.scope.budget.sized(value.map((inner) => evaluateValue(inner, environment, functions)));
  if (!isObject(value)) return value;
  return environment.scope.budget.sized(
    Object.fromEntries(
      Object.entries(value).map(([name, inner]) => [
        textOf(evaluateText(name, environment, functions)),
        evaluateValue(inner, environment, functions),
      ]),
    ),
  );
}

function evaluateText(text: string, environment: Environment, functions: FunctionTable): Json {
  return isExpression(text) ? evaluateExpression(parseExpression(text), environment, functions) : literalText(text);
}
