/**
 * Keeps the logs from filling the disk: a file that has grown large becomes the first of a few old ones. Those who write
 * (the processes, whoever starts them, and the engine's daemon) hold their file open and append, so its text is copied,
 * and it begins anew.
 */
import { copyFile, readdir, rename, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';

export interface LogLimits {
  /** A file of so many bytes is turned over. */
  bytes: number;
  /** How many old ones of each are kept. */
  kept: number;
}

const logLimits: LogLimits = { bytes: 20 * 2 ** 20, kept: 4 };

/** Turns over what is too large in a folder of logs. Gives the files' names. */
export async function rotateLogs(folder: string, { bytes, kept }: LogLimits = logLimits): Promise<string[]> {
  const turned: string[] = [];
  for (const name of await readdir(folder).catch(() => [])) {
    const file = join(folder, name);
    if (!/\.(log|out)$/.test(name)) continue;
    const found = await stat(file).catch(() => undefined);
    if (found?.isFile() !== true || found.size < bytes) continue;
    await rm(`${file}.${kept}`, { force: true });
    for (let age = kept - 1; age >= 1; age -= 1)
      await rename(`${file}.${age}`, `${file}.${age + 1}`).catch(() => undefined); // there is none so old yet
    await copyFile(file, `${file}.1`);
    await truncate(file, 0);
    turned.push(name);
  }
  return turned;
}
