import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PoolhouseError } from '../core/errors.ts';
import type { Json, JsonObject } from '../core/json.ts';
import { expandTemplate } from './expand.ts';
import { context, evaluated, expandParts, templateOf } from './test-support.ts';

const group = context.resourceGroup.id;
const resource = (type: string, name: string, more: JsonObject = {}): JsonObject => ({
  type: `Test.Things/${type}`,
  apiVersion: '2020-01-01',
  name,
  ...more,
});
const names = (parts: JsonObject, parameters: JsonObject = {}) =>
  expandParts(parts, parameters).resources.map((one) => one.id.split('/providers/Test.Things/')[1]);
const dependencies = (parts: JsonObject) =>
  Object.fromEntries<string[]>(
    expandParts(parts).resources.map((one) => [
      one.key.split('/').at(-1) ?? '',
      one.dependsOn.map((key) => key.split('/').at(-1) ?? '').toSorted(),
    ]),
  );
const invalid = (message: RegExp) =>
  expect.objectContaining({ code: 'InvalidTemplate', message: expect.stringMatching(message) as string }) as Error;

describe('errors of templates with secrets', () => {
  const secret = 'do-not-show-this';
  const parameters = { p: { type: 'securestring' } };
  const net = (name: string, more: object = {}) => ({
    type: 'Microsoft.Network/virtualNetworks',
    apiVersion: '2022-07-01',
    name,
    ...more,
  });
  it.each([
    ['a name of another type', { resources: [net("[concat('x/', parameters('p'))]")] }],
    ['a wrong value', { resources: [net('n', { a: "[int(parameters('p'))]" })] }],
    ['a wrong name', { resources: [net("[concat('a b/', parameters('p'))]")] }],
    ['a wrong default', { parameters: { ...parameters, q: { type: 'int', defaultValue: "[int(parameters('p'))]" } } }],
    ['a wrong output', { outputs: { o: { type: 'int', value: "[int(parameters('p'))]" } } }],
  ])('%s is told without it', (_, parts) => {
    let message = '';
    try {
      expandTemplate(templateOf({ parameters, ...parts }), { p: { value: secret } }, context);
    } catch (error) {
      message = JSON.stringify(error) + String(error);
    }
    expect(message).toContain('InvalidTemplate');
    expect(message).not.toContain(secret);
  });

  it('know what the deployment around them knows', () => {
    const text = templateOf({ resources: [net(`x/${secret}`)] });
    expect(() => expandTemplate(text, {}, { ...context, secretValues: [secret] })).toThrow(/\*\*\*/);
  });

  it('leave a secret out of the parameters that are shown', () => {
    const open = { type: 'string', defaultValue: "[concat('x', parameters('p'))]" };
    const { parameters: bound } = expandTemplate(
      templateOf({ parameters: { ...parameters, open } }),
      { p: { value: secret } },
      context,
    );
    expect(bound.shown).toEqual({ p: { type: 'SecureString' }, open: { type: 'String', value: 'x***' } });
  });
});

