/** Stops what runs; with `destroy`, removes exactly what is ours. Both can be repeated, also when half of it is gone. */
import { access, readdir, rm } from 'node:fs/promises';
import { removeRedirects } from '../control/redirects.ts';
import { runtimeFolderOf, type Home } from '../core/home.ts';
import { createIncusEngine } from '../engines/incus/incus-engine.ts';
import { readConfigFile } from './config-file.ts';
import { ensureEngineDaemon, stopEngineDaemon } from './engine-daemon.ts';
import { removeTree } from '../images/remove-tree.ts';
import { readInstallation } from './installations.ts';
import { stopProcess } from './processes.ts';
import type { Progress } from './progress.ts';
import { runCommand } from './run-command.ts';
import { serviceUser } from './up.ts';

const stopLimit = 25_000;

/** @returns what was stopped */
export async function down(home: Home, progress: Progress): Promise<string[]> {
  const installation = await readInstallation(home);
  if (installation === undefined) return [];
  const run = runtimeFolderOf(home, installation.id, process.getuid?.() === 0);
  const stopped: string[] = [];
  await stopProcess(run.supervisorPid, stopLimit); // first: it would start the others again
  await progress.step('gateway ends', async () => {
    if (await stopProcess(run.gatewayPid, stopLimit)) stopped.push('gateway');
  });
  await progress.step('control ends', async () => {
    if (await stopProcess(run.controlPid, stopLimit)) stopped.push('control');
  });
  return stopped;
}

/** @returns what was removed, in words */
export async function destroy(home: Home, progress: Progress, signal: AbortSignal): Promise<string[]> {
  const installation = await readInstallation(home);
  const removed: string[] = [];
  if (installation !== undefined) {
    await down(home, progress);
    if (installation.engine === 'incus') {
      const { config } = await readConfigFile(home.config);
      await progress.step('instances, shares, images, network and storage', async () => {
        const daemon = await ensureEngineDaemon({ logFolder: home.logs, signal });
        const engine = createIncusEngine({
          installation: installation.id,
          socketPath: daemon.socketPath,
          addressRange: config.instanceRange,
          poolBytes: config.poolGiB * 2 ** 30,
        });
        await engine.destroy(signal);
        removed.push('instances, shares, images, network and storage in the engine');
      });
      await removeRedirects(installation.id, signal);
      removed.push(`the kernel's redirects`);
    }
    await rm(runtimeFolderOf(home, installation.id, process.getuid?.() === 0).folder, { recursive: true, force: true });
  }
  if (await exists(home.folder)) {
    // What is in it, and the folder itself where it may be removed: it may be a mount point.
    for (const name of await readdir(home.folder)) await removeTree(`${home.folder}/${name}`);
    await rm(home.folder, { recursive: true }).catch(() => undefined);
    removed.push(home.folder);
  }
  if (installation?.engine === 'incus') {
    await progress.step(`the engine's daemon, when nobody else needs it`, () => stopEngineDaemon({ signal }));
    if (!(await anotherInstallation())) await runCommand('userdel', [serviceUser], { timeoutMs: 20_000 });
  }
  return removed;
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
