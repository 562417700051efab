/** The worker makes a tar of a folder, and a folder of a tar. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { link, lstat, mkdir, readdir, readFile, readlink, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { at, codeOf, never, prepareShare, prepareSnapshotted, put } from '../test-share.ts';
import { workerMissing } from '../test-worker.ts';

describe.skipIf(workerMissing !== undefined)(`tars (${workerMissing ?? 'by the real worker'})`, () => {
  it('packs a folder, and unpacks it elsewhere as it was', async () => {
    const { files, share } = await prepareSnapshotted();
    await files.change(at('a'), { metadata: { kept: 'with it' } }, never);
    await link(join(share, 'a'), join(share, 'dir/hard'));
    const long = `${'long'.repeat(50)}/${'name'.repeat(60)}`;
    await mkdir(join(share, long, '..'));
    await put(files, long, 'ä\n日本');
    const tar = await buffer(await files.pack(at(''), never));
    await mkdir(join(share, '..', 'second'));
    const second = { account: 'teamfiles', share: 'second', path: [] };
    const { files: count } = await files.unpack(
      second,
      Readable.from([tar.subarray(0, 700), tar.subarray(700)]),
      never,
    );
    expect(count).toBe(8);
    const other = join(share, '..', 'second');
    expect((await readdir(other)).sort()).toEqual(['a', 'dir', 'gone', long.split('/')[0], 'notebooks'].sort());
    expect(await readdir(join(other, 'notebooks/ada'))).toEqual(['x']);
    expect(await readFile(join(other, long), 'utf8')).toBe('ä\n日本');
    expect(await readlink(join(other, 'dir/link'))).toBe('b');
    expect((await stat(join(other, 'dir/hard'))).ino).toBe((await stat(join(other, 'a'))).ino);
    expect((await stat(join(other, 'a'))).mtimeMs).toBe((await stat(join(share, 'a'))).mtimeMs);
    expect(await files.find({ ...second, path: ['a'] }, never)).toMatchObject({ metadata: { kept: 'with it' } });
    const hers = await buffer(await files.pack(at('notebooks', 'one'), never));
    expect(spawnSync('tar', ['t'], { input: hers, encoding: 'utf8' }).stdout.split('\n')).toContain('ada/x');
  });

  it('packs holes as holes, as GNU tar does, and makes them again: no file keeps a backup from its end', async () => {
    const { files, share } = await prepareShare();
    const huge = 8 * 2 ** 40;
    await writeFile(join(share, 'a'), 'all of it');
    for (const name of ['empty', 'huge', 'ends']) await writeFile(join(share, name), '');
    await truncate(join(share, 'empty'), huge);
    for (const [name, offset] of [['huge', 5 * 2 ** 40], ['huge', 2 ** 30], ['ends', 2 ** 33]] as const) {
      await files.write(at(name), offset, Buffer.from(`${name} at ${String(offset)}`), never);
    } // prettier-ignore
    await truncate(join(share, 'huge'), huge);
    await link(join(share, 'huge'), join(share, 'same'));
    await writeFile(join(share, 'z'), randomBytes(3_000_000));
    await writeFile(join(share, 'zeros'), Buffer.alloc(3_000_000));
    const tar = await buffer(await files.pack(at(''), never));
    expect(tar.length).toBeLessThan(7_000_000);
    const by = {
      us: (folder: string) => files.unpack({ ...at(''), share: folder }, Readable.from([tar]), never),
      tar: (folder: string) =>
        Promise.resolve(spawnSync('tar', ['x', '-C', join(share, '..', folder)], { input: tar })),
    };
    for (const [folder, unpack] of Object.entries(by)) {
      const other = join(share, '..', folder);
      await mkdir(other);
      await unpack(folder);
      for (const name of ['a', 'empty', 'ends', 'huge', 'same', 'z', 'zeros']) {
        const found = await stat(join(other, name));
        expect([name, found.size, found.blocks < 10_000]).toEqual([name, (await stat(join(share, name))).size, true]);
      }
      for (const name of ['a', 'z', 'zeros'])
        expect((await readFile(join(share, name))).equals(await readFile(join(other, name)))).toBe(true);
      for (const [name, from] of [['huge', 5 * 2 ** 40], ['same', 2 ** 30], ['ends', 2 ** 33]] as const) {
        const place = { ...at(name), share: folder };
        expect(await text(await files.read(place, { from, length: 7 }, never))).toBe(`${name.replace('same', 'huge')} at`);
        expect(await text(await files.read(place, { from: from - 1, length: 1 }, never))).toBe('\0');
      } // prettier-ignore
    }
    expect((await stat(join(share, '..', 'us', 'zeros'))).blocks).toBeLessThan(5_000);
  });

  it.each<[string, string, string]>([
    ['a name that leads up', `add('../evil', b'x')`, 'InvalidRequestContent'],
    ['a name from the root', `add('/tmp/evil', b'x')`, 'InvalidRequestContent'],
    ['a link, and a file through it', `add('l', None, '2', '../../outside'); add('l/evil', b'x')`, 'Conflict'],
    ['a hard link to what is outside', `add('h', None, '1', '../../outside/secret')`, 'InvalidRequestContent'],
    ['a hard link through a link', `add('l', None, '2', '../../outside'); add('h', None, '1', 'l/secret')`, 'NotFound'],
    ['a hard link to a link', `add('l', None, '2', '/etc/passwd'); add('h', None, '1', 'l')`, 'NotFound'],
    ['a device', `add('d', None, '3')`, 'done'],
    ['snapshots', `add('.snapshots/evil', b'x')`, 'done'],
    ['a file with the rights of its owner', `add('s', b'x', '0', '', 0o4755)`, 'done'],
    ['nonsense', `out.fileobj.write(b'nonsense' * 1000)`, 'InvalidRequestContent'],
  ])('unpacks nothing outside of the folder, whatever the tar says: %s', async (_name, members, code) => {
    const { files, share, worker } = await prepareShare();
    const outside = join(worker.root, 'outside');
    await mkdir(outside);
    await writeFile(join(outside, 'secret'), 'secret');
    const script = `
import io, sys, tarfile
out = tarfile.open(mode='w|', fileobj=sys.stdout.buffer)
def add(name, content, kind='0', link='', mode=0o644):
    member = tarfile.TarInfo(name); member.type = kind.encode(); member.linkname = link; member.mode = mode
    member.size = len(content or b''); out.addfile(member, io.BytesIO(content or b''))
${members}
out.close()`;
    const { stdout } = spawnSync('python3', ['-c', script]);
    expect(await codeOf(files.unpack(at(''), Readable.from([stdout]), never))).toBe(code);
    expect(await readdir(outside)).toEqual(['secret']);
    expect((await lstat(join(outside, 'secret'))).nlink).toBe(1);
    for (const path of ['/tmp/evil', join(share, '.snapshots'), join(share, 'd')]) expect(existsSync(path)).toBe(false);
    if (existsSync(join(share, 's'))) expect((await stat(join(share, 's'))).mode & 0o7777).toBe(0o755);
  });
});
