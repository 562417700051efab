import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runtimeFilesIn, type RuntimeFolder } from '../core/home.ts';
import { findProcess, stopProcess } from '../core/processes.ts';
import { ensureSupervisor } from './keep-supervisor.ts';

describe('ensureSupervisor', () => {
  let folder: string;
  let run: RuntimeFolder;
  const ensure = () => ensureSupervisor({ run, logFolder: folder });
  const supervisor = async () => (await findProcess(run.supervisorPid))?.pid;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'poolhouse-keep-'));
    run = runtimeFilesIn(folder);
  });
  afterEach(async () => {
    await rm(run.programs, { force: true });
    await stopProcess(run.supervisorPid, 5_000);
    await rm(folder, { recursive: true });
  });

  it('starts none where there is to be none', async () => {
    expect(await ensure()).toBe(false);
    expect(await supervisor()).toBeUndefined();
  });

  it('starts it, and again after it was killed', async () => {
    await writeFile(run.programs, '[]');
    expect(await ensure()).toBe(true);
    const first = await supervisor();
    expect(await ensure()).toBe(false);
    process.kill(first ?? NaN, 'SIGKILL');
    while ((await supervisor()) !== undefined) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(await ensure()).toBe(true);
    expect(await supervisor()).not.toBe(first);
  });

  it('leaves one of several that are started at the same time', async () => {
    await writeFile(run.programs, '[]');
    await Promise.all([ensure(), ensure(), ensure()]);
    // The others end as soon as they see that they are not the one.
    const processes = () => execFileSync('pgrep', ['-f', `supervisor-main.ts ${folder}`], { encoding: 'utf8' }).trim();
    while (processes().includes('\n')) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(processes()).toBe(String(await supervisor()));
  });
});
