/** The real worker, asked by the real link, on folders that people have prepared for it. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { rename, chmod, chown, link, lstat, mkdir, readdir, readFile, readlink, rm, stat, symlink, truncate, utimes, writeFile } from 'node:fs/promises'; // prettier-ignore
import { connect } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { PoolhouseError } from '../core/errors.ts';
import type { ShareFiles, SharePlace } from './share-files.ts';
import { prepareWorker, workerMissing } from './test-worker.ts';
import { createWorkerLink } from './worker-link.ts';

const isRoot = process.getuid?.() === 0;
const never = new AbortController().signal;
const at = (path: string, snapshot?: string): SharePlace => ({
  account: 'teamfiles',
  share: 'files',
  path: path === '' ? [] : path.split('/'),
  ...(snapshot === undefined ? {} : { snapshot }),
});
const inSnapshot = (path: string, snapshot: string) => ({ ...at(path), snapshot });

async function prepare() {
  const worker = await prepareWorker();
  const share = await worker.makeShare('teamfiles', 'files');
  const linkToIt = createWorkerLink({ log: pino({ level: 'silent' }), patience: 3_000 });
  onTestFinished(async () => {
    await worker.remove();
    await linkToIt.close();
  });
  await linkToIt.listen(worker.socketPath);
  worker.start();
  return { worker, share, files: linkToIt.files, link: linkToIt };
}

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'done',
    (error: unknown) => (error instanceof PoolhouseError ? error.code : String(error)),
  );
const content = async (files: ShareFiles, path: string, snapshot?: string) =>
  text(await files.read(at(path, snapshot), { from: 0 }, never));
async function put(files: ShareFiles, path: string, bytes: Uint8Array | string) {
  const whole = Buffer.from(bytes);
  await files.createFile(at(path), { size: whole.length, metadata: {} }, never);
  return files.write(at(path), 0, whole, never);
}

describe.skipIf(workerMissing !== undefined)(`work on files (${workerMissing ?? 'by the real worker'})`, () => {
  it('makes, writes, reads, changes, renames and removes', async () => {
    const { files, share } = await prepare();
    const folder = await files.makeFolder(at('data'), { made: 'by az' }, never);
    expect(folder).toMatchObject({ name: 'data', kind: 'folder', metadata: { made: 'by az' } });
    const made = await files.createFile(at('data/a.txt'), { size: 10, metadata: { type: 'text' } }, never);
    expect(made).toMatchObject({ name: 'a.txt', kind: 'file', size: 10, metadata: { type: 'text' } });
    const written = await files.write(at('data/a.txt'), 4, Readable.from([Buffer.from('hel'), Buffer.from('lo')]), never); // prettier-ignore
    expect(written.etag).not.toBe(made.etag);
    expect(await readFile(join(share, 'data/a.txt'), 'utf8')).toBe('\0\0\0\0hello\0');
    expect(await text(await files.read(at('data/a.txt'), { from: 4, length: 5 }, never))).toBe('hello');
    expect(await text(await files.read(at('data/a.txt'), { from: 100 }, never))).toBe('');
    await files.clear(at('data/a.txt'), { from: 5, length: 100 }, never);
    expect(await content(files, 'data/a.txt')).toBe('\0\0\0\0h\0\0\0\0\0');
    const changed = await files.change(at('data/a.txt'), { size: 3, metadata: {}, modifiedAt: 1_700_000_000_123 }, never); // prettier-ignore
    expect(changed).toMatchObject({ size: 3, metadata: {}, modifiedAt: 1_700_000_000_123 });
    expect(await codeOf(files.removeFolder(at('data'), never))).toBe('Conflict');
    await put(files, 'data/b.txt', 'b');
    expect(await codeOf(files.rename(at('data/a.txt'), at('data/b.txt'), { replace: false }, never))).toBe('Conflict');
    await files.rename(at('data/a.txt'), at('data/b.txt'), { replace: true }, never);
    expect((await files.list(at('data'), { most: 10 }, never)).entries.map(({ name }) => name)).toEqual(['b.txt']);
    await files.removeFile(at('data/b.txt'), never);
    await files.removeFolder(at('data'), never);
    expect(await codeOf(files.find(at('data'), never))).toBe('NotFound');
    expect(await files.find(at(''), never)).toMatchObject({ kind: 'folder' });
  });

  it('lists whatever times and metadata people have set', async () => {
    const { files, share } = await prepare();
    await put(files, 'late', '');
    await put(files, 'early', '');
    await files.change(at('late'), { metadata: { kept: 'with it' } }, never);
    spawnSync('touch', ['-d', '@9999999999999', join(share, 'late')]);
    spawnSync('touch', ['-d', '@-99999999999', join(share, 'early')]);
    const { entries } = await files.list(at(''), { most: 9 }, never);
    expect(entries.map(({ name, metadata }) => [name, metadata])).toEqual([['early', {}], ['late', {}]]); // prettier-ignore
    for (const { modifiedAt } of entries) expect(new Date(modifiedAt).toISOString()).toMatch(/^\d{4}-/);
    expect((await files.find(at('late'), never)).metadata).toEqual({ kept: 'with it' });
  });

  it('copies a file: all of it, or nothing', async () => {
    const { files, share, worker } = await prepare();
    await worker.makeShare('teamfiles', 'other');
    const inOther = { ...at('b'), share: 'other' };
    await put(files, 'a', 'content');
    await link(join(share, 'a'), join(share, 'a2'));
    expect(await files.copy(at('a'), inOther, { metadata: { kept: 'x' } }, never)).toMatchObject({ name: 'b', size: 7, metadata: { kept: 'x' } }); // prettier-ignore
    expect(await text(await files.read(inOther, { from: 0 }, never))).toBe('content');
    await files.copy(at('a'), at('a2'), { metadata: {} }, never);
    expect([await content(files, 'a'), await content(files, 'a2')]).toEqual(['content', 'content']);
    await put(files, 'c', 'as before');
    await chmod(join(share, 'c'), 0o640);
    const tooLong = { one: 'x'.repeat(20_000) };
    await expect(files.copy(at('a'), at('c'), { metadata: tooLong }, never)).rejects.toBeInstanceOf(PoolhouseError);
    expect(await content(files, 'c')).toBe('as before');
    await files.copy(at('a'), at('c'), { metadata: {} }, never);
    expect((await stat(join(share, 'c'))).mode & 0o7777).toBe(0o640);
    await files.makeFolder(at('d'), {}, never);
    expect(await codeOf(files.copy(at('a'), at('d'), { metadata: {} }, never))).toBe('Conflict');
    expect(await codeOf(files.copy(at('none'), at('e'), { metadata: {} }, never))).toBe('NotFound');
    expect(await codeOf(files.copy(at('a'), at('x/e'), { metadata: {} }, never))).toBe('NotFound');
    expect((await readdir(share)).toSorted()).toEqual(['a', 'a2', 'c', 'd']);
  });

  it('keeps the sticky bit of the folder above', async () => {
    const { files, share } = await prepare();
    await mkdir(join(share, 'all'));
    await chmod(join(share, 'all'), 0o1777);
    await files.makeFolder(at('all/below'), {}, never);
    expect((await stat(join(share, 'all/below'))).mode & 0o7777).toBe(0o1777);
  });

  it('keeps a file whose new metadata does not fit', async () => {
    const { files } = await prepare();
    await put(files, 'a', 'old');
    const metadata = { one: 'x'.repeat(20_000) };
    await expect(files.createFile(at('a'), { size: 1, metadata }, never)).rejects.toBeInstanceOf(PoolhouseError);
    await expect(files.change(at('a'), { size: 1, metadata }, never)).rejects.toBeInstanceOf(PoolhouseError);
    expect(await content(files, 'a')).toBe('old');
    const kept = { one: 'ä'.repeat(1_000) };
    expect(await files.createFile(at('a'), { size: 1, metadata: kept }, never)).toMatchObject({ metadata: kept });
  });

  it('lists in order, page by page, what is a file or a folder', async () => {
    const { files, share } = await prepare();
    const names = ['Z', 'a b', 'ä', 'a%2Fb', 'a', '日本', "it's", '-rf', '*'];
    for (const name of names) await put(files, name, name);
    await symlink('/etc/passwd', join(share, 'link'));
    spawnSync('mkfifo', [join(share, 'pipe')]);
    await mkdir(join(share, '.snapshots/one'), { recursive: true });
    const seen: string[] = [];
    for (let after: string | undefined; ;) {
      const page = await files.list(at(''), { most: 2, ...(after === undefined ? {} : { after }) }, never);
      seen.push(...page.entries.map(({ name }) => name));
      after = page.next;
      if (after === undefined) break;
    }
    expect(seen).toEqual([...names].sort((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other))));
    expect((await files.list(at(''), { most: 9, prefix: 'a' }, never)).entries.map(({ name }) => name)).toEqual(['a', 'a b', 'a%2Fb']); // prettier-ignore
    spawnSync('python3', ['-c', `open(b'${share}/bad\\xff', 'w').close()`]);
    const bad = (await files.list(at(''), { most: 9, prefix: 'bad' }, never)).entries[0]?.name ?? '';
    expect(await files.find({ ...at(''), path: [bad] }, never)).toMatchObject({ kind: 'file' });
  });

  it.runIf(isRoot)('gives what is made to whom the folder above belongs', async () => {
    const { files, share } = await prepare();
    await mkdir(join(share, 'notebooks/ada'), { recursive: true });
    await chown(join(share, 'notebooks/ada'), 31_337, 31_338);
    await chmod(join(share, 'notebooks/ada'), 0o700);
    await files.makeFolder(at('notebooks/ada/x'), {}, never);
    await put(files, 'notebooks/ada/x/y', 'hers');
    for (const [path, mode] of [
      ['notebooks/ada/x', 0o700],
      ['notebooks/ada/x/y', 0o600],
    ] as const) // prettier-ignore
    {
      const found = await stat(join(share, path));
      expect([found.uid, found.gid, found.mode & 0o7777]).toEqual([31_337, 31_338, mode]);
    }
  });

  describe('follows no link', () => {
    it.each<[string, (files: ShareFiles) => Promise<unknown>, string]>([
      ['to find through one', (files) => files.find(at('out/secret'), never), 'NotFound'],
      ['to find one', (files) => files.find(at('file'), never), 'NotFound'],
      ['to list one', (files) => files.list(at('out'), { most: 5 }, never), 'NotFound'],
      ['to read one', (files) => files.read(at('file'), { from: 0 }, never), 'NotFound'],
      ['to read through one', (files) => files.read(at('inner/real'), { from: 0 }, never), 'NotFound'],
      ['to read a pipe', (files) => files.read(at('pipe'), { from: 0 }, never), 'NotFound'],
      ['to write to one', (files) => files.write(at('file'), 0, Buffer.from('x'), never), 'NotFound'],
      ['to write through one', (files) => put(files, 'out/new', 'x'), 'NotFound'],
      ['to make a file in place of one', (files) => put(files, 'file', 'x'), 'Conflict'],
      ['to make a folder in place of one', (files) => files.makeFolder(at('out'), {}, never), 'Conflict'],
      ['to remove through one', (files) => files.removeFile(at('out/secret'), never), 'NotFound'],
      ['to remove one', (files) => files.removeFile(at('file'), never), 'NotFound'],
      ['to change through one', (files) => files.change(at('out/secret'), { size: 0 }, never), 'NotFound'],
      ['to rename out of one', (files) => files.rename(at('out/secret'), at('got'), { replace: true }, never), 'NotFound'], // prettier-ignore
      ['to rename into one', (files) => files.rename(at('mine'), at('out/mine'), { replace: true }, never), 'NotFound'],
      ['to pack one', (files) => files.pack(at('out'), never), 'NotFound'],
      ['to unpack into one', (files) => files.unpack(at('out'), Readable.from([]), never), 'NotFound'],
      ['out of a snapshot', (files) => files.read(at('out/secret', 'one'), { from: 0 }, never), 'NotFound'],
      ['to restore through one', (files) => files.restore(inSnapshot('out/secret', 'one'), never), 'NotFound'],
      ['in place of a share', (files) => files.find({ account: 'teamfiles', share: 'linked', path: [] }, never), 'Unavailable'], // prettier-ignore
      ['by a name', (files) => files.find({ ...at(''), path: ['..', 'x'] }, never), 'InvalidParameter'],
      ['by an account', (files) => files.find({ account: '..', share: 'files', path: [] }, never), 'InvalidParameter'],
      ['by a snapshot', (files) => files.find({ ...at('x'), snapshot: '..' }, never), 'InvalidParameter'],
    ])('%s', async (_name, attempt, code) => {
      const { files, share, worker } = await prepare();
      const outside = join(worker.root, 'outside');
      await mkdir(outside);
      await writeFile(join(outside, 'secret'), 'secret');
      await mkdir(join(share, 'dir'));
      await writeFile(join(share, 'dir/real'), 'real');
      await writeFile(join(share, 'mine'), 'mine');
      const links: [string, string][] = [[outside, 'out'], [join(outside, 'secret'), 'file'], ['dir', 'inner']]; // prettier-ignore
      for (const [target, name] of links) await symlink(target, join(share, name));
      await mkdir(join(share, '.snapshots/one'), { recursive: true });
      await symlink(outside, join(share, '.snapshots/one/out'));
      await symlink(outside, join(worker.root, 'teamfiles/linked'));
      spawnSync('mkfifo', [join(share, 'pipe')]);
      expect(await codeOf(attempt(files))).toBe(code);
      expect(await readdir(outside)).toEqual(['secret']);
      expect(await readFile(join(outside, 'secret'), 'utf8')).toBe('secret');
    });
  });

  it('changes nothing in snapshots', async () => {
    const { files, share } = await prepare();
    await mkdir(join(share, '.snapshots/one'), { recursive: true });
    await writeFile(join(share, '.snapshots/one/a'), 'then');
    expect(await content(files, 'a', 'one')).toBe('then');
    expect(await codeOf(files.removeFile(at('a', 'one'), never))).toBe('OperationNotAllowed');
    expect(await codeOf(files.removeFile(at('.snapshots/one/a'), never))).toBe('OperationNotAllowed');
    expect(await codeOf(files.makeFolder(at('.snapshots'), {}, never))).toBe('OperationNotAllowed');
  });

  /** A share with two workspaces, and a snapshot of it as the engine makes one. */
  async function snapshotted() {
    const prepared = await prepare();
    const { share } = prepared;
    for (const [path, words] of [
      ['a', 'one'],
      ['dir/b', 'two'],
      ['dir/same', 'same'],
      ['gone/c', 'three'],
      ['notebooks/ada/x', 'hers'],
    ] as const) {
      // prettier-ignore
      await mkdir(join(share, path, '..'), { recursive: true });
      await writeFile(join(share, path), words);
    }
    await symlink('b', join(share, 'dir/link'));
    await chmod(join(share, 'a'), 0o640);
    await utimes(join(share, 'a'), 1_600_000_000, 1_600_000_000);
    const [whole, hers] = [join(share, '.snapshots/one'), join(share, 'notebooks/ada/.snapshots/one')];
    for (const folder of [whole, hers]) await mkdir(folder, { recursive: true });
    for (const name of ['a', 'dir', 'gone']) spawnSync('cp', ['-a', join(share, name), whole]);
    spawnSync('cp', ['-a', join(share, 'notebooks/ada/x'), hers]);
    await mkdir(join(whole, 'notebooks'));
    await symlink('../../../notebooks/ada/.snapshots/one', join(whole, 'notebooks/ada'));
    await symlink('../../../notebooks/ada/.snapshots/one', join(whole, 'notebooks/eve')); // leads to somebody else
    return prepared;
  }

  it('finds a workspace in the snapshot of the share', async () => {
    const { files } = await snapshotted();
    expect(await content(files, 'notebooks/ada/x', 'one')).toBe('hers');
    expect((await files.list(at('notebooks/ada', 'one'), { most: 9 }, never)).entries.map(({ name }) => name)).toEqual(['x']); // prettier-ignore
    expect((await files.list(at('notebooks', 'one'), { most: 9 }, never)).entries).toMatchObject([{ name: 'ada', kind: 'folder' }]); // prettier-ignore
    expect(await codeOf(files.read(at('notebooks/eve/x', 'one'), { from: 0 }, never))).toBe('NotFound');
  });

  it('makes everything as it was, and leaves alone what is the same', async () => {
    const { files, share } = await snapshotted();
    const same = (await stat(join(share, 'dir/same'))).ino;
    await writeFile(join(share, 'a'), 'changed');
    await chmod(join(share, 'a'), 0o600);
    await writeFile(join(share, 'dir/new'), 'new');
    await mkdir(join(share, 'fresh/deep'), { recursive: true });
    await writeFile(join(share, 'fresh/deep/file'), 'new');
    await rm(join(share, 'gone'), { recursive: true });
    await rm(join(share, 'dir/link'));
    await symlink('/etc/passwd', join(share, 'dir/link'));
    await rm(join(share, 'notebooks/ada/x'));
    await mkdir(join(share, 'notebooks/bob/.snapshots'), { recursive: true });
    await writeFile(join(share, 'notebooks/bob/his'), 'made since');
    const restored = await files.restore(inSnapshot('', 'one'), never);
    expect(restored).toEqual({ files: 5, removed: 5 });
    expect(await readFile(join(share, 'a'), 'utf8')).toBe('one');
    expect((await stat(join(share, 'a'))).mode & 0o777).toBe(0o640);
    expect((await stat(join(share, 'a'))).mtimeMs).toBe(1_600_000_000_000);
    expect(await readlink(join(share, 'dir/link'))).toBe('b');
    expect(await readFile(join(share, 'gone/c'), 'utf8')).toBe('three');
    expect(await readFile(join(share, 'notebooks/ada/x'), 'utf8')).toBe('hers');
    expect(await readFile(join(share, 'notebooks/bob/his'), 'utf8')).toBe('made since');
    expect(await readdir(join(share, 'notebooks/ada/.snapshots'))).toEqual(['one']);
    expect((await readdir(share)).sort()).toEqual(['.snapshots', 'a', 'dir', 'gone', 'notebooks']);
    expect((await stat(join(share, 'dir/same'))).ino).toBe(same);
    expect(await files.restore(inSnapshot('', 'one'), never)).toEqual({ files: 0, removed: 0 });
  });

  it('restores one file, with the folders it was in, and one of a workspace', async () => {
    const { files, share } = await snapshotted();
    await rm(join(share, 'gone'), { recursive: true });
    await writeFile(join(share, 'a'), 'changed');
    expect(await files.restore(inSnapshot('gone/c', 'one'), never)).toEqual({ files: 1, removed: 0 });
    expect(await readFile(join(share, 'gone/c'), 'utf8')).toBe('three');
    expect(await readFile(join(share, 'a'), 'utf8')).toBe('changed');
    // Of the same size and time: only what is in it tells.
    const { atime, mtime } = await stat(join(share, 'notebooks/ada/x'));
    await writeFile(join(share, 'notebooks/ada/x'), 'HERS');
    await utimes(join(share, 'notebooks/ada/x'), atime, mtime);
    await files.restore(inSnapshot('notebooks/ada/x', 'one'), never);
    expect(await readFile(join(share, 'notebooks/ada/x'), 'utf8')).toBe('hers');
    expect(await codeOf(files.restore(inSnapshot('nothing', 'one'), never))).toBe('NotFound');
    expect(await codeOf(files.restore(inSnapshot('a', 'two'), never))).toBe('NotFound');
  });

  it('restores a workspace that another name was given since, from its own snapshots', async () => {
    const { files, share } = await snapshotted();
    await rename(join(share, 'notebooks/ada'), join(share, 'notebooks/ada-10001'));
    await mkdir(join(share, 'notebooks/ada'));
    await rm(join(share, 'notebooks/ada-10001/x'));
    await mkdir(join(share, 'notebooks/ivy/.snapshots'), { recursive: true });
    await symlink('../../ada-10001', join(share, 'notebooks/ivy/.snapshots/one'));
    expect(await files.restore(inSnapshot('notebooks/ada-10001', 'one'), never)).toEqual({ files: 1, removed: 0 });
    expect(await readFile(join(share, 'notebooks/ada-10001/x'), 'utf8')).toBe('hers');
    for (const path of ['notebooks/ada', 'notebooks/ada-10001/y', 'notebooks/ivy', 'notebooks/ivy/x'])
      expect(await codeOf(files.restore(inSnapshot(path, 'one'), never)), path).toBe('NotFound');
  });

  it('removes what took the place of a socket since, and says what a link is', async () => {
    const { files, share } = await snapshotted();
    const gone = join(share, '.snapshots/one/dir/socket');
    spawnSync('python3', ['-c', `import socket; socket.socket(socket.AF_UNIX).bind(${JSON.stringify(gone)})`]);
    await writeFile(join(share, 'dir/socket'), 'made since');
    expect(await files.restore(inSnapshot('dir', 'one'), never)).toEqual({ files: 0, removed: 1 });
    expect((await readdir(join(share, 'dir'))).toSorted()).toEqual(['b', 'link', 'same']);
    await expect(files.find(inSnapshot('dir/link', 'one'), never)).rejects.toThrow(/is a link, a socket or the like/);
  });

  it('goes on with a restore that was cut off', async () => {
    const { files, share, worker } = await prepare();
    const whole = join(share, '.snapshots/one');
    await mkdir(whole, { recursive: true });
    for (let count = 0; count < 400; count += 1) await writeFile(join(whole, `f${count}`), randomBytes(2_000));
    const first = codeOf(files.restore(inSnapshot('', 'one'), never));
    while ((await readdir(share)).length < 20) await new Promise((resolve) => setTimeout(resolve, 1));
    await worker.kill();
    expect(await first).toBe('Unavailable');
    worker.start();
    await files.restore(inSnapshot('', 'one'), never);
    expect((await readdir(share)).sort()).toEqual(['.snapshots', ...(await readdir(whole))].sort());
    for (const name of await readdir(whole))
      expect((await readFile(join(share, name))).equals(await readFile(join(whole, name)))).toBe(true);
  });

  it('packs a folder, and unpacks it elsewhere as it was', async () => {
    const { files, share } = await snapshotted();
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
    const { files, share } = await prepare();
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
    const { files, share, worker } = await prepare();
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

  it('takes two writers of one file', async () => {
    const { files, share } = await prepare();
    const half = 4 * 2 ** 20;
    const [first, second] = [randomBytes(half), randomBytes(half)];
    await files.createFile(at('big'), { size: 2 * half, metadata: {} }, never);
    await Promise.all([files.write(at('big'), 0, first, never), files.write(at('big'), half, Readable.from([second]), never)]); // prettier-ignore
    expect((await readFile(join(share, 'big'))).equals(Buffer.concat([first, second]))).toBe(true);
    const many = await Promise.all(Array.from({ length: 40 }, (_, count) => put(files, `f${count}`, `${count}`)));
    expect(many).toHaveLength(40);
  });

  it('does not take what was cut off for all of it, and goes on with others', async () => {
    const { files, share } = await prepare();
    await files.createFile(at('cut'), { size: 0, metadata: {} }, never);
    const cut = Readable.from(
      (async function* () {
        yield Buffer.from('begin');
        await new Promise((resolve) => setTimeout(resolve, 20));
        throw new Error('the client left');
      })(),
    );
    expect(await codeOf(files.write(at('cut'), 0, cut, never))).toBe('InvalidRequestContent');
    await truncate(join(share, 'cut'), 64 * 2 ** 20);
    const leaving = new AbortController();
    const reading = await files.read(at('cut'), { from: 0 }, leaving.signal);
    reading.once('data', () => {
      leaving.abort();
    });
    await expect(buffer(reading)).rejects.toThrow();
    expect(await codeOf(files.find(at('cut'), AbortSignal.abort()))).toContain('AbortError');
    for (let count = 0; count < 70; count += 1) await files.find(at('cut'), never);
  });

  it('waits for the worker, says that it is away, and goes on when it is back', async () => {
    const { files, worker, share } = await prepare();
    await writeFile(join(share, 'a'), 'a');
    await files.find(at('a'), never); // the first question waits until it has come
    await worker.kill();
    const away = files.find(at('a'), never);
    expect(await codeOf(away)).toBe('Unavailable');
    await away.catch((error: unknown) => {
      expect(error).toMatchObject({ retryable: true });
    });
    worker.start();
    expect(await files.find(at('a'), never)).toMatchObject({ name: 'a' });
  });

  it('says that a share is not attached yet', async () => {
    const { files } = await prepare();
    const missing = files.find({ account: 'teamfiles', share: 'later', path: [] }, never);
    await expect(missing).rejects.toMatchObject({ code: 'Unavailable', retryable: true });
  });

  it('is not confused by whoever else connects', async () => {
    const { files, worker } = await prepare();
    for (let count = 0; count < 5; count += 1) {
      const stranger = connect(worker.socketPath);
      stranger.on('error', () => undefined);
      stranger.write('HTTP/1.1 200 OK\r\n\r\n');
      await new Promise((resolve) => stranger.once('close', resolve));
    }
    expect(await files.find(at(''), never)).toMatchObject({ kind: 'folder' });
  });
});
