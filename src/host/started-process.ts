/**
 * Which process it was that we started: its number alone may belong to another one later, so the time of its start and
 * the boot are remembered with it, and its program is looked at again.
 */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { z } from 'zod';

export const startedProcessSchema = z.object({
  pid: z.number().int().positive(),
  /** Clock ticks from boot to its start, as the kernel tells it. */
  startTime: z.string(),
  bootId: z.string(),
  program: z.string(),
});
export type StartedProcess = z.infer<typeof startedProcessSchema>;

/** What to remember of a process that was just started; undefined when it has ended already. */
export async function identifyProcess(pid: number, program: string): Promise<StartedProcess | undefined> {
  const startTime = await startTimeOf(pid);
  return startTime === undefined ? undefined : { pid, startTime, bootId: await bootId(), program: basename(program) };
}

/** True while exactly this process lives. */
export async function isAlive(started: StartedProcess): Promise<boolean> {
  if ((await startTimeOf(started.pid)) !== started.startTime || (await bootId()) !== started.bootId) return false;
  const commandLine = await readFile(`/proc/${started.pid}/cmdline`, 'utf8').catch(() => '');
  return basename(commandLine.split('\0')[0] ?? '') === started.program;
}

async function startTimeOf(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  // The program's name stands in brackets and may hold anything: fields are counted behind it (state is the third).
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields === undefined || fields[0] === 'Z' ? undefined : fields[19];
}

async function bootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
}
