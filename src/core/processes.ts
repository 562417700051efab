/**
 * Processes of ours in the background: started apart from the terminal, found again by their pid files. A pid that
 * belongs to another program by now is not taken for ours: the time it was started at is compared too.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';

export interface StartOptions {
  pidFile: string;
  logFile: string;
  env: NodeJS.ProcessEnv;
  /** Kept with the pid: what the process was started with, beyond its arguments. */
  mark?: string;
}

const noteSchema = z.object({
  pid: z.int(),
  startedAt: z.string(),
  argv: z.array(z.string()),
  mark: z.string().optional(),
});
export type RunningProcess = z.infer<typeof noteSchema>;

/** The process of a pid file, when it runs. */
export async function findProcess(pidFile: string): Promise<RunningProcess | undefined> {
  const text = await readFile(pidFile, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  let note: RunningProcess;
  try {
    note = noteSchema.parse(JSON.parse(text));
  } catch {
    return undefined; // cut off while it was written: then nothing was started
  }
  return (await startTime(note.pid)) === note.startedAt ? note : undefined;
}

/** Starts a program in a session of its own, and notes its pid. */
export async function startProcess(argv: readonly string[], options: StartOptions): Promise<RunningProcess> {
  const pid = (await spawnDetached(argv, options)).pid ?? 0; // it was spawned
  return noteProcess(options.pidFile, pid, argv, options.mark);
}

/** Starts a program in a session of its own, whose output is appended to a file. */
export async function spawnDetached(
  argv: readonly string[],
  { logFile, env }: Pick<StartOptions, 'logFile' | 'env'>,
): Promise<ChildProcess> {
  await mkdir(dirname(logFile), { recursive: true, mode: 0o700 });
  const log = await open(logFile, 'a', 0o600);
  try {
    const [program = '', ...rest] = argv;
    const child = spawn(program, rest, { detached: true, stdio: ['ignore', log.fd, log.fd], cwd: '/', env });
    await new Promise<void>((resolve, reject) => {
      child.once('error', reject);
      child.once('spawn', resolve);
    });
    child.unref();
    return child;
  } finally {
    await log.close();
  }
}

/** Writes down which process it is, so that `findProcess` finds it. */
export async function noteProcess(
  pidFile: string,
  pid: number,
  argv: readonly string[],
  mark?: string,
): Promise<RunningProcess> {
  const note = {
    pid,
    startedAt: (await startTime(pid)) ?? '',
    argv: [...argv],
    ...(mark === undefined ? {} : { mark }),
  };
  await writeFile(`${pidFile}.new`, JSON.stringify(note), { mode: 0o600 });
  await rename(`${pidFile}.new`, pidFile);
  return note;
}

/** Asks a process to end, and ends it after the limit. Nil when it does not run. True when it ran. */
export async function stopProcess(pidFile: string, limitMs: number): Promise<boolean> {
  const running = await findProcess(pidFile);
  if (running !== undefined) {
    process.kill(running.pid, 'SIGTERM');
    const deadline = Date.now() + limitMs;
    while ((await findProcess(pidFile)) !== undefined) {
      if (Date.now() > deadline) {
        process.kill(running.pid, 'SIGKILL');
        break;
      }
      await sleep(50);
    }
  }
  await rm(pidFile, { force: true });
  return running !== undefined;
}

/** When a process was started, in the kernel's ticks: together with its pid it names one process only. */
async function startTime(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  if (stat === undefined) return undefined;
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' ? undefined : fields[19];
}
