/**
 * Keeps our processes running where nobody else does: one that ends is started again, at once the first time, later and
 * later when it keeps ending. It holds nothing and is nobody's parent in effect: who runs is known by pid files, so the
 * processes live on when the supervisor ends, and the next one takes over where it was.
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { z } from 'zod';
import { findProcess, startProcess } from '../core/processes.ts';

const programsSchema = z.array(
  z.object({
    name: z.string(),
    argv: z.array(z.string()).min(1),
    env: z.record(z.string(), z.string()),
    pidFile: z.string(),
    logFile: z.string(),
    mark: z.string(),
  }),
);
export type SupervisedProgram = z.infer<typeof programsSchema>[number];

const livesSchema = z.record(z.string(), z.object({ startedAt: z.number(), failures: z.number() }));
/** By name: when it was last started, and how often in a row it ended soon after. */
export type Lives = z.infer<typeof livesSchema>;

export interface SupervisorFiles {
  /** What to run. Read at every look, so it may be changed at any time; the supervisor ends when it is gone. */
  programs: string;
  /** What came of it, for those who wait for a start. */
  lives: string;
}

const lookEvery = 250;
/** Who lived so long did not fail at its start. */
const longLife = 20_000;
const delays = [0, 500, 1_000, 2_000, 5_000, 15_000] as const;

/** What becomes of a program that does not run: when it may be started, counted from its last start. Pure. */
export function nextStart(life: Lives[string] | undefined, endedAt: number): { at: number; failures: number } {
  if (life === undefined) return { at: endedAt, failures: 0 };
  const failures = endedAt - life.startedAt >= longLife ? 1 : life.failures + 1;
  return { at: endedAt + (delays[Math.min(failures, delays.length) - 1] ?? 0), failures };
}

/** Runs until the signal aborts or there is nothing to run any more; the processes stay. */
export async function supervise(files: SupervisorFiles, log: Logger, signal: AbortSignal): Promise<void> {
  const lives = await readLives(files.lives);
  const planned = new Map<string, { at: number; failures: number }>();
  while (!signal.aborted) {
    const programs = await readPrograms(files.programs);
    if (programs === undefined) return;
    for (const program of programs) {
      await look(program).catch((error: unknown) => {
        log.error({ err: error, program: program.name }, `'${program.name}' could not be started`);
      });
    }
    await sleep(lookEvery, undefined, { signal }).catch(() => undefined);
  }

  async function look(program: SupervisedProgram): Promise<void> {
    const { name } = program;
    if ((await findProcess(program.pidFile)) !== undefined) {
      planned.delete(name);
      const life = lives[name];
      if (life !== undefined && life.failures > 0 && Date.now() - life.startedAt >= longLife) {
        lives[name] = { ...life, failures: 0 };
        await writeWhole(files.lives, JSON.stringify(lives));
      }
      return;
    }
    const now = Date.now();
    const next = planned.get(name) ?? nextStart(lives[name], now);
    planned.set(name, next);
    if (now < next.at || signal.aborted) return;
    // Read again now that it is known to have ended: who is told to leave has been taken out of the file before.
    const asItIsNow = (await readPrograms(files.programs))?.find((one) => one.name === name);
    if (asItIsNow === undefined) {
      planned.delete(name);
      return;
    }
    if (next.failures > 0) log.warn({ program: name, failures: next.failures }, `'${name}' ended; it is started again`);
    lives[name] = { startedAt: now, failures: next.failures };
    planned.delete(name);
    await writeWhole(files.lives, JSON.stringify(lives));
    await startProcess(asItIsNow.argv, asItIsNow);
  }
}

export async function readLives(file: string): Promise<Lives> {
  const text = await readFile(file, 'utf8').catch(() => '{}');
  return livesSchema.parse(JSON.parse(text));
}

/** Undefined where nothing is to run. */
export async function readPrograms(file: string): Promise<SupervisedProgram[] | undefined> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  });
  return text === undefined ? undefined : programsSchema.parse(JSON.parse(text));
}

export async function writePrograms(file: string, programs: readonly SupervisedProgram[]): Promise<void> {
  await writeWhole(file, JSON.stringify(programs));
}

async function writeWhole(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text, { mode: 0o600 });
  await rename(`${file}.new`, file);
}
