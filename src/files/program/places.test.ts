/** No path leads the worker out of a share, whatever people have put there. */
import { spawnSync } from 'node:child_process';
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { ShareFiles } from '../share-files.ts';
import { at, codeOf, content, inSnapshot, never, prepareShare, prepareSnapshotted, put } from '../test-share.ts';
import { workerMissing } from '../test-worker.ts';

describe.skipIf(workerMissing !== undefined)(`a place in a share (${workerMissing ?? 'by the real worker'})`, () => {
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
      const { files, share, worker } = await prepareShare();
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
    const { files, share } = await prepareShare();
    await mkdir(join(share, '.snapshots/one'), { recursive: true });
    await writeFile(join(share, '.snapshots/one/a'), 'then');
    expect(await content(files, 'a', 'one')).toBe('then');
    expect(await codeOf(files.removeFile(at('a', 'one'), never))).toBe('OperationNotAllowed');
    expect(await codeOf(files.removeFile(at('.snapshots/one/a'), never))).toBe('OperationNotAllowed');
    expect(await codeOf(files.makeFolder(at('.snapshots'), {}, never))).toBe('OperationNotAllowed');
  });

  it('finds a workspace in the snapshot of the share', async () => {
    const { files } = await prepareSnapshotted();
    expect(await content(files, 'notebooks/ada/x', 'one')).toBe('hers');
    expect((await files.list(at('notebooks/ada', 'one'), { most: 9 }, never)).entries.map(({ name }) => name)).toEqual(['x']); // prettier-ignore
    expect((await files.list(at('notebooks', 'one'), { most: 9 }, never)).entries).toMatchObject([{ name: 'ada', kind: 'folder' }]); // prettier-ignore
    expect(await codeOf(files.read(at('notebooks/eve/x', 'one'), { from: 0 }, never))).toBe('NotFound');
  });
});
