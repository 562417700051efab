import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { homeAt, runtimeFolderOf, type RuntimeFolder } from '../../core/home.ts';
import type { Installation } from '../../core/installation.ts';
import { findProcess, startProcess } from '../../core/processes.ts';
import { silentProgress } from '../progress.ts';
import { createOwnSupervision } from './own.ts';
import type { Program, ProgramName, Programs, Supervision } from './supervision.ts';

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
const program = (script: string, version = 'first', told: string[] = []): Program => ({
  argv: ['/bin/sh', '-c', script],
  told,
  env: { PATH: '/usr/bin:/bin' },
  version,
});
const both: Programs = { control: program('sleep 600'), gateway: program('sleep 601') };

describe('supervision by our own supervisor', () => {
  let folder: string;
  let run: RuntimeFolder;
  let supervision: Supervision;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'poolhouse-own-'));
    const home = homeAt(folder);
    run = runtimeFolderOf(home, installation.id, false);
    await mkdir(run.folder);
    supervision = createOwnSupervision({ home, installation, run, isRoot: false });
  });
  afterEach(async () => {
    await supervision.remove();
    await rm(folder, { recursive: true });
  });

  async function pids(): Promise<Record<ProgramName | 'supervisor', number>> {
    for (;;) {
      const { control, gateway } = await supervision.state();
      const supervisor = await findProcess(run.supervisorPid);
      if (control.pid !== undefined && gateway.pid !== undefined && supervisor !== undefined)
        return { control: control.pid, gateway: gateway.pid, supervisor: supervisor.pid };
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  const start = (programs: Programs) => supervision.start(programs, silentProgress);

  it('has both run, and changes nothing when it is asked again', async () => {
    await start(both);
    const first = await pids();
    await start(both);
    expect(await pids()).toEqual(first);
  });

  const changes: [what: string, to: Programs, begunAnew: ProgramName[]][] = [
    ['control is another build', { ...both, control: program('sleep 600', 'second') }, ['control']],
    ['control lies elsewhere', { ...both, control: program('sleep 600; :') }, ['control']],
    ['the gateway is another', { ...both, gateway: program('sleep 601', 'second') }, ['gateway']],
    ['it is told something else only', { ...both, gateway: program('sleep 601', 'first', ['build']) }, []],
    ['both are', { control: program('sleep 9'), gateway: program('sleep 9') }, ['control', 'gateway']],
  ];
  it.each(changes)('begins anew only what is another: %s', async (_what, to, begunAnew) => {
    await start(both);
    const first = await pids();
    await start(to);
    const now = await pids();
    expect((['control', 'gateway'] as const).filter((name) => now[name] !== first[name])).toEqual(begunAnew);
    for (const [name, pidFile] of [
      ['control', run.controlPid],
      ['gateway', run.gatewayPid],
    ] as const)
      expect(await findProcess(pidFile)).toMatchObject({ argv: to[name].argv });
  });

  it('begins anew what a release without marks has started', async () => {
    await startProcess(both.control.argv, { pidFile: run.controlPid, logFile: join(folder, 'log'), env: {} });
    const before = await findProcess(run.controlPid);
    await start(both);
    expect((await pids()).control).not.toBe(before?.pid);
  });

  it('ends all of them, and none comes back', async () => {
    await start(both);
    await pids();
    expect(await supervision.stop('start')).toEqual(['gateway', 'control']);
    for (const file of [run.controlPid, run.gatewayPid, run.supervisorPid])
      expect(await findProcess(file)).toBeUndefined();
    expect(await supervision.stop('start')).toEqual([]);
  });

  it('tells of one that ends again and again', async () => {
    await start({ ...both, control: program('echo no; exit 1') });
    while (!(await supervision.state()).control.failing) await new Promise((resolve) => setTimeout(resolve, 20));
    expect((await supervision.state()).gateway.failing).toBe(false);
    expect(await readFile(join(folder, 'logs', 'control.log'), 'utf8')).toContain('no');
  });
});
