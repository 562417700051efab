/** The program that an image carries, run here as root: homes and share are folders of two file systems. */
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import {
  chmod,
  chown,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { programFiles } from '../core/program-files.ts';

const program = join(programFiles.root, 'images/recipes/base/files/workspace');
const memory = '/dev/shm';
const missing = !existsSync('/usr/bin/python3')
  ? 'needs python3'
  : !existsSync(memory) || statSync(memory).dev === statSync('/').dev || statSync(tmpdir()).dev === statSync(memory).dev
    ? 'needs two file systems'
    : process.getuid?.() !== 0
      ? 'needs root'
      : undefined;
const [ada, eve, admin] = [11_001, 11_002, 21_001];
const modeOf = async (path: string) => ((await lstat(path)).mode & 0o7777).toString(8);

async function prepare() {
  const [ground, share] = [await mkdtemp(join(tmpdir(), 'ph-work-')), await mkdtemp(join(memory, 'ph-work-'))];
  onTestFinished(async () => {
    for (const one of [ground, share]) await rm(one, { recursive: true });
  });
  const [homes, skeleton] = [join(ground, 'home'), join(ground, 'skel')];
  await chmod(ground, 0o755);
  await chmod(share, 0o711);
  const folder = async (path: string, owner = 0, mode = 0o755, group = owner) => {
    await mkdir(path, { recursive: true });
    await chown(path, owner, group);
    await chmod(path, mode);
  };
  await folder(homes);
  await folder(join(homes, 'ada'), ada, 0o750);
  await folder(join(homes, 'azure'), admin, 0o750);
  await folder(skeleton);
  await writeFile(join(skeleton, 'Welcome.ipynb'), '{}');
  await writeFile(join(skeleton, '.keep'), '');
  const users = [
    { name: 'azure', uid: admin, gid: admin, person: false, groups: [] },
    { name: 'ada', uid: ada, gid: ada, person: true, groups: ['team'] },
  ];
  /** Without `whole`: /dev/shm is the file system that is meant, no folder of it is a mount. */
  const run = (changes: object = {}) => {
    const asked = { mountPoint: share, share: 'shared', admin: 'azure', users, homes, skeleton, ...changes };
    const code = `import os,runpy;os.path.ismount=lambda path: True;runpy.run_path(${JSON.stringify(program)},run_name='__main__')`;
    return spawnSync('python3', ['-I', '-c', code], { input: JSON.stringify(asked), encoding: 'utf8' });
  };
  const made = () => Promise.all([folder(join(share, 'notebooks')), folder(join(share, 'groups'))]);
  return { ground, share, homes, skeleton, folder, run, made, home: join(homes, 'ada') };
}

describe.skipIf(missing !== undefined)(
  `the program that shows workspaces${missing === undefined ? '' : ` (left out: ${missing})`}`,
  () => {
    it('links what people look for, and begins a workspace with the skeleton, once', async () => {
      const { share, home, folder, run, made } = await prepare();
      await made();
      const workspace = join(share, 'notebooks/ada');
      await folder(workspace, ada, 0o700);
      expect(run()).toMatchObject({ status: 0, stderr: '' });
      expect(await readlink(join(home, 'notebooks/remote'))).toBe(workspace);
      expect(await readlink(join(home, 'shared'))).toBe(share);
      expect(await readlink(join(home, 'groups/team'))).toBe(join(share, 'groups/team'));
      expect((await lstat(join(home, 'shared'))).uid).toBe(ada);
      expect(await readdir(workspace)).toEqual(['Welcome.ipynb']);
      expect((await lstat(join(workspace, 'Welcome.ipynb'))).uid).toBe(ada);
      expect(existsSync(join(home, '../azure/shared'))).toBe(false);
      await rm(join(workspace, 'Welcome.ipynb'));
      const users = [{ name: 'ada', uid: ada, gid: ada, person: true, groups: [] }];
      expect(run({ users })).toMatchObject({ status: 0, stderr: '' });
      expect(await readdir(workspace)).toEqual([]);
      expect(await readdir(join(home, 'groups'))).toEqual([]);
    });

    it('links for people what the script has linked for its admin user, and nothing else', async () => {
      const { share, homes, home, folder, run, made } = await prepare();
      await made();
      await folder(join(homes, 'azure/notebooks'), admin);
      const azure = (path: string) => join(homes, 'azure', path);
      await symlink(share, azure('data'));
      await symlink(join(share, 'notebooks/azure'), azure('notebooks/mine'));
      await symlink(join(share, 'notebooks/azure/models'), azure('models'));
      await symlink(join(share, 'notebooks/azure2'), azure('other'));
      await symlink(`${share}/../../etc`, azure('out'));
      await symlink('/etc', azure('etc'));
      await symlink(share, azure('.ssh'));
      await symlink(share, azure('of-eve'));
      spawnSync('chown', ['-h', String(eve), azure('of-eve')]);
      await writeFile(join(home, 'data'), 'hers');
      run();
      expect((await readdir(home)).toSorted()).toEqual(['data', 'groups', 'models', 'notebooks', 'other', 'shared']);
      expect(await readFile(join(home, 'data'), 'utf8')).toBe('hers');
      expect(await readlink(join(home, 'notebooks/mine'))).toBe(join(share, 'notebooks/ada'));
      expect(await readlink(join(home, 'models'))).toBe(join(share, 'notebooks/ada/models'));
      expect(await readlink(join(home, 'other'))).toBe(join(share, 'notebooks/azure2'));
    });

    it('writes nothing where a planted link leads', async () => {
      const { ground, share, home, folder, run, made } = await prepare();
      await made();
      const elsewhere = join(ground, 'elsewhere');
      await folder(elsewhere, 0, 0o777);
      await symlink(elsewhere, join(share, 'notebooks/ada'));
      await symlink(elsewhere, join(share, 'groups/team'));
      await symlink(elsewhere, join(home, 'notebooks'));
      await symlink(elsewhere, join(home, 'groups'));
      const result = run({ groups: [{ name: 'team', gid: 31_000 }] });
      expect(result.status).toBe(1);
      expect(await readdir(elsewhere)).toEqual([]);
    });

    it('shares a group folder with its members, whatever their umask', async () => {
      const { share, folder, run, made } = await prepare();
      await made();
      const team = join(share, 'groups/team');
      await folder(team, 0, 0o2770, 31_000);
      expect(run({ groups: [{ name: 'team', gid: 31_000 }] })).toMatchObject({ status: 0 });
      const script = `import os;os.setgroups([31000]);os.setegid(${ada});os.seteuid(${ada});os.umask(0o077);open(${JSON.stringify(join(team, 'note'))},'w');os.mkdir(${JSON.stringify(join(team, 'below'))})`;
      expect(spawnSync('python3', ['-c', script], { encoding: 'utf8' }).stderr).toBe('');
      expect([await modeOf(join(team, 'note')), (await lstat(join(team, 'note'))).gid]).toEqual(['660', 31_000]);
      expect(await modeOf(join(team, 'below'))).toBe('2770');
    });

    it.each<[what: string, mode: number, asked: string | undefined, after: string]>([
      ['a new root is as it is asked for', 0o711, '0755', '755'],
      ['where everybody may write, nobody removes what others made', 0o711, '0777', '1777'],
      ['so also on a share from before', 0o777, undefined, '1777'],
      ['what was changed since stays', 0o750, '0777', '750'],
    ])('%s', async (_, mode, asked, after) => {
      const { share, run } = await prepare();
      await chmod(share, mode);
      run(asked === undefined ? {} : { rootMode: asked });
      expect(await modeOf(share)).toBe(after);
      expect([await modeOf(join(share, 'notebooks')), await modeOf(join(share, 'groups'))]).toEqual(['755', '755']);
    });

    it('takes over what holds the folders of people, and puts a link in its place aside', async () => {
      const { ground, share, folder, run } = await prepare();
      await folder(join(share, 'notebooks'), eve, 0o777);
      await symlink(ground, join(share, 'groups'));
      spawnSync('chown', ['-h', String(eve), join(share, 'groups')]);
      run();
      expect([(await lstat(join(share, 'notebooks'))).uid, await modeOf(join(share, 'notebooks'))]).toEqual([0, '755']);
      expect(await readlink(join(share, `groups-${eve}`))).toBe(ground);
      expect((await lstat(join(share, 'groups'))).isDirectory()).toBe(true);
    });

    it('touches no root where only folders of people are shown', async () => {
      const { share, home, folder, run, made } = await prepare();
      await made();
      await folder(join(share, 'notebooks/ada'), ada, 0o700);
      await chmod(share, 0o777);
      expect(run({ whole: false, rootMode: '0777' }).status).toBe(0);
      expect(await modeOf(share)).toBe('777');
      expect(await readlink(join(home, 'notebooks/remote'))).toBe(join(share, 'notebooks/ada'));
    });
  },
);
