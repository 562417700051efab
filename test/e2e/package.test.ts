/**
 * The package as a person gets it: packed, installed with npm where there is no compiler and no clone, and used on a
 * simulated engine. Its prefix is a folder that only its owner can enter, as one in a home is.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StatusDocument } from '../../src/control/status.ts';
import { must, repository, run, running, until } from './installation.ts';

const isRoot = process.getuid?.() === 0;
const az = (await run('sh', ['-c', 'command -v az'])).exitCode === 0;
const nobody = 65_534;

describe('the package', () => {
  let folder: string;
  let home: string;
  let prefix: string;
  let packageRoot: string;
  let templates: Server;
  const hadBuild = existsSync(join(repository, 'dist'));

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'poolhouse-package-'));
    home = join(folder, 'home');
    prefix = join(folder, 'prefix');
    packageRoot = join(prefix, 'lib', 'node_modules', 'poolhouse');
    await mkdir(join(folder, 'elsewhere'));
    await programs('tools', { node: process.execPath, npm: await which('npm'), sh: await which('sh') });
    const text = await readFile(join(repository, 'examples', 'shared-pool', 'template.json'));
    templates = createServer((_request, response) => response.end(text));
    await once(templates.listen(0, '127.0.0.1'), 'listening');
  });
  afterAll(async () => {
    templates.close();
    if (existsSync(join(prefix, 'bin'))) await poolhouse('down', '--destroy', '--yes'); // where a test failed in the middle
    if (!hadBuild) await rm(join(repository, 'dist'), { recursive: true, force: true });
    await rm(folder, { recursive: true, force: true });
  });

  const which = async (program: string) => (await must('sh', ['-c', `command -v ${program}`])).trim();
  /** A folder for PATH with these programs and no others. */
  async function programs(name: string, links: Record<string, string>): Promise<void> {
    await mkdir(join(folder, name));
    for (const [program, target] of Object.entries(links)) await symlink(target, join(folder, name, program));
  }
  /** Node 24 is found, and nothing that a clone has. */
  const env = (path = `${join(folder, 'tools')}:/usr/bin:/bin:/usr/sbin:/sbin`): NodeJS.ProcessEnv => ({
    ...process.env,
    PATH: path,
    POOLHOUSE_HOME: home,
  });
  const options = () => ({ env: env(), cwd: join(folder, 'elsewhere') });
  const program = () => join(prefix, 'bin', 'poolhouse');
  const poolhouse = (...argv: string[]) => run(program(), argv, options());
  async function document<T>(...argv: string[]): Promise<T> {
    return JSON.parse(await must(program(), [...argv, '--json'], options())) as T;
  }
  const status = () => document<StatusDocument>('status');
  async function pack(destination: string): Promise<{ filename: string; integrity: string; paths: string[] }> {
    await mkdir(join(folder, destination));
    const printed = await must(
      'npm',
      ['pack', '--json', '--silent', '--pack-destination', join(folder, destination), repository],
      { cwd: folder },
    );
    const [packed] = JSON.parse(printed) as { filename: string; integrity: string; files: { path: string }[] }[];
    if (packed === undefined) throw new Error(`npm pack printed: ${printed}`);
    return { ...packed, paths: packed.files.map((file) => file.path) };
  }
  const filesOf = async (name: string) =>
    (await readdir(join(repository, name), { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(repository.length));

  it('holds what a user needs and nothing else, and is the same when it is made again', async () => {
    const { integrity, paths } = await pack('first');
    const tops = new Set(paths.filter((path) => path.includes('/')).map((path) => path.split('/')[0]));
    expect(tops).toEqual(new Set(['bin', 'dist', 'docs', 'examples', 'images', 'vendor']));
    expect(paths.filter((path) => /\.ts$|\.test\.|test-support|fixture|conformance|node_modules/.test(path))).toEqual(
      [],
    );
    expect(paths).toEqual(expect.arrayContaining(['LICENSE', 'README.md', 'CHANGELOG.md', 'dist/build.json']));
    expect(paths).toEqual(expect.arrayContaining([...(await filesOf('images')), ...(await filesOf('examples'))]));
    expect((await pack('second')).integrity).toBe(integrity);
  });

  it('is installed without a compiler', async () => {
    const [name = ''] = await readdir(join(folder, 'first'));
    await must('npm', ['install', '-g', '--no-audit', '--no-fund', '--prefix', prefix, join(folder, 'first', name)], {
      env: env(join(folder, 'tools')),
      cwd: folder,
    });
    expect(await readdir(packageRoot)).not.toContain('src');
  });

  it('tells its version and build, as the clone that it was made in does', async () => {
    const told = await must(join(repository, 'bin', 'poolhouse'), ['--version']);
    expect(told).toMatch(/^poolhouse \d+\.\d+\.\d+ \(build [0-9a-f]{7}(-dirty)?, \d{4}-\d\d-\d\d\)\n$/);
    expect((await poolhouse('--version')).stdout).toBe(told);
    expect(await document('--version')).toMatchObject({ node: process.versions.node });
  });

  it('goes up from any folder, all of it its own', async () => {
    const { port } = templates.address() as AddressInfo; // it listens
    await mkdir(home, { mode: 0o700 });
    await writeFile(
      join(home, 'config.json'),
      JSON.stringify({ engine: 'sim', fetchAllow: [`127.0.0.1:${String(port)}`] }),
    );
    const up = await document<StatusDocument>('up', '--engine', 'sim');
    expect(up).toMatchObject({ control: { healthy: true }, gateway: { healthy: true } });
    for (const pid of [up.control.pid, up.gateway.pid]) {
      const argv = (await readFile(`/proc/${String(pid)}/cmdline`, 'utf8')).split('\0');
      const [node = '', main = ''] = argv.filter((word) => !word.startsWith('--'));
      for (const path of [node, main]) expect(path.startsWith(`${packageRoot}/`)).toBe(true);
    }
  });

  it('deploys a template that the fetcher, who may not enter its folder, brought', async () => {
    const { port } = templates.address() as AddressInfo;
    const values = [
      'adminUsername=alice',
      'adminPassword=Correct-Horse-7',
      'adminPublicKey=ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKZ0dqOPMA8xJT4Nr8tqV0Z9EEiOTjFCgZxT1n8PVyLZ alice',
    ];
    const deployment = await document<{ properties: { provisioningState: string } }>(
      ...['deploy', '-g', 'team', '-f', `http://127.0.0.1:${String(port)}/template.json`],
      ...values.flatMap((value) => ['-p', value]),
    );
    expect(deployment.properties.provisioningState).toBe('Succeeded');
    await until('two instances run', async () => {
      const [pool] = (await status()).pools;
      return pool?.instances.filter((one) => one.power === 'running').length === 2 ? pool : undefined;
    });
    expect((await poolhouse('logs')).stdout).toContain('control serves');
  });

  it.skipIf(!az)(`signs az in${az ? '' : ' (az is not installed)'}`, async () => {
    const variables = await document<Record<string, string>>('az-env');
    const groups = await must('az', ['group', 'list', '-o', 'json'], { env: { ...process.env, ...variables } });
    expect(JSON.parse(groups)).toMatchObject([{ name: 'team' }]);
  });

  it.skipIf(!isRoot)('has a gateway that serves as a user who may not enter its folder (needs root)', async () => {
    const open = await mkdtemp(join(tmpdir(), 'poolhouse-package-gateway-'));
    try {
      await chown(open, nobody, nobody);
      await chmod(open, 0o700);
      const gateway = spawn(
        process.execPath,
        [
          join(packageRoot, 'dist/gateway/main.js'),
          ...['--socket', join(open, 'none'), '--state', join(open, 'state'), '--user', 'nobody'],
        ],
        { stdio: ['ignore', 'pipe', 'inherit'], cwd: '/' },
      );
      const exited = once(gateway, 'exit');
      let log = '';
      gateway.stdout.setEncoding('utf8').on('data', (text: string) => (log += text));
      try {
        await until('it runs', async () => (log.includes('gateway started') ? true : undefined));
        expect(await readFile(`/proc/${String(gateway.pid)}/status`, 'utf8')).toMatch(/^Uid:\t65534\t65534\t65534\t/m);
      } finally {
        gateway.kill('SIGTERM');
      }
      expect(await exited).toEqual([0, null]);
    } finally {
      await rm(open, { recursive: true });
    }
  });

  it('begins again as the newer build after an upgrade, with the pool there was', async () => {
    const before = await status();
    const again = await document<StatusDocument>('up');
    expect([again.control.pid, again.gateway.pid]).toEqual([before.control.pid, before.gateway.pid]);
    await writeFile(join(packageRoot, 'dist', 'build.json'), '{"build": "0000000", "date": "2030-01-02"}');
    expect((await poolhouse('--version')).stdout).toContain('(build 0000000, 2030-01-02)');
    const after = await document<StatusDocument>('up');
    expect(after).toMatchObject({ control: { healthy: true }, gateway: { healthy: true } });
    expect(after.control.pid).not.toBe(before.control.pid);
    expect(after.gateway.pid).toBe(before.gateway.pid); // its code is the same: connections go on
    expect(after.pools.map((pool) => pool.id)).toEqual(before.pools.map((pool) => pool.id));
    expect((await document<StatusDocument>('up')).control.pid).toBe(after.control.pid);
  });

  it('goes down, and leaves nothing', async () => {
    const { control, gateway } = await status();
    expect(await document('down', '--destroy', '--yes')).toEqual({ removed: [home] });
    expect(running([control.pid, gateway.pid ?? 0])).toEqual([]);
  });

  it('runs on the Node that is there when its own was left out, and says so when that is too old', async () => {
    for (const name of await readdir(join(packageRoot, 'node_modules')))
      if (name.startsWith('node-linux-')) await rm(join(packageRoot, 'node_modules', name), { recursive: true });
    expect(await poolhouse('--version')).toMatchObject({ exitCode: 0, stderr: '' });

    const needed = ['sh', 'readlink', 'dirname', 'ls', 'head'];
    const links = Object.fromEntries(await Promise.all(needed.map(async (name) => [name, await which(name)] as const)));
    await programs('without', links);
    const without = await run(program(), ['--version'], { env: env(join(folder, 'without')) });
    expect(without).toMatchObject({ exitCode: 1, stdout: '' });
    expect(without.stderr).toMatch(/^Poolhouse needs Node 24 or later, and there is none here\..*\n$/);

    await programs('old', links);
    await writeFile(join(folder, 'old', 'node'), '#!/bin/sh\necho v20.20.2\n', { mode: 0o755 });
    const old = await run(program(), ['--version'], { env: env(join(folder, 'old')) });
    expect(old).toMatchObject({ exitCode: 1, stdout: '' });
    expect(old.stderr).toMatch(/^Poolhouse needs Node 24 or later, and there is v20\.20\.2 here\..*\n$/);
  });
});
