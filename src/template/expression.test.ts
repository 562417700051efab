import { describe, expect, it } from 'vitest';
import { isExpression, literalText, parseExpression, type Expression } from './expression.ts';

const call = (name: string, ...args: Expression[]): Expression => ({ kind: 'call', name, args });
const literal = (value: string | number): Expression => ({ kind: 'literal', value });

describe('a text', () => {
  it.each([
    ['[a()]', true],
    ['[[a()]', false],
    ['[a()', false],
    ['a()]', false],
    [' [a()]', false],
    ['', false],
  ])('%s: is it an expression? %s', (text, expected) => {
    expect(isExpression(text)).toBe(expected);
  });

  it('loses one of two brackets at its beginning, and nothing else', () => {
    expect(['[[a]', '[[[a]', 'a', '[a'].map(literalText)).toEqual(['[a]', '[[a]', 'a', '[a']);
  });
});

describe('an expression is parsed into a tree', () => {
  it.each<[string, Expression]>([
    ['[a()]', call('a')],
    ["[ a ( 'x' , 1 ) ]", call('a', literal('x'), literal(1))],
    ["['it''s']", literal("it's")],
    ["['']", literal('')],
    ["['a(b),[c]']", literal('a(b),[c]')],
    ['[-1]', literal(-1)],
    ['[1.5]', literal(1.5)],
    ['[my.f(1)]', { kind: 'call', namespace: 'my', name: 'f', args: [literal(1)] }],
    ['[a().b]', { kind: 'property', of: call('a'), name: 'b' }],
    [
      "[a()[0]['b']]",
      {
        kind: 'index',
        of: { kind: 'index', of: call('a'), index: literal(0) },
        index: literal('b'),
      },
    ],
    ['[a(b(c()))]', call('a', call('b', call('c')))],
  ])('%s', (text, expected) => {
    expect(parseExpression(text)).toEqual(expected);
  });
});

describe('what cannot be parsed is refused with its place', () => {
  it.each<[string, RegExp]>([
    ['[]', /expected a name, found the end at position '0'/],
    ['[a]', /expected '\(', found the end/],
    ['[a(]', /expected a name, found the end at position '2'/],
    ['[a(1]', /expected '\)', found the end/],
    ['[a(1 2)]', /expected '\)', found '2'/],
    ["['open]", /the text is not closed/],
    ['[a() b()]', /unexpected 'b'/],
    ['[a().]', /expected a name/],
    ['[a()[0]', /expected ']', found the end/],
    ['[.]', /expected a name, found '\.'/],
    [`[${'a('.repeat(100)}${')'.repeat(100)}]`, /nests deeper than 64 levels/],
    [`[a('${'x'.repeat(30_000)}')]`, /longer than 24576 characters/],
  ])('%s', (text, message) => {
    expect(() => parseExpression(text)).toThrow(message);
  });

  it('quotes no more than the beginning of a long one', () => {
    expect(() => parseExpression(`[a('${'x'.repeat(10_000)}'`)).toThrow(
      expect.objectContaining({ message: expect.not.stringMatching(/.{400}/) as string }) as Error,
    );
  });
});
