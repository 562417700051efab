/** One `up` or `down` of an installation at a time. */
import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { PoolhouseError } from '../core/errors.ts';
import type { Home } from '../core/home.ts';
import type { Progress } from './progress.ts';

const limitMs = 30 * 60_000;

/** Waits until no other one holds the lock. Gives the function that gives it back. */
export async function lockHome(home: Home, progress: Progress, signal: AbortSignal): Promise<() => Promise<void>> {
  await mkdir(home.folder, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw new PoolhouseError(
      'HostNotReady',
      `The folder ${home.folder} cannot be made. Run this as root, or set POOLHOUSE_HOME to a folder of yours.`,
      { cause: error },
    );
  });
  const file = join(home.folder, 'up.lock');
  const deadline = Date.now() + limitMs;
  for (let told = false; ; told = true) {
    try {
      const lock = await open(file, 'wx', 0o600);
      await lock.writeFile(String(process.pid));
      await lock.close();
      return () => rm(file, { force: true });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EACCES')
        throw new PoolhouseError(
          'HostNotReady',
          `${home.folder} belongs to another user. Run this as that user (root, usually).`,
          { cause: error },
        );
      if (code !== 'EEXIST') throw error;
    }
    const holder = Number(await readFile(file, 'utf8').catch(() => '0'));
    if (holder !== 0 && !runs(holder)) {
      await rm(file, { force: true }); // its holder was ended in the middle
      continue;
    }
    if (!told) progress.note(`Another poolhouse command (pid ${holder}) is at work; waiting for it.`);
    if (Date.now() > deadline)
      throw new PoolhouseError(
        'HostNotReady',
        `Another poolhouse command (pid ${holder}) has been at work for too long.`,
      );
    await sleep(200, undefined, { signal });
  }
}

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
