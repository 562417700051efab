import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { homeAt, runtimeFolderOf, type RuntimeFolder } from '../../core/home.ts';
import type { Installation } from '../../core/installation.ts';
import { findProcess, startProcess } from '../../core/processes.ts';
import { askGateway, gatewaySocketName, gatewayStateSchema, type GatewayState } from '../../link/gateway-words.ts';
import { silentProgress } from '../progress.ts';
import { readPrograms, writePrograms } from '../supervisor.ts';
import { createOwnSupervision } from './own.ts';
import type { Program, Programs, Supervision } from './supervision.ts';

const installation: Installation = {
  id: '0123abcd',
  engine: 'sim',
  apiPort: 1,
  addressBlock: '127.77.1.0/24',
  subscriptionId: '00000000-0000-4000-8000-000000000000',
  tenantId: '00000000-0000-4000-8000-000000000000',
  clientId: '00000000-0000-4000-8000-000000000000',
  createdAt: '',
};
const program = (script: string, version = 'first'): Program => ({
  argv: ['/bin/sh', '-c', script],
  told: [],
  env: { PATH: '/usr/bin:/bin' },
  version,
});

/** As much of a gateway as supervision needs: it says how it stands, and leaves when it is told to. */
const fakeGateway = `
import { rmSync } from 'node:fs';
import { createServer } from 'node:net';
const [folder] = process.argv.slice(2);
const serial = Number(process.argv[process.argv.indexOf('--serial') + 1]);
let phase = 'serving';
const answer = () => JSON.stringify({ serial, pid: process.pid, phase, ports: [], knowsHealth: true, connections: 1 });
const server = createServer({ allowHalfOpen: true }, (socket) => socket.resume().on('end', () => socket.end(answer())));
rmSync(folder + '/' + serial + '.sock', { force: true });
server.listen(folder + '/' + serial + '.sock');
process.on('SIGUSR2', () => { phase = 'leaving'; });
setInterval(() => undefined, 60_000);
`;