describe('parameters', () => {
  const value = (declaration: JsonObject, given?: Json) =>
    evaluated("[parameters('p')]", { parameters: { p: declaration } }) ?? given;
  const bound = (declaration: JsonObject, given?: Json): Json => {
    const { parameters } = expandParts(
      { parameters: { p: declaration } },
      given === undefined ? {} : { P: { value: given } },
    );
    return parameters.values.get('p') ?? null;
  };

  it.each<[string, JsonObject, Json | undefined, Json]>([
    ['a default', { type: 'int', defaultValue: 3 }, undefined, 3],
    ['a value instead of the default', { type: 'int', defaultValue: 3 }, 4, 4],
    ['a number as text, as az sends inline ones', { type: 'int' }, '4', 4],
    ['a boolean as text', { type: 'bool' }, 'true', true],
    ['an allowed value', { type: 'string', allowedValues: ['a', 'b'] }, 'b', 'b'],
    ['the bounds themselves', { type: 'int', minValue: 1, maxValue: 1 }, 1, 1],
    ['lengths at their bounds', { type: 'array', minLength: 1, maxLength: 1 }, [1], [1]],
    ['an object', { type: 'object' }, { a: [null] }, { a: [null] }],
    ['a type in any case', { type: 'SecureString' }, 'x', 'x'],
  ])('take %s', (_what, declaration, given, expected) => {
    expect(bound(declaration, given)).toEqual(expected);
  });

  it.each<[string, JsonObject, Json | undefined, RegExp]>([
    [
      'none where there is no default',
      { type: 'int' },
      undefined,
      /'p' at line '\d+' and column '\d+' is not provided/,
    ],
    [
      'what is not allowed',
      { type: 'string', allowedValues: ['a', 'b'] },
      'c',
      /'c' for the template parameter 'p' .* allowed value\(s\): 'a,b'/,
    ],
    ['too short', { type: 'string', minLength: 2 }, 'a', /greater than or equal to '2'/],
    ['too long', { type: 'string', maxLength: 1 }, 'ab', /less than or equal to '1'/],
    ['too small', { type: 'int', minValue: 2 }, 1, /greater than or equal to '2'/],
    ['too large', { type: 'int', maxValue: 100 }, 101, /less than or equal to '100'/],
    ['another type', { type: 'int' }, 'many', /Expected 'Integer'. Actual 'String'/],
    ['a fraction for an int', { type: 'int' }, 1.5, /Integer/],
    ['a type that there is not', { type: 'text' }, 'x', /no valid type/],
  ])('refuse %s', (_what, declaration, given, message) => {
    expect(() => bound(declaration, given)).toThrow(invalid(message));
  });

  it('never show a secure value: not when it is refused, not afterwards', () => {
    const parameters = { key: { type: 'securestring', minLength: 50 } };
    expect(() => expandParts({ parameters }, { key: { value: 'hush-hush' } })).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining('hush') as string }) as Error,
    );
    const given = expandParts(
      { parameters: { key: { type: 'secureObject' } } },
      { key: { value: { deep: ['hush-hush'] } } },
    );
    expect(JSON.stringify(given.parameters.shown)).not.toContain('hush');
    expect(given.parameters.secretValues).toEqual(['hush-hush']);
  });

  it('that the template does not know are refused by name', () => {
    expect(() => expandParts({ parameters: {} }, { extra: { value: 1 } })).toThrow(invalid(/'extra'.*not valid/));
  });

  it('may have defaults that speak of others, but not of themselves', () => {
    const parts = {
      parameters: {
        a: { type: 'string', defaultValue: "[concat(parameters('b'), '!')]" },
        b: { type: 'string', defaultValue: '[resourceGroup().location]' },
      },
    };
    expect(evaluated("[parameters('a')]", parts)).toBe('westeurope!');
    expect(() => value({ type: 'string', defaultValue: "[parameters('p')]" })).toThrow(invalid(/depends on itself/));
  });
});

describe('variables', () => {
  it('are evaluated when they are used, once, and may use each other', () => {
    expect(evaluated("[variables('b')]", { variables: { a: 'x', b: { c: "[variables('A')]" } } })).toEqual({ c: 'x' });
  });

  it('may be loops', () => {
    const variables = { copy: [{ name: 'list', count: 2, input: "[concat('v', copyIndex('list', 1))]" }] };
    expect(evaluated("[variables('list')]", { variables })).toEqual(['v1', 'v2']);
  });

  it('may not go in circles', () => {
    expect(() =>
      evaluated("[variables('a')]", { variables: { a: "[variables('b')]", b: "[variables('a')]" } }),
    ).toThrow(invalid(/./));
  });

  it('keep a text that begins with two brackets', () => {
    expect(evaluated("[variables('a')]", { variables: { a: '[[not an expression]' } })).toBe('[not an expression]');
  });
});

