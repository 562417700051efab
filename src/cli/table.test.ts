import { describe, expect, it } from 'vitest';
import { plainLine, plainText } from './plain-text.ts';
import { table, tableWidth } from './table.ts';

describe('a table', () => {
  it('has columns as wide as they must be', () => {
    expect(
      table(
        ['id', 'instance', 'state'],
        [
          ['0', 'pool000000', 'in rotation'],
          ['10', 'p', ''],
        ],
      ),
    ).toEqual(['  ID  INSTANCE    STATE', '  0   pool000000  in rotation', '  10  p']);
  });

  it('without rows is its head', () => {
    expect(table(['a', 'b'], [])).toEqual(['  A  B']);
  });

  const long = 'not in rotation: the probe of port 8000 was refused, and so on for a long while';
  it.each([
    ['a long text', ['id', 'state'], ['0', long], 40],
    ['two long texts', ['state', 'reason'], [long, long], 80],
    [
      'many columns',
      ['front end', 'address', 'leads to', 'in rotation', 'sessions'],
      ['http', '127.77.200.200:65535', 'port 8000', '100', '7'],
      50,
    ],
    [
      'very many columns',
      Array.from({ length: 8 }, (_, at) => `column ${at}`),
      Array.from({ length: 8 }, () => long),
      40,
    ],
  ])('fits its terminal with %s', (_what, head, row, width) => {
    const lines = table(head, [row, row], width);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(width);
    expect(lines.join()).toContain('…');
  });

  it('cuts the widest column first', () => {
    expect(table(['id', 'state'], [['0000000', long]], 30)[1]).toBe(
      '  0000000  not in rotation: the …'.slice(0, 29) + '…',
    );
  });

  it('cuts nothing where there is no terminal', () => {
    const width = tableWidth({});
    expect(table(['state'], [[long.repeat(5)]], width)[1]).toBe(`  ${long.repeat(5)}`);
    expect(tableWidth({ isTTY: true, columns: 132 })).toBe(132);
    expect(tableWidth({ isTTY: true })).toBe(80);
    expect(tableWidth({ isTTY: true, columns: 3 })).toBe(40);
  });

  it('shows control characters, and obeys none', () => {
    expect(table(['state'], [['up\u001b[2Jdown\nnext']])).toEqual(['  STATE', '  up\\x1b[2Jdown next']);
  });
});

describe('text for a terminal', () => {
  it.each([
    ['lines and tabs stay', 'a\n\tb', 'a\n\tb'],
    ['letters of all people stay', 'Zoë 日本 😀', 'Zoë 日本 😀'],
    ['an escape is shown', '\u001b]0;title\u0007', '\\x1b]0;title\\x07'],
    ['the other control characters too', 'a\u009b31mb\u0000', 'a\\x9b31mb\\x00'],
    ['a return does not hide the line', 'harmful\rharmless', 'harmfulharmless'],
    ['nothing turns the direction', 'a\u202eb', 'a\\x202eb'],
  ])('%s', (_what, text, shown) => {
    expect(plainText(text)).toBe(shown);
  });

  it('on one line has one line', () => {
    expect(plainLine('a\n  b\r\nc')).toBe('a b c');
  });
});
