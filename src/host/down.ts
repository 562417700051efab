/** Stops what runs; with `destroy`, removes exactly what is ours. Both can be repeated, also when half of it is gone. */
import { access, readdir, rm, rmdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { removeRedirects } from '../control/redirects.ts';
import { readConfig } from '../core/config.ts';
import { machineFolder, runtimeFolderOf, type Home } from '../core/home.ts';
import type { Installation } from '../core/installation.ts';
import { createIncusEngine } from '../engines/incus/incus-engine.ts';
import { ensureEngineDaemon, stopEngineDaemon } from './engine-daemon.ts';
import { removeTree } from '../images/remove-tree.ts';
import { readInstallation } from './installations.ts';
import { lockFiles, lockMachine } from './lock.ts';
import type { Progress } from './progress.ts';
import { removeServiceUser, serviceUser } from './service-user.ts';
import { createSupervision } from './supervision/supervision.ts';

/**
 * Until the next `up`; or until the machine starts again, where it is its end that stops them.
 * @returns what was stopped
 */
export async function down(home: Home, progress: Progress, until: 'start' | 'boot' = 'start'): Promise<string[]> {
  const installation = await readInstallation(home);
  if (installation === undefined) return [];
  const supervision = await createSupervision({ home, installation });
  return progress.step('gateway and control end', () => supervision.stop(until));
}

/**
 * The home goes last, and in it the file that names the installation: so a run that was cut off is completed by the next.
 * @returns what was removed, in words
 */
export async function destroy(home: Home, progress: Progress, signal: AbortSignal): Promise<string[]> {
  const isRoot = process.getuid?.() === 0;
  const installation = await readInstallation(home);
  const removed: string[] = [];
  if (installation !== undefined) {
    const supervision = await createSupervision({ home, installation });
    await progress.step('gateway and control end', () => supervision.remove());
    if (installation.engine === 'incus') {
      await progress.step('instances, shares, images, network and storage', () =>
        destroyInEngine(home, installation, progress, signal),
      );
      removed.push('instances, shares, images, network and storage in the engine');
      await removeRedirects(installation.id, signal);
      removed.push(`the kernel's redirects`);
    }
    await removeTree(runtimeFolderOf(home, installation.id, isRoot).folder);
  }
  // An `up` that was cut off early has no installation yet, and may have begun to prepare the machine.
  if (isRoot && (await exists(home.folder)) && installation?.engine !== 'sim')
    await leaveMachine(progress, signal, removed);
  if (await exists(home.folder)) {
    // What is in it, and the folder itself where it may be removed: it may be a mount point.
    await emptyFolder(home.folder, [basename(home.installation), ...lockFiles]);
    removed.push(home.folder);
  }
  return removed;
}

async function destroyInEngine(
  home: Home,
  installation: Installation,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const unlock = await lockMachine(progress, signal);
  const daemon = await ensureEngineDaemon({ logFolder: machineFolder, signal }).finally(unlock);
  const { instanceRange, poolGiB } = readConfig({}, home.config); // nothing is made: what is set does not matter
  const engine = createIncusEngine({
    installation: installation.id,
    socketPath: daemon.socketPath,
    addressRange: instanceRange,
    poolBytes: poolGiB * 2 ** 30,
  });
  await engine.destroy(signal);
}

/** What installations share goes with the last of them. */
async function leaveMachine(progress: Progress, signal: AbortSignal, removed: string[]): Promise<void> {
  const unlock = await lockMachine(progress, signal);
  try {
    const { stopped } = await progress.step(`the engine's daemon, when nobody else needs it`, () =>
      stopEngineDaemon({ signal }),
    );
    if (stopped.length > 0) removed.push(`the processes ${stopped.join(' and ')}`);
    if (await anotherInstallation()) return;
    if (await removeServiceUser(signal)) removed.push(`the account '${serviceUser}'`);
    await emptyFolder(machineFolder, lockFiles);
  } finally {
    await unlock();
  }
}

/**
 * Removes what is in a folder whose lock is held, and the folder itself where that may be: it may be a mount point, and
 * who waits for the lock makes it anew.
 * @param last what goes last, in this order
 */
async function emptyFolder(folder: string, last: readonly string[]): Promise<void> {
  for (const name of await readdir(folder)) if (!last.includes(name)) await removeTree(join(folder, name));
  for (const name of last) await rm(join(folder, name), { force: true });
  await rmdir(folder).catch(() => undefined);
}

/** Another installation runs on this machine, and needs the account. */
async function anotherInstallation(): Promise<boolean> {
  return (await readdir('/run')).some((name) => /^poolhouse-[0-9a-f]{8}$/.test(name));
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