describe('resources', () => {
  it('may be loops, with their index in every place', () => {
    const body = resource('t', "[concat('n', copyIndex())]", {
      copy: { name: 'many', count: 2 },
      properties: { at: "[copyIndex('many', 10)]" },
    });
    const { resources } = expandParts({ resources: [body] });
    expect(resources.map((one) => [one.id.split('/').at(-1), one.body?.['properties']])).toEqual([
      ['n0', { at: 10 }],
      ['n1', { at: 11 }],
    ]);
    expect(resources[0]?.body).not.toHaveProperty('copy');
  });

  it.each([801, -1, 1.5, 'many', 1e9])('may not be %s times', (count) => {
    const body = resource('t', 'n', { copy: { name: 'many', count } });
    expect(() => expandParts({ resources: [body] })).toThrow(invalid(/copy count/));
  });

  it('may be loops of zero, and have loops in their properties', () => {
    const none = resource('t', 'n', { copy: { name: 'many', count: 0 } });
    const inner = resource('u', 'm', {
      properties: { copy: [{ name: 'disks', count: 2, input: { lun: "[copyIndex('disks')]" } }] },
    });
    const { resources } = expandParts({ resources: [none, inner] });
    expect(resources.map((one) => one.body?.['properties'])).toEqual([{ disks: [{ lun: 0 }, { lun: 1 }] }]);
  });

  it('go one after the other in a serial loop', () => {
    const body = resource('t', "[concat('n', copyIndex())]", {
      copy: { name: 'many', count: 3, mode: 'serial', batchSize: 1 },
    });
    expect(dependencies({ resources: [body] })).toEqual({ n0: [], n1: ['n0'], n2: ['n1'] });
  });

  it('are left out by their condition, and nobody waits for them', () => {
    const parts = {
      resources: [
        resource('t', 'off', { condition: "[equals('a', 'b')]" }),
        resource('t', 'on', { condition: true, dependsOn: ['off'] }),
      ],
    };
    expect(names(parts)).toEqual(['t/on']);
    expect(dependencies(parts)).toEqual({ on: [] });
  });

  it('may be children, nested or by name, and wait for their parents when nested', () => {
    const parts = {
      resources: [
        resource('t', 'a', { resources: [{ type: 'inner', apiVersion: '2020-01-01', name: 'b' }] }),
        resource('t/inner', 'a/c', { dependsOn: ["[resourceId('Test.Things/t', 'a')]"] }),
      ],
    };
    expect(names(parts).toSorted()).toEqual(['t/a', 't/a/inner/b', 't/a/inner/c']);
    expect(dependencies(parts)).toEqual({ a: [], b: ['a'], c: ['a'] });
  });

  it('depend on names, ids, whole loops, and on what they refer to', () => {
    const parts = {
      resources: [
        resource('t', 'first'),
        resource('t', "[concat('l', copyIndex())]", { copy: { name: 'loop', count: 2 } }),
        resource('t', 'byName', { dependsOn: ['first'] }),
        resource('t', 'byId', { dependsOn: ["[resourceId('Test.Things/t', 'first')]"] }),
        resource('t', 'byTypeAndName', { dependsOn: ['Test.Things/t/first'] }),
        resource('t', 'byLoop', { dependsOn: ['loop'] }),
        resource('t', 'byReference', { properties: { v: "[reference(resourceId('Test.Things/t', 'first')).x]" } }),
        resource('t', 'byKeys', {
          properties: { v: "[listKeys(resourceId('Test.Things/t', 'first'), '2020-01-01').keys[0].value]" },
        }),
      ],
    };
    expect(dependencies(parts)).toMatchObject({
      byname: ['first'],
      byid: ['first'],
      bytypeandname: ['first'],
      byloop: ['l0', 'l1'],
      byreference: ['first'],
      bykeys: ['first'],
    });
  });

  it.each<[string, JsonObject[], RegExp]>([
    [
      'depend on what is not there',
      [resource('t', 'a', { dependsOn: ['nowhere'] })],
      /'nowhere' is not defined in the template/,
    ],
    [
      'depend on themselves in a circle',
      [resource('t', 'a', { dependsOn: ['b'] }), resource('t', 'b', { dependsOn: ['a'] })],
      /Circular dependency/,
    ],
    ['depend on themselves', [resource('t', 'a', { dependsOn: ['a'] })], /Circular dependency/],
    ['be there twice', [resource('t', 'a'), resource('T', 'A')], /defined multiple times/],
    ['lack a name', [{ type: 'Test.Things/t', apiVersion: '1' }], /name/],
    ['have fewer names than types', [resource('t/u', 'a')], /segment/],
  ])('may not %s', (_what, resources, message) => {
    expect(() => expandParts({ resources })).toThrow(invalid(message));
  });

  it('stay open where only a deployed resource can tell, and are complete when it does', () => {
    const { resources } = expandParts({
      resources: [resource('t', 'a'), resource('t', 'b', { properties: { v: "[reference('a').address]" } })],
    });
    const open = resources.find((one) => one.key.endsWith('/b'));
    expect(open?.body).toBeUndefined();
    expect(open?.resolve(({ id }) => ({ address: `of ${id.split('/').at(-1) ?? ''}` }))).toMatchObject({
      properties: { v: 'of a' },
    });
  });

  it('have the names of an object of resources as symbols', () => {
    const parts = {
      languageVersion: '2.0',
      resources: { one: resource('t', 'a'), two: resource('t', 'b', { dependsOn: ['one'] }) },
    };
    expect(dependencies(parts)).toEqual({ a: [], b: ['a'] });
  });

  it('are found in their group', () => {
    expect(expandParts({ resources: [resource('t', 'a')] }).resources[0]?.id).toBe(
      `${group}/providers/Test.Things/t/a`,
    );
  });
});

describe('user functions', () => {
  const functions = [
    {
      namespace: 'my',
      members: {
        twice: {
          parameters: [{ name: 'x', type: 'string' }],
          output: { type: 'string', value: "[concat(parameters('x'), parameters('x'))]" },
        },
      },
    },
  ];
  it('see their own parameters', () => {
    expect(evaluated("[my.twice('ab')]", { functions })).toBe('abab');
  });
  it('are refused where there is none', () => {
    expect(() => evaluated("[my.thrice('ab')]", { functions })).toThrow(invalid(/thrice/));
  });
});

