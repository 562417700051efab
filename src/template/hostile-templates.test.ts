/** Templates made to cost more than they are worth, or to bring out an error that is not ours. */
import { describe, expect, it } from 'vitest';
import type { Json, JsonObject } from '../core/json.ts';
import { evaluated, expandParts } from './test-support.ts';

const invalid = expect.objectContaining({ code: 'InvalidTemplate' }) as Error;
const resource = (name: string, over: JsonObject = {}): JsonObject => ({
  type: 'A.B/c',
  apiVersion: '1',
  name,
  ...over,
});
const numbered = (count: number) => resource("[concat('r', copyIndex())]", { copy: { name: 'loop', count } });

describe('arguments are evaluated once, however often a function looks at them', () => {
  const nested = (name: string, innermost: string) => `[${`${name}(`.repeat(60)}${innermost}${')'.repeat(60)}]`;

  it.each([
    ['string', "'a'", 'a'],
    ['and', 'true()', true],
    ['max', '1', 1],
    ['float', '1', 1],
  ])('%s in itself', (name, innermost, expected) => {
    expect(evaluated(nested(name, innermost))).toBe(expected);
  });

  it('array in itself', () => {
    expect(evaluated(nested('array', "'a'"))).toEqual(['a']);
  });
});

describe('resources with loops unrolled', () => {
  it('may be 800', () => {
    expect(expandParts({ resources: [numbered(800)] }).resources).toHaveLength(800);
  });

  const child = { type: 'd', apiVersion: '1', name: "[concat('s', copyIndex('inner'))]" };
  it.each<[string, JsonObject[]]>([
    ['one loop and a resource', [numbered(800), resource('last')]],
    ['loops in a loop', [{ ...numbered(800), resources: [{ ...child, copy: { name: 'inner', count: 800 } }] }]],
  ])('may not be more: %s', (_what, resources) => {
    expect(() => expandParts({ resources })).toThrow(invalid);
    expect(() => expandParts({ resources })).toThrow(/resources limit exceeded/);
  });
});

describe('errors are always ours', () => {
  it('for an expression that is broken beside one that waits for the runtime', () => {
    const properties = { first: "[reference('b').x]", second: '[broken((]' };
    expect(() => expandParts({ resources: [resource('b'), resource('a', { properties })] })).toThrow(invalid);
  });

  it('for a data URI that is badly encoded', () => {
    expect(() => evaluated("[dataUriToString('data:,%E0%A4%A')]")).toThrow(invalid);
  });

  it('and half a character is encoded as one that cannot be shown', () => {
    expect(evaluated(String.raw`[uriComponent(json('"\ud800"'))]`)).toBe('%EF%BF%BD');
  });
});

describe('work without end', () => {
  const doubled = (form: (name: string) => Json): JsonObject => {
    const variables: JsonObject = { v0: ['x'] };
    for (let depth = 1; depth <= 60; depth += 1) variables[`v${depth}`] = form(`variables('v${depth - 1}')`);
    return variables;
  };
  const copies = (depth: number): JsonObject =>
    depth === 0 ? { value: 1 } : { copy: [{ name: `c${depth}`, count: 800, input: copies(depth - 1) }] };

  it.each<[string, JsonObject, string]>([
    ['lambdas in lambdas', {}, "[map(range(0,10000), lambda('i', map(range(0,10000), lambda('j', 1))))]"],
    [
      'lists that hold one value twice',
      { variables: doubled((one) => [`[${one}]`, `[${one}]`]) },
      "[string(variables('v60'))]",
    ],
    ['objects that do', { variables: doubled((one) => ({ a: `[${one}]`, b: `[${one}]` })) }, "[variables('v60')]"],
    ['functions that do', { variables: doubled((one) => `[createArray(${one}, ${one})]`) }, "[variables('v60')]"],
    ['loops in loops of properties', { resources: [resource('r', { properties: copies(4) })] }, '[true()]'],
    ['unions of long lists', {}, '[union(range(0,10000), range(5000,10000), range(0,9000))]'],
  ])('ends: %s', (_what, parts, output) => {
    // That it ends is the promise: with a value where it is cheap, with our error where it is not.
    try {
      evaluated(output, parts);
    } catch (error) {
      expect(error).toMatchObject({ code: 'InvalidTemplate' });
    }
  });
});
