/** The program that an image carries, run here: homes and share are folders of two file systems. */
import { spawnSync } from 'node:child_process';
import { chown, lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { existsSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { programFiles } from '../core/program-files.ts';

const program = join(programFiles.root, 'images/recipes/base/files/rescue');
const memory = '/dev/shm';
const missing = !existsSync('/usr/bin/python3')
  ? 'needs python3'
  : !existsSync(memory) || statSync(memory).dev === statSync(tmpdir()).dev
    ? 'needs two file systems'
    : undefined;
const isRoot = process.getuid?.() === 0;
/** Of nobody here. */
const uid = isRoot ? 31_337 : (process.getuid?.() ?? 0);
const folder = 'team000001-2026-11-26';

async function prepare() {
  const [ground, share] = [await mkdtemp(join(tmpdir(), 'ph-rescue-')), await mkdtemp(join(memory, 'ph-rescue-'))];
  onTestFinished(async () => {
    for (const one of [ground, share]) await rm(one, { recursive: true });
  });
  const [home, skeleton, workspace] = [join(ground, 'home'), join(ground, 'skel'), join(share, 'notebooks/ada')];
  const own = async (path: string, owner = uid) => {
    if (isRoot) await chown(path, owner, owner);
  };
  for (const path of [home, skeleton, workspace]) await mkdir(path, { recursive: true });
  spawnSync('chmod', ['0755', ground, share, join(share, 'notebooks')]);
  for (const path of [home, workspace]) await own(path);
  await writeFile(join(skeleton, '.profile'), 'as it was');
  /** A file of hers. */
  const put = async (path: string, text: string, where = home) => {
    const steps = path.split('/').slice(0, -1);
    for (let count = 1; count <= steps.length; count += 1) {
      const above = join(where, ...steps.slice(0, count));
      await mkdir(above, { recursive: true });
      await own(above);
    }
    await writeFile(join(where, path), text);
    await own(join(where, path));
  };
  const rescue = (changes: object = {}) => {
    const user = { name: 'ada', uid, gid: uid, home };
    const asked = {
      ...{ mountPoint: share, folder, limitBytes: 1_000_000, draining: '1', users: [user], skeleton },
      ...{ done: join(ground, 'done'), ...changes },
    };
    const { stdout, stderr } = spawnSync('python3', ['-I', program], {
      input: JSON.stringify(asked),
      encoding: 'utf8',
    });
    return (stdout === '' ? { stderr } : JSON.parse(stdout)) as { rescued: object[]; failed: object[] };
  };
  const there = async (path = folder) => {
    const all = await readdir(join(workspace, 'rescued', path), { recursive: true, withFileTypes: true });
    const files = all.filter((entry) => !entry.isDirectory());
    return files.map((entry) => join(entry.parentPath, entry.name).split(`${path}/`)[1] ?? '').toSorted();
  };
  return { ground, share, home, workspace, put, own, rescue, there };
}

describe.skipIf(missing !== undefined)(`what is rescued${missing === undefined ? '' : ` (${missing})`}`, () => {
  it('is what somebody changed, with its folders and links, as theirs', async () => {
    const { home, workspace, put, own, rescue, there } = await prepare();
    await put('.profile', 'as it was');
    await put('work/deep/model.bin', 'weights');
    await put('.bashrc', 'mine');
    await symlink('/etc/passwd', join(home, 'link'));
    await own(home);
    expect(rescue()).toEqual({
      rescued: [{ name: 'ada', folder: `rescued/${folder}`, files: 3, bytes: 11, left: 0 }],
      failed: [],
    });
    expect(await there()).toEqual(['.bashrc', 'link', 'work/deep/model.bin']);
    const rescued = join(workspace, 'rescued', folder);
    expect(await readlink(join(rescued, 'link'))).toBe('/etc/passwd');
    expect(await readFile(join(rescued, 'work/deep/model.bin'), 'utf8')).toBe('weights');
    expect((await lstat(join(rescued, 'work/deep/model.bin'))).uid).toBe(uid);
  });

  it('is what was changed of the skeleton, and neither caches nor what was shown there of the share', async () => {
    const { home, share, workspace, put, rescue, there } = await prepare();
    await put('.profile', 'otherwise');
    await symlink(share, join(home, 'shared'));
    await symlink(join(share, 'groups/team'), join(home, 'team'));
    await symlink(`${share}-other`, join(home, 'elsewhere'));
    await put('.cache/pip/wheel', 'x');
    await put('.local/share/Trash/files/old', 'x');
    await put('src/__pycache__/a.pyc', 'x');
    await put('src/a.py', 'x');
    await put('notebooks/a.ipynb', '{}');
    await symlink(workspace, join(home, 'notebooks/remote'));
    spawnSync('mkfifo', [join(home, 'pipe')]);
    rescue();
    expect(await there()).toEqual(['.profile', 'elsewhere', 'notebooks/a.ipynb', 'src/a.py']);
  });

  it('is nothing where there is nothing, or nothing but traces of programs', async () => {
    const { workspace, put, rescue } = await prepare();
    await put('.profile', 'as it was');
    await put('.bash_history', 'ls');
    await put('.ipython/profile_default/history.sqlite', 'x');
    expect(rescue()).toEqual({ rescued: [], failed: [] });
    expect(existsSync(join(workspace, 'rescued'))).toBe(false);
  });

  it('stays within its limit, the small ones first, and the others are listed', async () => {
    const { workspace, put, rescue, there } = await prepare();
    await put('large', 'x'.repeat(900));
    await put('small', 'x'.repeat(100));
    expect(rescue({ limitBytes: 500 })).toMatchObject({ rescued: [{ files: 1, bytes: 100, left: 1 }], failed: [] });
    expect(await there()).toEqual(['NOT-RESCUED.txt', 'small']);
    expect(await readFile(join(workspace, 'rescued', folder, 'NOT-RESCUED.txt'), 'utf8')).toContain('large: it is too');
  });

  it('is done once while the instance drains, and beside what is there when it drains again', async () => {
    const { workspace, put, rescue } = await prepare();
    await put('note', '1');
    const first = rescue();
    expect(rescue()).toEqual(first);
    expect(await readdir(join(workspace, 'rescued'))).toEqual([folder]);
    expect(rescue({ draining: '2' })).toMatchObject({ rescued: [{ folder: `rescued/${folder}-2` }] });
    expect((await readdir(join(workspace, 'rescued'))).toSorted()).toEqual([folder, `${folder}-2`]);
  });

  it.skipIf(!isRoot)('is nothing that its person may not read, and goes nowhere that they may not write', async () => {
    const { ground, home, workspace, put, rescue, there } = await prepare();
    await put('mine', 'x');
    await writeFile(join(home, 'of-root'), 'secret', { mode: 0o600 });
    rescue();
    expect(await there()).toEqual(['NOT-RESCUED.txt', 'mine']);
    // Somebody puts a folder of root's, and a folder of their own, where the workspace was.
    await mkdir(join(ground, 'roots'));
    await rm(workspace, { recursive: true });
    await symlink(join(ground, 'roots'), workspace);
    expect(rescue({ draining: '2' })).toMatchObject({ rescued: [], failed: [{ name: 'ada' }] });
    await rm(workspace);
    await mkdir(workspace);
    await chown(workspace, uid + 1, uid + 1);
    expect(rescue({ draining: '2' })).toMatchObject({ failed: [{ reason: 'the workspace belongs to somebody else' }] });
    expect(await readdir(join(ground, 'roots'))).toEqual([]);
  });

  it('is not taken to the instance itself where the share is not mounted', async () => {
    const { ground, put, own, rescue } = await prepare();
    await put('mine', 'x');
    await mkdir(join(ground, 'notebooks/ada'), { recursive: true });
    await own(join(ground, 'notebooks/ada'));
    expect(rescue({ mountPoint: ground })).toMatchObject({ failed: [{ reason: 'the share is not mounted' }] });
  });

  it.skipIf(!isRoot)('is left as a whole where there is no room, and taken when there is', async () => {
    const { workspace, put, rescue, there } = await prepare();
    expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'mode=0755,size=64k', 'small', workspace]).status).toBe(0);
    onTestFinished(() => void spawnSync('umount', ['-l', workspace]));
    spawnSync('chown', [String(uid), workspace]);
    await put('a', 'x'.repeat(1_000));
    await put('b', 'x'.repeat(200_000));
    expect(rescue()).toEqual({ rescued: [], failed: [{ name: 'ada', reason: 'No space left on device' }] });
    expect(await readdir(join(workspace, 'rescued'))).toEqual([]);
    spawnSync('mount', ['-o', 'remount,size=1m', workspace]);
    expect(rescue()).toMatchObject({ rescued: [{ files: 2 }], failed: [] });
    expect(await there()).toEqual(['a', 'b']);
  });
});
