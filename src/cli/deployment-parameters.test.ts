import { describe, expect, it } from 'vitest';
import type { Json } from '../core/json.ts';
import { declaredParameters, suppliedParameters } from './deployment-parameters.ts';
import { UsageError } from './usage-error.ts';

const template: Json = {
  parameters: {
    text: { type: 'String', metadata: { description: 'Some text.' } },
    secret: { type: 'secureString' },
    count: { type: 'int', defaultValue: 2 },
    on: { type: 'bool', allowedValues: [true] },
    list: { type: 'array', defaultValue: null },
    tree: { type: 'object', nullable: true },
    hidden: { type: 'secureObject' },
  },
};
const declared = declaredParameters(template);
const files: Record<string, string> = {
  'frame.json': `\uFEFF// from the team
    { "$schema": "x", "contentVersion": "1.0.0.0", "parameters": { "text": { "value": "framed" }, "COUNT": { "value": 5 }, } }`,
  'bare.json': '{ "contentVersion": "1", "text": { "value": "bare" }, "more": { "value": null } }',
  'vault.json': '{ "parameters": { "secret": { "reference": { "keyVault": { "id": "x" }, "secretName": "y" } } } }',
  'values.json': '{ "text": "no frame" }',
  'list.json': '[1]',
  'tree.json': '{ a: 1 }',
  'broken.json': '{ "parameters": ',
  '/home/alice/.ssh/id.pub': 'ssh-ed25519 AAAA alice\r\n',
  'id.pub': 'ssh-ed25519 AAAA alice\n',
  number: '7\n',
};
const read = (file: string): Promise<string> => {
  const text = files[file];
  return text === undefined
    ? Promise.reject(new UsageError(`The file '${file}' cannot be read: ENOENT.`))
    : Promise.resolve(text);
};

describe('the parameters that a template declares', () => {
  it('are those in its parameters, in their order', () => {
    expect(declared.map((one) => [one.name, one.type, one.optional])).toEqual([
      ['text', 'string', false],
      ['secret', 'securestring', false],
      ['count', 'int', true],
      ['on', 'bool', false],
      ['list', 'array', true],
      ['tree', 'object', true],
      ['hidden', 'secureobject', false],
    ]);
    expect(declared[0]?.description).toBe('Some text.');
    expect(declared[3]?.allowedValues).toEqual([true]);
  });

  it.each<[Json]>([[{}], [null], [{ parameters: [] }], [{ parameters: {} }]])('are none in %j', (value) => {
    expect(declaredParameters(value)).toEqual([]);
  });
});

const given: [what: string, args: string[], parameters: object][] = [
  ['nothing', [], {}],
  ['text', ['text=a b'], { text: { value: 'a b' } }],
  ['empty text', ['text='], { text: { value: '' } }],
  ['text with an equals sign', ['text=a=b'], { text: { value: 'a=b' } }],
  ['text that looks like a number', ['text=007'], { text: { value: '007' } }],
  ['text that looks like JSON', ['text={"a": 1}'], { text: { value: '{"a": 1}' } }],
  ['a name in other letters', ['TEXT=a'], { text: { value: 'a' } }],
  ['a number', ['count=-3'], { count: { value: -3 } }],
  ['a truth', ['on=True'], { on: { value: true } }],
  ['an array', ['list=[1, "b",]'], { list: { value: [1, 'b'] } }],
  ['an object', [`tree={a: 'b'}`], { tree: { value: { a: 'b' } } }],
  ['a secret object', ['hidden={"a": 1}'], { hidden: { value: { a: 1 } } }],
  ['text from a file', ['text=@id.pub'], { text: { value: 'ssh-ed25519 AAAA alice' } }],
  ['text from a file elsewhere', ['text=@/home/alice/.ssh/id.pub'], { text: { value: 'ssh-ed25519 AAAA alice' } }],
  ['a number from a file', ['count=@number'], { count: { value: 7 } }],
  ['an object from a file', ['tree=@tree.json'], { tree: { value: { a: 1 } } }],
  ['a password that begins like a file', ['secret=@Correct-Horse-7'], { secret: { value: '@Correct-Horse-7' } }],
  ['an at sign', ['text=@'], { text: { value: '@' } }],
  ['a file with a frame', ['@frame.json'], { text: { value: 'framed' }, count: { value: 5 } }],
  ['a file without one', ['@bare.json'], { text: { value: 'bare' }, more: { value: null } }],
  ['a reference', ['@vault.json'], { secret: { reference: { keyVault: { id: 'x' }, secretName: 'y' } } }],
  ['a value after a file', ['@frame.json', 'text=mine'], { text: { value: 'mine' }, count: { value: 5 } }],
  ['a file after a value', ['text=mine', '@frame.json'], { text: { value: 'framed' }, count: { value: 5 } }],
  ['two values', ['count=1', 'Count=2'], { count: { value: 2 } }],
];

const wrong: [what: string, args: string[], message: string][] = [
  ['neither of both', ['text'], `'text' is neither NAME=VALUE nor @FILE.`],
  ['no name', ['=a'], `'=a' is neither`],
  ['a superfluous name', ['texts=Secret'], `The template has no parameter 'texts'. It has: text, secret,`],
  ['no number', ['count=three'], `'count' is a whole number; 'three' is none.`],
  ['half a number', ['count=1.5'], `'count' is a whole number`],
  ['no truth', ['on=yes'], `'on' is true or false`],
  ['broken JSON', ['tree={a'], `The parameter 'tree': The content is not valid JSON at line '1'`],
  ['an object for an array', ['list={}'], `'list' is an array in JSON`],
  ['an array for an object', ['tree=[]'], `'tree' is an object in JSON`],
  ['a file that is not there', ['@gone.json'], `'gone.json' cannot be read`],
  ['an object from a file that is not there', ['tree=@gone'], `'gone' cannot be read`],
  ['text from a path that is not there', ['text=@./gone'], `'./gone' cannot be read`],
  ['a broken file', ['@broken.json'], `The parameters file 'broken.json': The content is not valid JSON`],
  ['a file without parameters', ['@list.json'], `'list.json' holds no object of parameters`],
  ['a file of bare values', ['@values.json'], `'text' in the parameters file 'values.json' is not written as {"value"`],
];

describe('parameters of a deployment', () => {
  it.each(given)('%s', async (_what, args, parameters) => {
    expect(await suppliedParameters(args, declared, read)).toEqual(parameters);
  });

  it.each(wrong)('not %s', async (_what, args, message) => {
    const error = await suppliedParameters(args, declared, read).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(UsageError);
    expect((error as UsageError).message).toContain(message);
    expect((error as UsageError).message).not.toContain('Secret');
  });

  it('a name that every object has is a name like all others', async () => {
    await expect(suppliedParameters(['constructor=a', '__proto__=b'], [], read)).rejects.toThrow('It has: none.');
  });
});
