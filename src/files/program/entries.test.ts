/** What the worker does with files and folders. */
import { spawnSync } from 'node:child_process';
import { chmod, chown, link, mkdir, readdir, readFile, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { PoolhouseError } from '../../core/errors.ts';
import { at, codeOf, content, never, prepareShare, put } from '../test-share.ts';
import { workerMissing } from '../test-worker.ts';

const isRoot = process.getuid?.() === 0;

describe.skipIf(workerMissing !== undefined)(
  `work on files and folders (${workerMissing ?? 'by the real worker'})`,
  () => {
    it('makes, writes, reads, changes, renames and removes', async () => {
      const { files, share } = await prepareShare();
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
      expect(await codeOf(files.rename(at('data/a.txt'), at('data/b.txt'), { replace: false }, never))).toBe(
        'Conflict',
      );
      await files.rename(at('data/a.txt'), at('data/b.txt'), { replace: true }, never);
      expect((await files.list(at('data'), { most: 10 }, never)).entries.map(({ name }) => name)).toEqual(['b.txt']);
      await files.removeFile(at('data/b.txt'), never);
      await files.removeFolder(at('data'), never);
      expect(await codeOf(files.find(at('data'), never))).toBe('NotFound');
      expect(await files.find(at(''), never)).toMatchObject({ kind: 'folder' });
    });

    it('lists whatever times and metadata people have set', async () => {
      const { files, share } = await prepareShare();
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
      const { files, share, worker } = await prepareShare();
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
      const { files, share } = await prepareShare();
      await mkdir(join(share, 'all'));
      await chmod(join(share, 'all'), 0o1777);
      await files.makeFolder(at('all/below'), {}, never);
      expect((await stat(join(share, 'all/below'))).mode & 0o7777).toBe(0o1777);
    });

    it('keeps a file whose new metadata does not fit', async () => {
      const { files } = await prepareShare();
      await put(files, 'a', 'old');
      const metadata = { one: 'x'.repeat(20_000) };
      await expect(files.createFile(at('a'), { size: 1, metadata }, never)).rejects.toBeInstanceOf(PoolhouseError);
      await expect(files.change(at('a'), { size: 1, metadata }, never)).rejects.toBeInstanceOf(PoolhouseError);
      expect(await content(files, 'a')).toBe('old');
      const kept = { one: 'ä'.repeat(1_000) };
      expect(await files.createFile(at('a'), { size: 1, metadata: kept }, never)).toMatchObject({ metadata: kept });
    });

    it('lists in order, page by page, what is a file or a folder', async () => {
      const { files, share } = await prepareShare();
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
      const { files, share } = await prepareShare();
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
  },
);
