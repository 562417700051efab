/**
 * The note of a restore that is under way, in the home that it makes: control lets nobody in while it is there, `up` refuses a home that
 * is not whole yet, and the same command goes on from it.
 */
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { PoolhouseError } from '../../core/errors.ts';
import type { Home } from '../../core/home.ts';

const restoringSchema = z.object({
  /** Of the manifest: which backup it is. */
  backup: z.uuid(),
  createdAt: z.string(),
  /** `files`: the home is not whole yet. `shares`: it is, and processes may run. */
  phase: z.enum(['files', 'shares']),
  /** Shares that were unpacked to their end, as the backup names them. */
  filled: z.array(z.string()),
});
export type Restoring = z.infer<typeof restoringSchema>;

export async function readRestoring(home: Home): Promise<Restoring | undefined> {
  const text = await readFile(home.restoring, 'utf8').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  try {
    return restoringSchema.parse(JSON.parse(text));
  } catch (error) {
    throw new PoolhouseError(
      'InvalidConfiguration',
      `${home.restoring} is damaged: how far a restore came is not known. 'poolhouse down --destroy' clears the way to begin it anew.`,
      { cause: error },
    );
  }
}

export async function writeRestoring(home: Home, note: Restoring): Promise<void> {
  await writeFile(`${home.restoring}.new`, `${JSON.stringify(note, null, 2)}\n`, { mode: 0o600, flush: true });
  await rename(`${home.restoring}.new`, home.restoring);
}

export async function endRestoring(home: Home): Promise<void> {
  await rm(home.restoring, { force: true });
}

/** `OperationNotAllowed` where a restore was cut off before the home was whole. */
export async function refuseHalfRestored(home: Home): Promise<void> {
  const note = await readRestoring(home);
  if (note?.phase !== 'files') return;
  throw new PoolhouseError(
    'OperationNotAllowed',
    `The restore of the backup of ${note.createdAt} into ${home.folder} was cut off. Run 'poolhouse restore' with that file again, or give it up: poolhouse down --destroy`,
  );
}
