import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { isPlainName, readTar, tarEnd, tarHeader, tarPadding } from './plain-tar.ts';

const member = (name: string, text: string) => {
  const body = Buffer.from(text);
  return Buffer.concat([tarHeader({ name, size: body.length }), body, tarPadding(body.length)]);
};
const whole = Buffer.concat([member('a', 'one'), member('b/c', ''), member('d', 'x'.repeat(1_000)), tarEnd]);

/** The bytes in pieces of this size. */
async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function read(bytes: Buffer, size = 700): Promise<[string, string][]> {
  const found: [string, string][] = [];
  for await (const { name, body } of readTar(pieces(bytes, size), 'the file')) {
    let text = '';
    for await (const chunk of body) text += chunk.toString();
    found.push([name, text]);
  }
  return found;
}

/** A header with some bytes changed, and a checksum that fits again. */
function forged(change: (header: Buffer) => void): Buffer {
  const header = tarHeader({ name: 'a', size: 0 });
  change(header);
  header.fill(0x20, 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return Buffer.concat([header, tarEnd]);
}

describe('a plain tar', () => {
  it.each([1, 511, 512, 513, 10_000])('is read as it was written, in pieces of %i bytes', async (size) => {
    expect(await read(whole, size)).toEqual([
      ['a', 'one'],
      ['b/c', ''],
      ['d', 'x'.repeat(1_000)],
    ]);
  });

  it('passes over what nobody reads', async () => {
    const names: string[] = [];
    for await (const { name } of readTar(pieces(whole, 100), 'the file')) names.push(name);
    expect(names).toEqual(['a', 'b/c', 'd']);
  });

  it('is what the program of that name reads, long names too', async () => {
    const long = `${'folder/'.repeat(20)}${'n'.repeat(90)}`;
    const bytes = Buffer.concat([member(long, 'deep'), member('a', 'one'), tarEnd]);
    expect(execFileSync('tar', ['tf', '-'], { input: bytes, encoding: 'utf8' })).toBe(`${long}\na\n`);
    expect(execFileSync('tar', ['xOf', '-', long], { input: bytes, encoding: 'utf8' })).toBe('deep');
    expect(await read(bytes)).toEqual([
      [long, 'deep'],
      ['a', 'one'],
    ]);
  });

  it.each([1, 400, 512, 600, 1_024, whole.length - 512, whole.length - 1])(
    'cut off after %i bytes is refused',
    async (length) => {
      await expect(read(whole.subarray(0, length))).rejects.toMatchObject({ code: 'InvalidRequestContent' });
    },
  );

  it.each(['', '/etc/passwd', '../a', 'a/../b', './a', 'a//b', 'a/', 'a\\b', 'a\nb', 'x'.repeat(256)])(
    'has no file named %j',
    (name) => {
      expect(isPlainName(name)).toBe(false);
      expect(() => tarHeader({ name, size: 0 })).toThrow(/does not fit/);
    },
  );

  it.each<[string, (header: Buffer) => void]>([
    ['a name that leads above', (header) => header.write('../b')],
    ['a name from the root', (header) => header.write('/b')],
    ['a prefix that leads above', (header) => header.write('..', 345)],
    ['a symbolic link', (header) => header.write('2', 156)],
    ['a hard link', (header) => header.write('1', 156)],
    ['a device', (header) => header.write('3', 156)],
    ['a folder', (header) => header.write('5', 156)],
    ['a header of GNU', (header) => header.write('ustar  \0', 257)],
    ['an extension', (header) => header.write('x', 156)],
    ['a size that is none', (header) => header.write('99999999999', 124)],
    ['a size in base 256', (header) => header.writeUInt8(0x80, 124)],
  ])('with %s is refused', async (_what, change) => {
    await expect(read(forged(change))).rejects.toMatchObject({ code: 'InvalidRequestContent' });
  });

  it('with a header that was changed is refused', async () => {
    const changed = Buffer.from(whole);
    changed.write('z');
    await expect(read(changed)).rejects.toMatchObject({ code: 'InvalidRequestContent' });
  });
});