describe('errors', () => {
  it('name line and column of what was written', () => {
    const text =
      '{\n  // ours\n  "contentVersion": "1.0.0.0",\n  "resources": [],\n  "parameters": { "p": { "type": "int" } }\n}';
    expect(() => expandTemplate(text, { p: { value: 'x' } }, context)).toThrow(
      expect.objectContaining({
        additionalInfo: [
          {
            type: 'TemplateViolation',
            info: { lineNumber: 5, linePosition: 24, path: 'properties.template.parameters.p' },
          },
        ],
      }) as Error,
    );
  });

  it.each([
    ['no JSON', '{ "resources": [', /parse failed/],
    ['no object', '[]', /JSON object/],
    ['no resources', '{"contentVersion": "1.0.0.0"}', /'resources' not found/],
    [
      'more than 256 parameters',
      templateOf({
        parameters: Object.fromEntries(
          Array.from({ length: 257 }, (_, index) => [`p${index}`, { type: 'int', defaultValue: 1 }]),
        ),
      }),
      /limit exceeded/,
    ],
  ])('tell of a template with %s', (_what, text, message) => {
    expect(() => expandTemplate(text, {}, context)).toThrow(invalid(message));
  });

  it('are our own, whatever a template holds', () => {
    const word = fc.constantFrom(
      'a',
      'concat',
      "'",
      '(',
      ')',
      '[',
      ']',
      '.',
      ',',
      '1',
      ' ',
      "parameters('p')",
      "'x'",
      'copyIndex()',
      'reference(',
      '__proto__',
      'constructor',
      'toString',
    );
    const expression = fc.array(word, { maxLength: 12 }).map((parts) => `[${parts.join('')}]`);
    const any = fc.letrec((tie) => ({
      value: fc.oneof(
        expression,
        fc.integer(),
        fc.constant(null),
        fc.boolean(),
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom('copy', 'count', 'name', 'input', '__proto__', 'a'), tie('value'), {
          maxKeys: 4,
        }),
      ),
    })).value;
    fc.assert(
      fc.property(any, any, any, (variable, body, output) => {
        const parts = {
          variables: { v: variable },
          resources: [{ type: 'Test.Things/t', apiVersion: '1', name: 'n', properties: body }],
          outputs: { o: { type: 'object', value: output } },
        } as JsonObject;
        try {
          expandParts(parts).resolveOutputs(() => null);
        } catch (error) {
          if (!(error instanceof PoolhouseError)) throw error;
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('what is known of a body before anything is deployed', () => {
  const later = "[listKeys('a', '2020-01-01').keys[0].value]";
  const partsOf = (properties: JsonObject, type = 't') =>
    expandParts({ resources: [resource('t', 'a'), resource(type, 'b', { properties })] }).resources.find((one) =>
      one.key.endsWith('/b'),
    );

  it('is all of it where it needs nothing that is deployed', () => {
    const found = partsOf({ user: "[concat('al', 'ice')]" });
    expect(found?.known).toEqual(found?.body);
  });

  it('is all but the members that need something', () => {
    const found = partsOf({ profile: { user: "[concat('al', 'ice')]", key: later, list: [later] }, more: ['x'] });
    expect(found?.body).toBeUndefined();
    expect(found?.known).toEqual({ properties: { profile: { user: 'alice' }, more: ['x'] } });
  });

  it('is wrong now where it is wrong', () => {
    expect(() => partsOf({ key: later, wrong: '[div(1, 0)]' })).toThrow(invalid(/divides by zero/));
  });
});

describe('what cannot work is refused before anything is deployed', () => {
  it.each<[string, JsonObject]>([
    ['in an output', { outputs: { o: { type: 'string', value: '[nothing()]' } } }],
    ['in a variable that nobody uses', { variables: { v: { deep: ["[concat('a', Nothing())]"] } } }],
    [
      'beside what waits for the runtime',
      { resources: [resource('t', 'a', { properties: { v: "[concat(reference('a').x, nothing())]" } })] },
    ],
    ['in the branch that is not taken', { outputs: { o: { type: 'int', value: '[if(true(), 1, nothing())]' } } }],
  ])('a function that there is not: %s', (_what, parts) => {
    expect(() => expandParts(parts)).toThrow(invalid(/'nothing' is not valid.* at line '1' and column '\d+'/i));
  });

  it('an output that cannot be evaluated, although another one waits for the runtime', () => {
    const outputs = {
      later: { type: 'string', value: "[reference('a').x]" },
      wrong: { type: 'int', value: '[div(1, 0)]' },
    };
    expect(() => expandParts({ resources: [resource('t', 'a')], outputs })).toThrow(invalid(/divides by zero/));
  });

  it('but not what people write to each other', () => {
    const metadata = { description: '[optional]' };
    const parts = {
      metadata,
      variables: { metadata },
      resources: [resource('t', 'a', { metadata, comments: '[see the docs]' })],
    };
    expect(names(parts)).toEqual(['t/a']);
  });
});
