import { describe, expect, it } from 'vitest';
import type { Json, JsonObject } from '../core/json.ts';
import { bindParameters } from './bind-parameters.ts';
import { readTemplate } from './read-template.ts';
import { templateOf } from './test-support.ts';

const bind = (parameters: JsonObject, supplied: JsonObject = {}) =>
  bindParameters(readTemplate(templateOf({ parameters })), supplied, (value) => value);
const values = (parameters: JsonObject, supplied: JsonObject = {}) =>
  Object.fromEntries(bind(parameters, supplied).values);
const invalid = (message: RegExp) =>
  expect.objectContaining({ code: 'InvalidTemplate', message: expect.stringMatching(message) as string }) as Error;

describe('names of parameters ignore case', () => {
  it('where values are supplied', () => {
    expect(values({ vmssName: { type: 'string' } }, { VMSSNAME: { VALUE: 'pool' } })).toEqual({ vmssname: 'pool' });
  });

  it('so a template may not declare one twice', () => {
    expect(() => bind({ size: { type: 'int', defaultValue: 1 }, Size: { type: 'string', defaultValue: 'x' } })).toThrow(
      invalid(/'parameters' of the template hold 'size' and 'Size'/),
    );
  });

  it('and nobody may supply one twice', () => {
    expect(() => bind({ size: { type: 'int' } }, { size: { value: 1 }, SIZE: { value: 2 } })).toThrow(
      invalid(/hold 'size' and 'SIZE'.*Give one value only/),
    );
  });
});

describe('a nullable parameter', () => {
  const declared = { p: { type: 'string', nullable: true, minLength: 2, allowedValues: ['ab', 'cd'] } };
  it.each<[string, JsonObject, Json]>([
    ['may be left out, and is null', {}, null],
    ['may be given as null', { p: { value: null } }, null],
    ['may be given', { p: { value: 'ab' } }, 'ab'],
  ])('%s', (_what, supplied, expected) => {
    expect(values(declared, supplied)).toEqual({ p: expected });
  });

  it('is checked where it is given', () => {
    expect(() => bind(declared, { p: { value: 'x' } })).toThrow(invalid(/allowed value/));
  });

  it('has its default where it has one', () => {
    expect(values({ p: { type: 'int', nullable: true, defaultValue: 3 } })).toEqual({ p: 3 });
  });

  it('is another than one that says that it is not', () => {
    expect(() => bind({ p: { type: 'string', nullable: false } })).toThrow(invalid(/'p'.*is not provided/));
    expect(() => bind({ p: { type: 'string' } }, { p: { value: null } })).toThrow(invalid(/Actual 'Null'/));
  });
});

describe('what is shown', () => {
  it('has every parameter as it was declared, and no secure value', () => {
    const { shown, secretValues } = bind(
      { Name: { type: 'string' }, key: { type: 'SECURESTRING' }, more: { type: 'secureobject', nullable: true } },
      { name: { value: 'n' }, key: { value: 'hush-hush' } },
    );
    expect(shown).toEqual({
      Name: { type: 'String', value: 'n' },
      key: { type: 'SecureString' },
      more: { type: 'SecureObject' },
    });
    expect(secretValues).toEqual(['hush-hush']);
  });

  it('has a parameter named __proto__ like any other', () => {
    const parameters = JSON.parse('{"__proto__": {"type": "int", "defaultValue": 1}}') as JsonObject;
    expect(JSON.stringify(bind(parameters).shown)).toBe('{"__proto__":{"type":"Int","value":1}}');
  });
});

it('names every parameter that has no value', () => {
  expect(() => bind({ a: { type: 'int' }, b: { type: 'int', defaultValue: 1 }, c: { type: 'int' } })).toThrow(
    invalid(/parameters 'a', 'c' at line '\d+' and column '\d+' is not provided/),
  );
});

it('says that values from a key vault cannot be had', () => {
  expect(() => bind({ p: { type: 'securestring', defaultValue: '' } }, { p: { reference: { keyVault: {} } } })).toThrow(
    invalid(/'p' refers to a key vault.*give its value instead/),
  );
});
