import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { withoutLinks } from './without-links.ts';

const script = `
import io, sys, tarfile
tar = tarfile.open(fileobj=sys.stdout.buffer, mode='w|', format=tarfile.PAX_FORMAT)
def add(name, kind=tarfile.REGTYPE, body=b'', link='', pax={}):
    one = tarfile.TarInfo(name); one.type = kind; one.size = len(body); one.linkname = link; one.pax_headers = pax
    tar.addfile(one, io.BytesIO(body))
add('.', tarfile.DIRTYPE)
add('notebooks', tarfile.DIRTYPE)
add('notebooks/alice', tarfile.SYMTYPE, link='x', pax={'SCHILY.xattr.user.a': 'b'})
add('./notebooks/bob', tarfile.SYMTYPE, link='.snapshots/bob')
add('notebooks/' + 'e' * 120, tarfile.SYMTYPE, link='l' * 200)
add('notebooks/eve', tarfile.SYMTYPE, link='stays')
add('notebooks/alice.txt', body=b'x' * 1500, pax={'SCHILY.xattr.user.a': 'y' * 3000})
add('notebooks/bob/deep', body=b'a file, not a link')
add('last', body=b'')
tar.close()
`;
const tar = execFileSync('python3', ['-c', script]);

async function* pieces(size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < tar.length; at += size) yield tar.subarray(at, at + size);
}

async function filtered(names: string[], size: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of withoutLinks(pieces(size), new Set(names))) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const list = (bytes: Buffer) => execFileSync('tar', ['tf', '-'], { input: bytes, encoding: 'utf8' }).trim().split('\n');

describe('a tar without the links of rooms', () => {
  it.each([1, 333, 512, 100_000])('leaves out these and nothing else, in pieces of %i bytes', async (size) => {
    const long = `notebooks/${'e'.repeat(120)}`;
    const names = ['notebooks/alice', 'notebooks/bob', long, 'notebooks/alice.txt', 'notebooks/bob/deep'];
    const bytes = await filtered(names, size);
    expect(list(bytes)).toEqual(['./', 'notebooks/', 'notebooks/eve', 'notebooks/alice.txt', 'notebooks/bob/deep', 'last']);
    const read = execFileSync('tar', ['xOf', '-', 'notebooks/alice.txt'], { input: bytes, encoding: 'utf8' });
    expect(read).toBe('x'.repeat(1_500));
  });

  it('is the same where there are none', async () => {
    expect(await filtered([], 700)).toEqual(tar);
    expect(await filtered(['other'], 700)).toEqual(tar);
  });
});
