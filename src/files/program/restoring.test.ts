/** The worker makes a folder as it was in a snapshot. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmod,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { codeOf, inSnapshot, never, prepareShare, prepareSnapshotted } from '../test-share.ts';
import { workerMissing } from '../test-worker.ts';

describe.skipIf(workerMissing !== undefined)(`restoring (${workerMissing ?? 'by the real worker'})`, () => {
  it('makes everything as it was, and leaves alone what is the same', async () => {
    const { files, share } = await prepareSnapshotted();
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
    const { files, share } = await prepareSnapshotted();
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
    const { files, share } = await prepareSnapshotted();
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
    const { files, share } = await prepareSnapshotted();
    const gone = join(share, '.snapshots/one/dir/socket');
    spawnSync('python3', ['-c', `import socket; socket.socket(socket.AF_UNIX).bind(${JSON.stringify(gone)})`]);
    await writeFile(join(share, 'dir/socket'), 'made since');
    expect(await files.restore(inSnapshot('dir', 'one'), never)).toEqual({ files: 0, removed: 1 });
    expect((await readdir(join(share, 'dir'))).toSorted()).toEqual(['b', 'link', 'same']);
    await expect(files.find(inSnapshot('dir/link', 'one'), never)).rejects.toThrow(/is a link, a socket or the like/);
  });

  it('goes on with a restore that was cut off', async () => {
    const { files, share, worker } = await prepareShare();
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
});