describe('supervision by our own supervisor', () => {
  let folder: string;
  let run: RuntimeFolder;
  let supervision: Supervision;
  let both: Programs;
  const gateway = (version = 'first', told: string[] = []): Program => ({
    argv: [process.execPath, join(folder, 'gateway.mjs'), run.gateway],
    told,
    env: {},
    version,
  });
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'poolhouse-own-'));
    const home = homeAt(folder);
    run = runtimeFolderOf(home, installation.id, false);
    await mkdir(run.gateway, { recursive: true });
    await writeFile(join(folder, 'gateway.mjs'), fakeGateway);
    supervision = createOwnSupervision({ home, installation, run, isRoot: false });
    both = { control: program('sleep 600'), gateway: gateway(), gateways: 1 };
  });
  afterEach(async () => {
    await supervision.remove();
    await rm(folder, { recursive: true });
  });

  /** Those that serve, once all of them run. */
  async function pids(): Promise<{ control: number; gateways: number[]; supervisor: number }> {
    for (;;) {
      const { control, gateways } = await supervision.state();
      const supervisor = await findProcess(run.supervisorPid);
      const running = gateways.flatMap(({ pid }) => pid ?? []);
      if (control.pid !== undefined && supervisor !== undefined && running.length === gateways.length)
        return { control: control.pid, gateways: running, supervisor: supervisor.pid };
      await pause();
    }
  }
  /** How a gateway stands, by its serial. */
  const stateOf = (serial: number): Promise<GatewayState | undefined> =>
    askGateway(join(run.gateway, gatewaySocketName(serial)), { ask: 'state' }, gatewayStateSchema).catch(
      () => undefined,
    );
  const pause = () => new Promise((resolve) => setTimeout(resolve, 20));
  const start = (programs: Programs) => supervision.start(programs, silentProgress);
  const serves = async (serial: number): Promise<number> => {
    for (;;) {
      const state = await stateOf(serial);
      if (state !== undefined) return state.pid;
      await pause();
    }
  };

  it('has all run, and changes nothing when it is asked again', async () => {
    await start(both);
    const first = await pids();
    await start(both);
    expect(await pids()).toEqual(first);
  });

  type Change = [what: string, to: () => Partial<Programs>, begunAnew: ('control' | 'gateway')[]];
  const changes: Change[] = [
    ['control is another build', () => ({ control: program('sleep 600', 'second') }), ['control']],
    ['control lies elsewhere', () => ({ control: program('sleep 600; :') }), ['control']],
    ['the gateway is another', () => ({ gateway: gateway('second') }), ['gateway']],
    ['it is told something else only', () => ({ gateway: gateway('first', ['build']) }), []],
    ['both are', () => ({ control: program('sleep 9'), gateway: gateway('second') }), ['control', 'gateway']],
  ];
  it.each(changes)('begins anew only what is another: %s', async (_what, change, begunAnew) => {
    await start(both);
    const first = await pids();
    await serves(1);
    const to = { ...both, ...change() };
    await start(to);
    const now = await pids();
    expect(now.control !== first.control).toBe(begunAnew.includes('control'));
    expect(now.gateways[0] !== first.gateways[0]).toBe(begunAnew.includes('gateway'));
    expect(await findProcess(run.controlPid)).toMatchObject({ argv: to.control.argv });
    expect(await readPrograms(run.programs)).toMatchObject([
      { argv: to.control.argv },
      { argv: [...to.gateway.argv, ...to.gateway.told, '--serial', begunAnew.includes('gateway') ? '2' : '1'] },
    ]);
  });

  it('begins anew what a release without marks has started', async () => {
    const options = { logFile: join(folder, 'log'), env: {} };
    await startProcess(both.control.argv, { pidFile: run.controlPid, ...options });
    await startProcess(['/bin/sleep', '600'], { pidFile: run.oldGatewayPid, ...options });
    const before = await findProcess(run.controlPid);
    await start(both);
    expect((await pids()).control).not.toBe(before?.pid);
    expect(await findProcess(run.oldGatewayPid)).toBeUndefined();
  });

  it('replaces a gateway by another one, and lets the old one carry on', async () => {
    await start(both);
    const old = await serves(1);
    await supervision.replaceGateways(both, silentProgress);
    expect(await stateOf(1)).toMatchObject({ pid: old, phase: 'leaving' });
    expect((await pids()).gateways).toEqual([(await stateOf(2))?.pid]);

    await supervision.replaceGateways(both, silentProgress); // three at a time
    expect([await stateOf(1), await stateOf(2), await stateOf(3)]).toMatchObject([
      { pid: old, phase: 'leaving' },
      { phase: 'leaving' },
      { phase: 'serving' },
    ]);

    const [third = 0] = (await pids()).gateways;
    for (const pid of [old, third]) process.kill(pid, 'SIGKILL');
    while (((await stateOf(3))?.pid ?? third) === third) await pause();
    expect(await stateOf(1)).toBeUndefined(); // who leaves is not begun again
    await start(both);
    expect((await pids()).gateways).toEqual([(await stateOf(3))?.pid]);
    expect((await readdir(run.folder)).filter((name) => /^gateway-/.test(name)).toSorted()).toEqual([
      'gateway-2.pid',
      'gateway-3.pid',
    ]);

    expect(await supervision.stop('start')).toEqual(['gateway', 'control']);
    for (const serial of [1, 2, 3]) expect(await stateOf(serial)).toBeUndefined();
  });

  it('completes a hand-over that was cut off', async () => {
    await start(both);
    await serves(1);
    const { pid } = (await findProcess(join(run.folder, 'gateway-1.pid'))) ?? {};
    // Both serve, and the old one is not begun again: it was to be told to leave now.
    const programs = (await readPrograms(run.programs)) ?? [];
    await writePrograms(run.programs, programs.slice(0, 1));
    await start(both);
    expect(await stateOf(1)).toMatchObject({ pid, phase: 'leaving' });
    expect((await pids()).gateways).toEqual([(await stateOf(2))?.pid]);
  });

  it('has several serve, and as many as are wanted', async () => {
    await start({ ...both, gateways: 3 });
    expect((await pids()).gateways).toHaveLength(3);
    await Promise.all([1, 2, 3].map(serves));
    await start({ ...both, gateways: 2 });
    expect((await pids()).gateways).toHaveLength(2);
    expect(await stateOf(1)).toMatchObject({ phase: 'leaving' });
  });

  it('ends all of them, and none comes back', async () => {
    await start(both);
    await pids();
    expect(await supervision.stop('start')).toEqual(['gateway', 'control']);
    for (const file of [run.controlPid, run.supervisorPid, join(run.folder, 'gateway-1.pid')])
      expect(await findProcess(file)).toBeUndefined();
    expect(await supervision.stop('start')).toEqual([]);
  });

  it('tells of one that ends again and again', async () => {
    await start({ ...both, control: program('echo no; exit 1') });
    while (!(await supervision.state()).control.failing) await pause();
    expect((await supervision.state()).gateways[0]?.failing).toBe(false);
    expect(await readFile(join(folder, 'logs', 'control.log'), 'utf8')).toContain('no');
  });
});
