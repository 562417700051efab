/** An installation's place on the machine: its account, the engine's daemon, its id, ports, addresses and names. */
import { chmod, chown, mkdir } from 'node:fs/promises';
import type { Config } from '../core/config.ts';
import { runtimeFolderOf, type Home, type RuntimeFolder } from '../core/home.ts';
import type { Installation } from '../core/installation.ts';
import type { Engine } from '../engines/engine.ts';
import { createIncusEngine } from '../engines/incus/incus-engine.ts';
import { claim, claimsOfOthers, nothingTaken, type Taken } from './claims.ts';
import { ensureEngineDaemon } from './engine-daemon.ts';
import { checkHost } from './host-checks.ts';
import { ensureInstallation, leaveTakenPort, readInstallation } from './installations.ts';
import { lockMachine, machineFolder } from './lock.ts';
import { findProcess } from './processes.ts';
import type { Progress } from './progress.ts';
import { runCommand } from './run-command.ts';
import { ensureServiceUser, serviceUser } from './service-user.ts';

interface Place {
  installation: Installation;
  run: RuntimeFolder;
  engineSocket?: string;
  engine?: Engine;
}

/**
 * What an installation has on a machine that it shares with others, one installation at a time: so that two of them
 * neither start the daemon twice nor choose the same port, addresses or network.
 */
export async function takePlace(home: Home, config: Config, progress: Progress, signal: AbortSignal): Promise<Place> {
  const unlock = await lockMachine(progress, signal);
  try {
    await progress.step(`account ${serviceUser}`, () => ensureServiceUser(signal));
    const { socketPath } = await progress.step(`the engine's daemon`, () =>
      ensureEngineDaemon({ logFolder: machineFolder, signal }),
    );
    await checkHost({ ownIdMap: socketPath.startsWith('/var/snap/') }); // a snap maps ids by files of its own
    const taken = await claimsOfOthers(socketPath, (await readInstallation(home))?.id, signal);
    const { installation, run } = await settle(home, config, true, taken);
    await prepareRuntimeFolder(run, true, signal);
    const engine = createIncusEngine({
      installation: installation.id,
      socketPath,
      addressRange: config.instanceRange,
      poolBytes: config.poolGiB * 2 ** 30,
    });
    await progress.step('project, network and storage in the engine', () => engine.prepare(signal));
    await claim(socketPath, installation, signal);
    return { installation, run, engineSocket: socketPath, engine };
  } finally {
    await unlock();
  }
}

/** The same for simulated instances, which need no more of a machine than a port. */
export async function takeSimulatedPlace(
  home: Home,
  config: Config,
  isRoot: boolean,
  signal: AbortSignal,
): Promise<Place> {
  const place = await settle(home, config, isRoot, nothingTaken);
  await prepareRuntimeFolder(place.run, false, signal);
  return place;
}

/** The installation, made where it is not, with a port that is free while control does not run. */
async function settle(
  home: Home,
  config: Config,
  isRoot: boolean,
  taken: Taken,
): Promise<{ installation: Installation; run: RuntimeFolder }> {
  const installation = await ensureInstallation(home, config, taken);
  const run = runtimeFolderOf(home, installation.id, isRoot);
  return (await findProcess(run.controlPid)) === undefined
    ? { installation: await leaveTakenPort(home, installation, config, taken), run }
    : { installation, run };
}

/** Control's sockets are for their owner only; the gateway's user gets through to its own folder and to the link. */
async function prepareRuntimeFolder(run: RuntimeFolder, withUser: boolean, signal: AbortSignal): Promise<void> {
  await mkdir(run.folder, { recursive: true, mode: 0o711 });
  await chmod(run.folder, 0o711);
  await mkdir(run.gateway, { recursive: true, mode: 0o700 });
  await mkdir(run.instances, { recursive: true, mode: 0o700 });
  if (!withUser) return;
  const { stdout } = await runCommand('id', ['-u', serviceUser], { signal });
  const { stdout: group } = await runCommand('id', ['-g', serviceUser], { signal });
  await chown(run.gateway, Number(stdout), Number(group));
}
