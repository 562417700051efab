import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Json } from '../core/json.ts';
import { parseLenient } from './parse-lenient.ts';

describe('parseLenient', () => {
  const cases: [string, string, Json][] = [
    ['JSON', '{"a": [1, -2.5e3, true, null, "b\\n\\u00e9"]}', { a: [1, -2500, true, null, 'b\né'] }],
    ['comments and trailing commas', '{ // one\n "a": 1, /* two */ "b": [1,], }', { a: 1, b: [1] }],
    [
      'single quotes and bare names, as az sends them',
      "{template: 'x', \"y\": 'it\\'s'}",
      { template: 'x', y: "it's" },
    ],
    ['a byte-order mark', '\uFEFF{"a": 1}', { a: 1 }],
    ['strings over several lines', '"one\ntwo\r\n\tthree"', 'one\ntwo\r\n\tthree'],
    ['what looks like a comment in a string', '"http://x /* y */"', 'http://x /* y */'],
    ['the last of two members of one name', '{"a": 1, "a": 2}', { a: 2 }],
  ];
  it.each(cases)('takes %s', (_what, text, expected) => {
    expect(parseLenient(text).value).toEqual(expected);
  });

  it('makes a member named __proto__ one like all others', () => {
    const { value } = parseLenient('{"__proto__": {"polluted": true}}');
    expect(Object.hasOwn(value as object, '__proto__')).toBe(true);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  it.each([
    ['an end in the middle', '{"a": ', 1],
    ['two values', '{}\n{}', 2],
    ['a missing comma', '{\n  "a": 1\n  "b": 2\n}', 3],
    ['NaN', 'NaN', undefined],
    ['nothing', '', undefined],
    ['nesting without end', '['.repeat(100_000), 1],
  ])('refuses %s, and says where', (_what, text, line) => {
    const expected = line === undefined ? /./ : new RegExp(`line '${line}'`);
    expect(() => parseLenient(text)).toThrow(expect.objectContaining({ code: 'InvalidRequestContent' }) as Error);
    expect(() => parseLenient(text)).toThrow(expected);
  });

  it('knows where a value stands, and its very text', () => {
    const located = parseLenient('{\n  "A": [ 1,\n    {"b": "x"} ]\n}');
    expect(located.locate(['a', 1, 'B'])).toEqual({ line: 3, column: 11 });
    expect(located.textAt(['a', 1])).toBe('{"b": "x"}');
    expect(located.locate(['a', 7])).toBeUndefined();
  });

  it('gives every value back that was printed as JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
        expect(JSON.stringify(parseLenient(JSON.stringify(value)).value)).toBe(JSON.stringify(value));
      }),
    );
  });

  it('fails for any text with our own error, or not at all', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'{}[]"\',:/*\\\n\ta1-.eE\u2028'.split('')) }), (text) => {
        try {
          parseLenient(text);
        } catch (error) {
          expect(error).toMatchObject({ code: 'InvalidRequestContent' });
        }
      }),
    );
  });
});
