import { describe, expect, it } from 'vitest';
import { textOf, type Json } from '../core/json.ts';
import { createBudget } from './budget.ts';
import {
  evaluateExpression,
  evaluateValue,
  NeedsRuntime,
  type Environment,
  type FunctionTable,
  type LanguageFunction,
} from './evaluate.ts';
import { parseExpression } from './expression.ts';

const functions: FunctionTable = new Map<string, LanguageFunction>([
  ['one', () => 1],
  ['list', () => ['a', 'b']],
  ['thing', () => ({ Name: 'n', deep: { x: null } })],
  ['first', (call) => call.arg(0)],
  ['both', (call) => [call.arg(0), call.arg(1)]],
  ['never', (call) => (call.count > 5 ? call.arg(0) : 'not looked at')],
  ['parameters', (call) => call.environment.parameter(textOf(call.arg(0)))],
  ['variables', (call) => call.environment.variable(textOf(call.arg(0)))],
  [
    'reference',
    (call) => call.environment.runtime({ kind: 'reference', id: '/x', apiVersion: undefined, full: false }),
  ],
  ['list*', (call) => call.environment.runtime({ kind: call.name, id: '/x', apiVersion: undefined, full: false })],
]);

function environment(over: Partial<Environment> = {}): Environment {
  return {
    parameter: (name) => `parameter ${name}`,
    variable: (name) => `variable ${name}`,
    scope: {
      subscription: {},
      tenant: {},
      resourceGroup: {},
      deployment: {},
      environment: {},
      budget: createBudget(),
      now: 0,
      newGuid: () => '',
      idOfName: () => undefined,
      inDefaults: false,
    },
    copyIndex: new Map(),
    lambda: new Map(),
    userFunction: () => undefined,
    runtime: (need) => {
      throw new NeedsRuntime(need);
    },
    ...over,
  };
}
const evaluate = (text: string, over: Partial<Environment> = {}): Json =>
  evaluateExpression(parseExpression(text), environment(over), functions);

describe('an expression', () => {
  it.each<[string, Json]>([
    ["['x']", 'x'],
    ['[one()]', 1],
    ['[ONE()]', 1],
    ['[list()[1]]', 'b'],
    ['[thing().name]', 'n'],
    ["[thing()['NAME']]", 'n'],
    ['[thing().deep.x]', null],
    ["[both('a', one())]", ['a', 1]],
    ['[never(nothing())]', 'not looked at'],
  ])('%s', (text, expected) => {
    expect(evaluate(text)).toEqual(expected);
  });

  it.each<[string, RegExp]>([
    ['[nothing()]', /'nothing' is not valid/],
    ['[list()[2]]', /array index '2' is out of bounds/],
    ["[list()['a']]", /an object or an array is expected/],
    ['[thing().other]', /'other' doesn't exist. Available properties are 'Name, deep'/],
    ['[one().a]', /'a' doesn't exist/],
    ['[both(1)]', /'both' has 1 argument\(s\): one more is expected/],
    ['[my.f()]', /'my.f' is not valid: the template does not define it/],
    ['[thing().toString]', /'toString' doesn't exist/],
    ["[thing()['__proto__']]", /'__proto__' doesn't exist/],
  ])('%s is refused', (text, message) => {
    expect(() => evaluate(text)).toThrow(message);
  });

  it('asks the runtime for what only deployed resources can tell, by any name of a list function', () => {
    for (const [text, kind] of [
      ['[reference()]', 'reference'],
      ['[listKeys()]', 'listKeys'],
    ] as const)
      expect(() => evaluate(text)).toThrow(
        expect.objectContaining({ need: expect.objectContaining({ kind }) as object }) as Error,
      );
    expect(evaluate('[reference().a]', { runtime: () => ({ a: 'known' }) })).toBe('known');
  });

  it('evaluates an argument once', () => {
    let asked = 0;
    const table = new Map<string, LanguageFunction>([
      ['count', () => (asked += 1)],
      ['twice', (call) => [call.arg(0), call.arg(0)]],
    ]);
    expect(evaluateExpression(parseExpression('[twice(count())]'), environment(), table)).toEqual([1, 1]);
  });
});

describe('a user function', () => {
  const userFunction = (namespace: string, name: string) =>
    `${namespace}.${name}` === 'my.pair'
      ? { parameters: ['a', 'B'], output: "[both(parameters('A'), parameters('b'))]" }
      : namespace === 'my'
        ? { parameters: [], output: name === 'v' ? "[variables('x')]" : '[my.pair(1, 2)]' }
        : undefined;

  it('sees its own parameters, in any case', () => {
    expect(evaluate('[my.pair(one(), 2)]', { userFunction })).toEqual([1, 2]);
  });

  it.each([
    ['[my.pair(1)]', /takes 2 argument\(s\), not 1/],
    ['[my.v()]', /cannot use variables/],
    ['[my.other()]', /'my.pair' is not valid/],
  ])('%s is refused', (text, message) => {
    expect(() => evaluate(text, { userFunction })).toThrow(message);
  });
});

describe('a value', () => {
  it('has every expression in it evaluated, names of members too, and keeps all else', () => {
    const value: Json = { '[one()]': ['[[kept]', { n: '[thing().name]' }], n: 1.5, b: false, nothing: null };
    expect(evaluateValue(value, environment(), functions)).toEqual({
      1: ['[kept]', { n: 'n' }],
      n: 1.5,
      b: false,
      nothing: null,
    });
  });

  it('keeps a member named __proto__', () => {
    const value = JSON.parse('{"__proto__": "[one()]"}') as Json;
    expect(JSON.stringify(evaluateValue(value, environment(), functions))).toBe('{"__proto__":1}');
  });
});
