/**
 * One `up` or `down` of an installation at a time, one sign-in of az, one change to what installations share. A lock is SQLite's on a file: the kernel gives
 * it back when its holder ends, however it ends, so no lock is ever left behind, and none is taken from the living.
 */
import { access, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { PoolhouseError } from '../core/errors.ts';
import { machineFolder, type Home } from '../core/home.ts';
import type { Progress } from './progress.ts';

const lockFile = '.lock';
/** The lock that `lockMachine` takes, for who goes on when it is taken. */
export const machineLock = join(machineFolder, lockFile);
/** Only for what is told to those who wait. */
const tellFile = '.lock-holder';
/** What a lock leaves in its folder, for who removes that. */
export const lockFiles = [lockFile, `${lockFile}-journal`, tellFile] as const;

const limitMs = 30 * 60_000;
const pollDelay = 200;
const busy = 5; // SQLITE_BUSY

/** Waits until no other `up` or `down` of this home holds the lock. Gives the function that gives it back. */
export async function lockHome(home: Home, progress: Progress, signal: AbortSignal): Promise<() => Promise<void>> {
  await mkdir(home.folder, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw new PoolhouseError(
      'HostNotReady',
      `The folder ${home.folder} cannot be made. Run this as root, or set POOLHOUSE_HOME to a folder of yours.`,
      { cause: error },
    );
  });
  return lockFolder(home.folder, progress, signal);
}

/**
 * What installations share is changed by one at a time: the engine's daemon, the account, ports and addresses. Root only.
 * Who removes the folder while holding it (nobody else is there any more) gives it back all the same.
 */
export async function lockMachine(progress: Progress, signal: AbortSignal): Promise<() => Promise<void>> {
  for (;;) {
    await mkdir(machineFolder, { recursive: true, mode: 0o700 });
    try {
      return await lockFolder(machineFolder, progress, signal);
    } catch (error) {
      // The last installation went, and took the folder with it, just now.
      if (!(await isMissing(machineFolder))) throw error;
    }
  }
}

/** Waits until nobody else holds the lock of a folder. Gives the function that gives it back. */
export async function lockFolder(
  folder: string,
  progress: Progress,
  signal: AbortSignal,
): Promise<() => Promise<void>> {
  const [file, holderFile] = [join(folder, lockFile), join(folder, tellFile)];
  const deadline = Date.now() + limitMs;
  for (let told = false, tries = 1; ; tries += 1) {
    const lock = await tryLock(file);
    if (lock !== undefined) {
      await writeFile(holderFile, String(process.pid), { mode: 0o600 });
      return async () => {
        await rm(holderFile, { force: true });
        lock.close();
      };
    }
    const holder = await readFile(holderFile, 'utf8').catch(() => '?');
    // Who has just taken it says so a moment later.
    if (!told && (holder !== '?' || tries > 1)) {
      progress.note(`Another poolhouse command (pid ${holder}) is at work; waiting for it.`);
      told = true;
    }
    if (Date.now() > deadline)
      throw new PoolhouseError(
        'HostNotReady',
        `Another poolhouse command (pid ${holder}) has been at work for too long. Look at what it does, or end it: kill ${holder}`,
      );
    await sleep(pollDelay, undefined, { signal });
  }
}

/** The lock, which is given back by closing it or ending; undefined while another one holds it. */
export async function tryLock(file: string): Promise<DatabaseSync | undefined> {
  let database: DatabaseSync | undefined;
  try {
    if ((await identityOf(file)) === undefined) new DatabaseSync(file).close(); // makes it
    const before = await identityOf(file);
    database = new DatabaseSync(file, { timeout: 0 });
    database.exec('BEGIN EXCLUSIVE');
    // `down --destroy` removes the file while it holds the lock: a lock of the removed one would be a lock of nothing.
    if (before !== undefined && before === (await identityOf(file))) return database;
    database.close();
    return undefined;
  } catch (error) {
    if (database?.isOpen === true) database.close();
    if ((error as { errcode?: number }).errcode === busy) return undefined;
    const folder = join(file, '..');
    const mine = await access(folder).then(
      () => process.getuid?.() === 0,
      () => false,
    );
    throw new PoolhouseError(
      'HostNotReady',
      mine
        ? `${file} cannot be locked: ${error instanceof Error ? error.message : ''}. Is the disk full, or read-only?`
        : `${folder} belongs to another user. Run this as that user (root, usually).`,
      { cause: error },
    );
  }
}

async function isMissing(path: string): Promise<boolean> {
  return access(path).then(
    () => false,
    (error: unknown) => (error as NodeJS.ErrnoException).code === 'ENOENT',
  );
}

/** Which file it is that stands there: another one of the same name is another one. */
async function identityOf(file: string): Promise<string | undefined> {
  const found = await stat(file, { bigint: true }).catch(() => undefined);
  return found === undefined ? undefined : `${found.dev} ${found.ino} ${found.birthtimeNs}`;
}
