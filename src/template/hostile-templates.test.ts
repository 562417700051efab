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

describe('a text is not made before it is known that it is short enough', () => {
  const long = "padLeft('x', 10000)";
  /** A text of 1,000,000 characters. */
  const million = `join(range(0, 100), ${long})`;
  it.each([
    ['replace', `[replace(${long}, ' ', replace(${long}, ' ', ${long}))]`],
    ['replace with a long text', `[replace(${million}, ' ', ${million})]`],
    ['join', `[join(range(0, 10000), ${million})]`],
    ['concat', `[concat(${Array.from({ length: 200 }, () => "variables('m')").join(', ')})]`],
    ['format', `[format('${'{0}'.repeat(5_000)}', variables('m'))]`],
    ['string', '[string(range(0, 10000))]'],
  ])('%s', (what, output) => {
    const work = () => evaluated(output, { variables: { m: `[${million.replace('100)', '99)')}]` } });
    if (what === 'string') expect(work()).toHaveLength(48_891);
    else expect(work).toThrow(/grows beyond 1000000 characters/);
  });

  it('nor many of them, each short enough', () => {
    expect(() =>
      evaluated(`[map(range(0, 10000), lambda('i', concat(variables('m'), string(lambdaVariables('i')))))]`, {
        variables: { m: `[${million.replace('100)', '99)')}]` },
      }),
    ).toThrow(invalid);
  });
});

describe('a member named __proto__ is a member', () => {
  const proto = JSON.parse('{"__proto__": {"a": 1}}') as JsonObject;
  it.each<[string, Json]>([
    ["createObject('__proto__', 1)", '{"__proto__":1}'],
    ["groupBy(createArray('x'), lambda('e', '__proto__'))", '{"__proto__":["x"]}'],
    ["toObject(createArray('x'), lambda('e', '__proto__'))", '{"__proto__":"x"}'],
    ["mapValues(parameters('p'), lambda('e', 2))", '{"__proto__":2}'],
    ["union(parameters('p'), createObject('b', 2))", '{"__proto__":{"a":1},"b":2}'],
    [
      "union(createObject('b', 2), parameters('p'), json('{\"__proto__\": {\"c\": 3}}'))",
      '{"b":2,"__proto__":{"a":1,"c":3}}',
    ],
    ["shallowMerge(createArray(createObject('b', 2), parameters('p')))", '{"b":2,"__proto__":{"a":1}}'],
    ["intersection(parameters('p'), parameters('p'))", '{"__proto__":{"a":1}}'],
    ["intersection(json('{\"__proto__\": {}}'), createObject('a', 1))", '{}'],
    ["parameters('p')['__proto__']", '{"a":1}'],
  ])('%s', (expression, expected) => {
    const given = { parameters: { p: { type: 'object', defaultValue: proto } } };
    expect(JSON.stringify(evaluated(`[${expression}]`, given))).toBe(expected);
    expect(({} as JsonObject)['a']).toBeUndefined();
  });

  it('in a resource, in an output, and among the variables', () => {
    const body = JSON.parse(
      '{"properties": {"__proto__": "[variables(\'__proto__\')]"}, "__proto__": 2}',
    ) as JsonObject;
    const expansion = expandParts({
      variables: JSON.parse('{"__proto__": "v"}') as JsonObject,
      resources: [resource('r', body)],
      outputs: JSON.parse('{"__proto__": {"type": "int", "value": 3}}') as JsonObject,
    });
    expect(JSON.stringify(expansion.resources[0]?.body)).toContain('{"__proto__":"v"}');
    expect(JSON.stringify(expansion.resolveOutputs(() => null))).toBe('{"__proto__":{"type":"Int","value":3}}');
  });
});

describe('names of resources that would lead elsewhere', () => {
  it.each(['..', '.', 'a.', 'a?b', 'a#b', 'a%2fb', 'a\\b', 'a<b', 'a\u0000b', 'a\nb', ' a', 'a ', 'x'.repeat(261)])(
    '%j is refused',
    (name) => {
      expect(() => expandParts({ resources: [resource(name)] })).toThrow(/has a name that is not valid: a name has/);
      expect(() => expandParts({ resources: [resource(name)] })).toThrow(invalid);
      expect(() => expandParts({ resources: [{ ...resource(`a/${name}`), type: 'A.B/c/d' }] })).toThrow(invalid);
    },
  );

  it.each(['a', 'a..b', 'a.b', 'ä', 'a b', 'a(b)_-', 'x'.repeat(260)])('%j is not', (name) => {
    expect(expandParts({ resources: [resource(name)] }).resources).toHaveLength(1);
  });
});

describe('loops go by their batches', () => {
  const serial = (batchSize: Json, more: JsonObject = {}) =>
    expandParts({
      parameters: { two: { type: 'int', defaultValue: 2 } },
      resources: [
        resource("[concat('r', copyIndex())]", {
          copy: { name: 'loop', count: 4, mode: 'serial', batchSize, ...more },
        }),
      ],
    }).resources.map((one) => one.dependsOn.map((key) => key.slice(-2)).toSorted());

  it('of a number, and of an expression', () => {
    const expected = [[], [], ['r0', 'r1'], ['r0', 'r1']];
    expect(serial(2)).toEqual(expected);
    expect(serial("[parameters('two')]")).toEqual(expected);
  });

  it.each<Json>([-1, 0, 1.5, '2', 5, '[true()]', null].filter((one) => one !== null))('but not of %j', (batchSize) => {
    expect(() => serial(batchSize)).toThrow(/batchSize must be an integer from 1 to the count/);
    expect(() => serial(batchSize)).toThrow(invalid);
  });

  it('and in no mode that there is not', () => {
    expect(() => serial(1, { mode: 'sideways' })).toThrow(/'serial' or 'parallel', not 'sideways'/);
  });
});
