/**
 * Where our own supervisor keeps the processes running, one of them keeps it: control starts it again when it was killed.
 * Whether there is to be one says its file of programs, which `down` removes before it ends anything.
 */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { guardedProgram } from '../core/guarded-program.ts';
import type { RuntimeFolder } from '../core/home.ts';
import { findProcess, spawnDetached } from '../core/processes.ts';
import { programFiles } from '../core/program-files.ts';

const startLimit = 10_000;

export interface SupervisorOptions {
  run: RuntimeFolder;
  logFolder: string;
  /** What it runs with; by default what we have ourselves. */
  env?: NodeJS.ProcessEnv;
}

/** Starts the supervisor where there is to be one and none is. True when this call started one. */
export async function ensureSupervisor(options: SupervisorOptions): Promise<boolean> {
  const { run, logFolder, env = process.env } = options;
  if (!(await exists(run.programs)) || (await findProcess(run.supervisorPid)) !== undefined) return false;
  const argv = guardedProgram([programFiles.program('host/supervisor-main'), run.programs], { fewRights: false });
  const child = await spawnDetached(argv, { logFile: join(logFolder, 'supervisor.log'), env });
  // It notes its pid itself. One that ends at once had nothing to do, or another was quicker.
  const deadline = Date.now() + startLimit;
  while (child.exitCode === null && child.signalCode === null && Date.now() < deadline) {
    if ((await findProcess(run.supervisorPid)) !== undefined) return true;
    await sleep(20);
  }
  return false;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
