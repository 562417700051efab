/** The whole command line on a simulated engine: needs no root, no az and no network, and leaves nothing behind. */
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StatusDocument } from '../../src/control/status.ts';
import { killHard, must, repository, run, running, until, type Result } from './installation.ts';

const template = join(repository, 'examples', 'shared-pool', 'template.json');
const publicKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKZ0dqOPMA8xJT4Nr8tqV0Z9EEiOTjFCgZxT1n8PVyLZ alice';
const password = 'Correct-Horse-7';

/** A port that nobody listens on. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo; // a TCP server has one
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe('the command line on a simulated engine', () => {
  let folder: string;
  let home: string;
  const pids: number[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'poolhouse-sim-'));
    home = join(folder, 'home');
  });
  afterAll(async () => {
    await poolhouse('down', '--destroy', '--yes'); // where a test failed in the middle
    await rm(folder, { recursive: true, force: true });
  });

  const env = () => ({ ...process.env, POOLHOUSE_HOME: home });
  const poolhouse = (...argv: string[]): Promise<Result> =>
    run(join(repository, 'bin', 'poolhouse'), argv, { env: env() });
  /** What a command printed, which has to be one JSON document and nothing else. */
  async function document<T>(...argv: string[]): Promise<T> {
    return JSON.parse(await must(join(repository, 'bin', 'poolhouse'), [...argv, '--json'], { env: env() })) as T;
  }
  const status = () => document<StatusDocument>('status');
  const deploy = (...more: string[]) =>
    document<{ properties: { provisioningState: string } }>(
      'deploy',
      '-g',
      'team',
      '-f',
      template,
      '-p',
      `@${join(folder, 'people.json')}`,
      ...more,
    );

  /** What there is, without what changes by itself from moment to moment. */
  async function world(): Promise<{ pools: object[]; control: object; gateway: object }> {
    const { control, gateway, pools } = await status();
    return {
      control,
      gateway,
      pools: pools.map(({ id, capacity, frontEnds, instances }) => ({
        id,
        capacity,
        frontEnds: frontEnds.map((one) => `${one.rule} ${one.address}:${one.port}`),
        instances: instances.map((one) => `${one.name} ${one.address} ${one.power}`),
      })),
    };
  }

  /** Every file of the home that is not written by the processes themselves, with its time of change. */
  async function settled(): Promise<Record<string, number>> {
    const names = ['config.json', 'installation.json', 'secrets/key', 'certificates/ca.pem', 'certificates/server.pem'];
    return Object.fromEntries(
      await Promise.all(names.map(async (name) => [name, (await stat(join(home, name))).mtimeMs] as const)),
    );
  }

  it('goes up', async () => {
    const up = await document<StatusDocument>('up', '--engine', 'sim');
    pids.push(up.control.pid, up.gateway.pid ?? 0);
    expect(up).toMatchObject({ control: { healthy: true }, gateway: { healthy: true }, pools: [] });
    expect(running(pids)).toEqual(pids);
    expect((await stat(home)).mode & 0o777).toBe(0o700);
    for (const name of ['secrets/key', 'store.sqlite', 'installation.json', 'logs/control.log', 'logs/gateway.log'])
      expect((await stat(join(home, name))).mode & 0o777).toBe(0o600);
  });

  it('says what is wrong with a template, with the line, and leaves no group behind', async () => {
    const broken = join(folder, 'broken.json');
    await writeFile(
      broken,
      '{\n  "resources": [\n    { "type": "Microsoft.Nothing/things", "name": "[nothing(]" }\n  ]\n}',
    );
    const { exitCode, stdout, stderr } = await poolhouse('deploy', '-g', 'team', '-f', broken);
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
    expect(stderr).toMatch(/InvalidTemplate|InvalidRequestContent/);
    expect(stderr).not.toMatch(/^\s+at /m);
    await writeFile(broken, '{ "contentVersion": "1.0.0.0", "resources": [] }');
    const mended = await poolhouse('deploy', '-g', 'team', '-f', broken);
    expect(mended).toMatchObject({ exitCode: 0, stderr: expect.stringContaining(`'team' was made`) as string });
  });

  it('deploys, and shows the pool', { timeout: 60_000 }, async () => {
    await writeFile(
      join(folder, 'people.json'),
      JSON.stringify({
        parameters: {
          adminUsername: { value: 'alice' },
          adminPassword: { value: password },
          adminPublicKey: { value: publicKey },
        },
      }),
    );
    const deployment = await deploy();
    expect(deployment.properties.provisioningState).toBe('Succeeded');
    expect(JSON.stringify(deployment)).not.toContain(password);
    const pool = await until('two instances run', async () => {
      const [found] = (await status()).pools;
      return found?.instances.filter((one) => one.power === 'running').length === 2 ? found : undefined;
    });
    expect(pool).toMatchObject({
      name: 'sharedpool',
      resourceGroup: 'team',
      capacity: 2,
    });
    expect(pool.frontEnds.map((one) => one.backendPort).toSorted((a, b) => a - b)).toEqual([22, 8000]);
    expect(pool.instances.map((one) => one.name)).toEqual(['sharedpool000000', 'sharedpool000001']);
    const words = await must(join(repository, 'bin', 'poolhouse'), ['status'], { env: env() });
    for (const name of ['sharedpool in team', 'sharedpool000000', 'sharedpool000001']) expect(words).toContain(name);
  });

  it('deploys again with another value from the command line', { timeout: 60_000 }, async () => {
    await deploy('-p', 'instanceCount=1');
    await until('one instance is left', async () => {
      const [found] = (await status()).pools;
      return found?.capacity === 1 && found.instances.length === 1 ? found : undefined;
    });
  });

  it('knows that nobody has a session, and whom to name', async () => {
    expect(await document('sessions', 'list', '--pool', 'sharedpool')).toEqual([]);
    expect((await poolhouse('sessions', 'list')).stdout).toContain('Nobody has a session there.');
    const unknown = await poolhouse('sessions', 'end', 'abcd');
    expect(unknown.exitCode).toBe(1);
    expect(unknown.stderr).toContain("There is no session 'abcd'");
  });

  it('tells what instances were used for', async () => {
    expect(await document('costs', '--by', 'day', '--pool', 'sharedpool')).toMatchObject({
      ...{ by: 'day', pool: 'team/sharedpool', currency: 'EUR' },
    });
    const unknown = await poolhouse('costs', '--pool', 'nowhere');
    expect(unknown.exitCode).toBe(1);
    expect(unknown.stderr).toContain("There is no pool 'nowhere'");
  });

  it('tells what happened, and no secret', async () => {
    const log = await document<{ msg: string; process: string }[]>('logs', '-n', '1000');
    expect(log.map((entry) => entry.msg)).toContain('control serves');
    expect(new Set(log.map((entry) => entry.process))).toEqual(new Set(['control', 'gateway']));
    expect(JSON.stringify(log)).not.toContain(password);
    const words = (await poolhouse('logs', 'control', '-n', '3')).stdout;
    expect(words.trim().split('\n')).toHaveLength(3);
    for (const file of await readdir(join(home, 'logs')))
      expect(await readFile(join(home, 'logs', file), 'utf8')).not.toContain(password);
  });

  it('goes up again, and changes nothing', async () => {
    const before = { world: await world(), files: await settled() };
    await document('up');
    await document('up', '--engine', 'sim');
    expect({ world: await world(), files: await settled() }).toEqual(before);
  });

  it('begins again with what the operator changed, and the gateway goes on', { timeout: 60_000 }, async () => {
    const before = await status();
    const port = await freePort();
    await writeFile(
      join(home, 'config.json'),
      `{\n  // of our team\n  "engine": "sim",\n  "apiPort": ${port}, // free here\n}`,
    );
    const after = await document<StatusDocument>('up');
    pids.push(after.control.pid);
    expect(after.control).toMatchObject({ healthy: true, url: `https://127.0.0.1:${port}` });
    expect(after.control.pid).not.toBe(before.control.pid);
    expect(after.gateway.pid).toBe(before.gateway.pid);
    expect(running([before.control.pid])).toEqual([]);
    expect((await document<StatusDocument>('up')).control.pid).toBe(after.control.pid);
    await deploy('-p', 'instanceCount=1');
  });

  it('refuses another engine, and goes on with its own', async () => {
    const { exitCode, stderr } = await poolhouse('up', '--engine', 'incus');
    expect(exitCode).toBe(1);
    expect(stderr).toContain(`'poolhouse down --destroy' first`);
    expect((await document<StatusDocument>('up')).control.pid).toBe(pids.at(-1));
  });

  it.each(['control', 'gateway'] as const)('has a %s again after it was killed', { timeout: 60_000 }, async (which) => {
    const before = await until('both serve', async () => {
      const now = await status();
      return now.gateway.healthy ? now : undefined; // control that has just begun has not heard of it yet
    });
    killHard(before[which].pid);
    const after = await until('it serves again', async () => {
      const now = await status().catch(() => undefined);
      return now?.[which].healthy === true && now[which].pid !== before[which].pid ? now : undefined;
    });
    pids.push(after[which].pid ?? 0);
    expect(after.pools).toHaveLength(before.pools.length);
    expect(await document<{ msg: string }[]>('logs', which)).not.toEqual([]);
  });

  it('replaces the gateway by a new one, and says so', { timeout: 60_000 }, async () => {
    const before = await until('both serve', async () => {
      const now = await status();
      return now.gateway.healthy ? now : undefined;
    });
    const { pids: begun } = await document<{ pids: number[] }>('gateway', 'restart');
    expect(begun).toHaveLength(1);
    expect(begun).not.toContain(before.gateway.pid);
    await until('control knows', async () => {
      const now = await status();
      return now.gateway.pid === begun[0] && now.gateways.length === 1 ? now : undefined;
    });
    expect(running([before.gateway.pid ?? 0])).toEqual([]); // it carried nothing
    expect((await document<StatusDocument>('up')).gateway.pid).toBe(begun[0]);
    pids.push(...begun);
  });

  it('has as many gateways as are wanted', { timeout: 60_000 }, async () => {
    const config = await readFile(join(home, 'config.json'), 'utf8');
    await writeFile(join(home, 'config.json'), config.replace('"sim",', '"sim", "gateways": 2,'));
    const two = await document<StatusDocument>('up');
    pids.push(two.control.pid, ...two.gateways.map(({ pid }) => pid));
    expect(two.gateways.map(({ phase }) => phase)).toEqual(['serving', 'serving']);
    const metrics = await (await fetch(two.gateway.metricsUrl ?? '')).text();
    expect(metrics).toMatch(/^poolhouse_gateway_front_ends\{state="open"\} 2$/m); // as one of them sees it
    expect(metrics).toMatch(/^poolhouse_build_info\{.*\} 1$/m);
    await writeFile(join(home, 'config.json'), config);
    await document('up');
    const one = await until('one is left', async () => {
      const now = await status();
      return now.gateways.length === 1 ? now : undefined;
    });
    pids.push(one.control.pid);
  });

  it('seals its secrets with another key while it serves, and with a passphrase', { timeout: 60_000 }, async () => {
    const key = () => readFile(join(home, 'secrets', 'key'), 'utf8').catch(() => undefined);
    const [before, first] = [await status(), await key()];
    expect(await document('rotate-key')).toEqual({ masterKey: 'file' });
    expect(await key()).not.toBe(first);
    await deploy('-p', 'instanceCount=1');

    const phrase = join(folder, 'passphrase');
    await writeFile(phrase, 'too short\n');
    const short = await poolhouse('rotate-key', '--to', 'passphrase', '--passphrase-file', phrase);
    expect(short).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('at least 12') as string });
    await writeFile(phrase, 'correct horse battery\n');
    const rotated = await document('rotate-key', '--to', 'passphrase', '--passphrase-file', phrase);
    expect(rotated).toEqual({ masterKey: 'passphrase' });
    expect(await key()).toBeUndefined();
    expect(await status()).toMatchObject({ control: { pid: before.control.pid, healthy: true } });
    await document('down');
    pids.push((await document<StatusDocument>('up')).control.pid);
    await deploy('-p', 'instanceCount=1');
    expect(await document('rotate-key', '--to', 'file')).toEqual({ masterKey: 'file' });
    expect(await key()).toBeDefined();
  });

  it('goes down, and up again with what there was', { timeout: 60_000 }, async () => {
    const before = JSON.stringify((await world()).pools);
    expect(await document('down')).toEqual({ stopped: ['gateway', 'control'] });
    expect(running(pids)).toEqual([]);
    expect(await document('down')).toEqual({ stopped: [] });
    expect(await status()).toMatchObject({ control: { healthy: false }, gateway: { healthy: false }, pools: [] });
    const up = await document<StatusDocument>('up');
    pids.push(up.control.pid, up.gateway.pid ?? 0);
    await until('the pool is shown as before', async () => {
      const now = JSON.stringify((await world()).pools);
      return now === before ? now : undefined;
    });
  });

  it('is gone after down --destroy', async () => {
    expect((await poolhouse('down', '--destroy')).exitCode).toBe(2); // nobody is there to be asked
    expect(await document('down', '--destroy', '--yes')).toEqual({ removed: [home] });
    expect(running(pids)).toEqual([]);
    expect(existsSync(home)).toBe(false);
    expect(await document('down', '--destroy', '--yes')).toEqual({ removed: [] });
  });
});
