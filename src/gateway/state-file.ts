/**
 * What control said last, in a file: what a gateway serves that starts while control is away. Written beside and renamed,
 * so that a crash at any moment leaves the old one or the new one. The files lie in memory (`/run`) and are the gateway's
 * alone: what is secret in them is on no disk, and in no backup.
 */
import { open, readFile, rename } from 'node:fs/promises';
import type { z } from 'zod';

/** What is stored; undefined where nothing is. A file that cannot be understood rejects: say so and go on without. */
export async function readState<T>(path: string, schema: z.ZodType<T>): Promise<T | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
  return schema.parse(JSON.parse(text));
}

export interface StateWriter<T> {
  /** Stores this soon; of several that wait, only the last is written. */
  save(state: T): void;
  /** Resolves when nothing waits to be written. */
  flushed(): Promise<void>;
}

/**
 * One write at a time. A failure is told and the next state is tried as usual.
 *
 * @param beside where it is written first: other gateways of the installation write the same file
 */
export function createStateWriter<T>(
  path: string,
  beside: string,
  onFailure: (error: unknown) => void,
): StateWriter<T> {
  let waiting: { state: T } | undefined;
  let writing: Promise<void> | undefined;

  async function writeAll(): Promise<void> {
    while (waiting !== undefined) {
      const { state } = waiting;
      waiting = undefined;
      try {
        await writeState(path, beside, state);
      } catch (error) {
        onFailure(error);
      }
    }
    writing = undefined;
  }

  return {
    save(state) {
      waiting = { state };
      writing ??= writeAll();
    },
    flushed: () => writing ?? Promise.resolve(),
  };
}

async function writeState(path: string, beside: string, state: unknown): Promise<void> {
  const file = await open(beside, 'w', 0o600);
  try {
    await file.writeFile(JSON.stringify(state));
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(beside, path);
}
