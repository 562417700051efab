/**
 * Where there is no systemd, an engine's daemon that `up` had started is started again when it was killed. Its instances
 * live on meanwhile; only nobody could make, stop or remove any.
 */
import type { Logger } from 'pino';
import { tryLock } from './lock.ts';
import { ensureEngineDaemon } from './engine-daemon.ts';
import { readNote } from './engine-note.ts';
import { daemonPlaces } from './engine-places.ts';
import { isAlive } from './started-process.ts';

export interface KeepEngineDaemonOptions {
  logFolder: string;
  /** The lock of what installations share: who holds it may be about to start or to end the daemon. */
  lockFile: string;
  log: Logger;
  signal: AbortSignal;
  places?: typeof daemonPlaces;
}

/** Starts the daemon where it was started by one of us and is dead. True when this call started it. `HostNotReady` where it cannot be. */
export async function keepEngineDaemon(options: KeepEngineDaemonOptions): Promise<boolean> {
  const { lockFile, places = daemonPlaces } = options;
  if (!(await isLost(places.noteFile))) return false;
  const lock = await tryLock(lockFile);
  if (lock === undefined) return false;
  try {
    // Who had the lock before may have ended it for good, or started it.
    return (await isLost(places.noteFile)) && (await ensureEngineDaemon({ ...options, places })).startedByUs;
  } finally {
    lock.close();
  }
}

async function isLost(noteFile: string): Promise<boolean> {
  const { daemon } = await readNote(noteFile);
  return daemon !== undefined && !(await isAlive(daemon));
}
