/** An installation's place on the machine: its account, the engine's daemon, its id, ports, addresses and names. */
import { chmod, chown, mkdir } from 'node:fs/promises';
import type { Config } from '../core/config.ts';
import { machineFolder, runtimeFolderOf, type Home, type RuntimeFolder } from '../core/home.ts';
import type { Installation } from '../core/installation.ts';
import type { Engine } from '../engines/engine.ts';
import { createIncusEngine } from '../engines/incus/incus-engine.ts';
import { claim, claimsOfOthers, nothingTaken, type Taken } from './claims.ts';
import { ensureEngineDaemon } from './engine-daemon.ts';
import { checkHost } from './host-checks.ts';
import { ensureInstallation, leaveTakenPort, readInstallation } from './installations.ts';
import { lockMachine } from './lock.ts';
import type { Progress } from './progress.ts';
import { runCommand } from './run-command.ts';
import { ensureServiceUser, serviceUser } from './service-user.ts';
import { createSupervision } from './supervision/supervision.ts';
import { accountOf, runtimePaths } from './supervision/units.ts';

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
    await prepareRuntimeFolder(run, accountOf(installation.engine, true), signal);
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
  await prepareRuntimeFolder(place.run, accountOf('sim', isRoot), signal);
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
  const { control } = await (await createSupervision({ home, installation })).state();
  return control.pid === undefined
    ? { installation: await leaveTakenPort(home, installation, config, taken), run }
    : { installation, run };
}

/** What a place on the machine loses when that is started again, and no systemd brings back. */
export async function takePlaceAgain(
  home: Home,
  installation: Installation,
  progress: Progress,
  signal: AbortSignal,
): Promise<{ run: RuntimeFolder; engineSocket?: string }> {
  const isRoot = process.getuid?.() === 0;
  const run = runtimeFolderOf(home, installation.id, isRoot);
  await prepareRuntimeFolder(run, accountOf(installation.engine, isRoot), signal);
  if (installation.engine === 'sim') return { run };
  const unlock = await lockMachine(progress, signal);
  const daemon = await ensureEngineDaemon({ logFolder: machineFolder, signal }).finally(unlock);
  return { run, engineSocket: daemon.socketPath };
}

/** The folders that the processes find; the same as `tmpfiles.d` makes at the start of the machine. */
async function prepareRuntimeFolder(
  run: RuntimeFolder,
  account: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  for (const { path, mode, owner } of runtimePaths(run, account)) {
    await mkdir(path, { recursive: true, mode });
    await chmod(path, mode);
    if (owner === undefined) continue;
    const { stdout } = await runCommand('id', ['-u', owner], { signal });
    await chown(path, Number(stdout), 0);
  }
}
