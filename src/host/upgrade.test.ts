import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findProcess, startProcess, stopProcess } from './processes.ts';
import { silentProgress } from './progress.ts';
import { endOtherBuild, type InstalledBuild } from './upgrade.ts';

const ours: InstalledBuild = { version: '1.0.0', build: 'abc1234', date: '2026-11-23', root: '/usr/lib/poolhouse' };

describe('up of another build', () => {
  let folder: string;
  let run: Record<'folder' | 'supervisorPid' | 'controlPid' | 'gatewayPid', string>;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'poolhouse-upgrade-'));
    const at = (name: string) => join(folder, name);
    run = { folder, supervisorPid: at('s.pid'), controlPid: at('c.pid'), gatewayPid: at('g.pid') };
  });
  afterEach(async () => {
    for (const file of pidFiles()) await stopProcess(file, 5_000);
    await rm(folder, { recursive: true });
  });

  const pidFiles = () => [run.supervisorPid, run.controlPid, run.gatewayPid];
  async function start(...files: string[]): Promise<void> {
    for (const pidFile of files)
      await startProcess(['sleep', '600'], { pidFile, logFile: join(folder, 'log') }, process.env);
  }
  const running = async () =>
    (await Promise.all(pidFiles().map(findProcess))).filter((one) => one !== undefined).length;

  const others: [what: string, other: InstalledBuild | undefined][] = [
    ['is not noted', undefined],
    ['is an older version', { ...ours, version: '0.9.0' }],
    ['is another commit', { ...ours, build: '0000000' }],
    ['is a commit that nobody knows', { ...ours, build: null }],
    ['lies in another folder', { ...ours, root: '/srv/poolhouse' }],
  ];
  it.each(others)('ends what runs when it %s', async (_what, other) => {
    if (other !== undefined) await endOtherBuild(run, other, silentProgress);
    await start(...pidFiles());
    await endOtherBuild(run, ours, silentProgress);
    expect(await running()).toBe(0);
  });

  it.each([
    ['itself', ours],
    ['itself with files that differ', { ...ours, build: 'abc1234-dirty' }],
  ])('leaves alone what was started by %s', async (_what, other) => {
    await endOtherBuild(run, other, silentProgress);
    await start(...pidFiles());
    await endOtherBuild(run, ours, silentProgress);
    expect(await running()).toBe(3);
  });

  it('completes what was cut off', async () => {
    await endOtherBuild(run, { ...ours, build: '0000000' }, silentProgress);
    await start(run.gatewayPid); // the others were ended already
    await endOtherBuild(run, ours, silentProgress);
    expect(await running()).toBe(0);
  });
});
