import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createHiddenLines } from './hidden-lines.ts';

const take = (...chunks: string[]) => {
  const lines = createHiddenLines(64);
  return chunks.flatMap((chunk) => lines.take(Buffer.from(chunk)));
};

describe('a line that is typed unseen', () => {
  it.each([
    [['secret\r'], ['secret']],
    [['sec', 'ret\n'], ['secret']],
    [['one\r\ntwo\r\n'], ['one', 'two']],
    [
      ['one\r', '\ntwo\r'],
      ['one', 'two'],
    ],
    [['\r\r'], ['', '']],
    [['secrex\x7ft\r'], ['secret']],
    [['пароли\x7fь\r'], ['пароль']],
    [['\x7f\x7fab\x08\r'], ['a']],
    [['nonsense\x15secret\r'], ['secret']],
    [['a\x1b\x00b\x04\r'], ['ab']],
    [['x'.repeat(100) + '\r'], ['x'.repeat(64)]],
    [['unfinished'], []],
  ])('%j is %j', (chunks, lines) => {
    expect(take(...chunks)).toEqual(lines.map((line) => ({ line })));
  });

  it.each(['\x03', 'half\x03', '\x04'])('ends where %j is typed, and nothing follows', (keys) => {
    expect(take(`one\r${keys}more\r`, 'again\r')).toEqual([{ line: 'one' }, 'interrupted']);
  });

  it('is the same however it comes in pieces', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(60), (bytes, cut) => {
        const whole = Buffer.from(bytes);
        const [once, twice] = [createHiddenLines(64), createHiddenLines(64)];
        const parts = [whole.subarray(0, cut), whole.subarray(cut)];
        expect(parts.flatMap((part) => twice.take(part))).toEqual(once.take(whole));
      }),
    );
  });
});
