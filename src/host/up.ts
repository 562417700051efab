/**
 * What `up` does to a machine, step by step. Each step looks first and does only what is missing, so a second run
 * changes nothing, and a run that was cut off is completed by the next.
 */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { StatusDocument } from '../control/status.ts';
import { readConfig, type Config } from '../core/config.ts';
import { PoolhouseError } from '../core/errors.ts';
import type { Home, RuntimeFolder } from '../core/home.ts';
import type { Installation } from '../core/installation.ts';
import type { JsonObject } from '../core/json.ts';
import { programFiles } from '../core/program-files.ts';
import { buildImage, hostSuite } from '../images/build-image.ts';
import { fingerprintOf, loadRecipe } from '../images/recipe.ts';
import { refuseNewerStore } from '../store/store.ts';
import { refuseHalfRestored } from './backup/restoring.ts';
import { changeConfigFile, readConfigFile } from './config-file.ts';
import { readInstallation } from './installations.ts';
import { askControl } from './local-api.ts';
import { ensureMasterKey, type AskPassphrase } from './master-key.ts';
import { engineSetup, installPackages, installSnaps, presentTools, readDistribution } from './packages.ts';
import type { Progress } from './progress.ts';
import { describePrograms } from './programs.ts';
import { createSupervision, type Supervision } from './supervision/supervision.ts';
import { logFileOf } from './supervision/units.ts';
import { takePlace, takePlaceAgain, takeSimulatedPlace } from './take-place.ts';

export interface UpOptions {
  engine?: 'incus' | 'sim';
  addresses?: readonly string[];
  /** Where the master key comes from a passphrase. */
  passphrase: AskPassphrase;
  /** A restore goes on from here: it may find a home that nobody else may use yet. */
  restoring?: boolean;
}

export interface UpResult {
  installation: Installation;
  run: RuntimeFolder;
  url: string;
}

const startLimit = 60_000;
/** What most templates ask for: built at once, so that the first deployment does not wait for it. */
const firstImage = 'datascience';

export async function up(home: Home, options: UpOptions, progress: Progress, signal: AbortSignal): Promise<UpResult> {
  const isRoot = process.getuid?.() === 0;
  if (options.restoring !== true) await refuseHalfRestored(home);
  const file = await readConfigFile(home.config);
  const changes: JsonObject = {
    ...(options.engine === undefined ? {} : { engine: options.engine }),
    ...(options.addresses === undefined || options.addresses.length === 0
      ? {}
      : { publicAddresses: [...options.addresses] }),
  };
  const config = readConfig({ ...file.value, ...changes }, home.config);
  const present = await readInstallation(home);
  // Before anything is written down: what is refused must not be asked for again by the next `up`.
  if (present !== undefined && present.engine !== config.engine) {
    throw new PoolhouseError(
      'InvalidConfiguration',
      `This installation was made with the engine '${present.engine}'; the engine cannot be changed to '${config.engine}'. Use another POOLHOUSE_HOME, or 'poolhouse down --destroy' first.`,
    );
  }
  refuseNewerStore(home.store, home.backups); // what a newer program has started runs on
  if (config.engine === 'incus' && !isRoot) {
    throw new PoolhouseError(
      'HostNotReady',
      `Instances need root: run this as root, or look around without instances: poolhouse up --engine sim (with POOLHOUSE_HOME set to a folder of yours)`,
    );
  }
  if (config.engine === 'incus') {
    const setup = engineSetup(await readDistribution(), await presentTools());
    await progress.step('Debian packages', (phase) => installPackages(setup.packages, phase, signal));
    if (setup.snaps.length > 0) await progress.step('snaps', (phase) => installSnaps(setup.snaps, phase, signal));
  }
  const { installation, run, engineSocket, engine } =
    config.engine === 'incus'
      ? await takePlace(home, config, progress, signal)
      : await takeSimulatedPlace(home, config, isRoot, signal);
  await changeConfigFile(home.config, file, changes);
  await ensureMasterKey({ home, run, installation, kind: config.masterKey, passphrase: options.passphrase });

  if (engine !== undefined) {
    await progress.step(`the image '${firstImage}'`, async (phase) => {
      const recipe = await loadRecipe(firstImage, [home.recipes, join(programFiles.root, 'images', 'recipes')]);
      const suite = recipe.suite ?? (await hostSuite()).suite;
      const fingerprint = fingerprintOf(recipe, suite);
      if (await engine.hasImage({ fingerprint }, signal)) return;
      const file = await buildImage({ recipe, fingerprint, suite, folder: home.images, onProgress: phase, signal });
      phase('taking it into the engine');
      await engine.prepareImage({ fingerprint }, file, signal);
    });
  }
  const supervision = await startProcesses(home, run, installation, engineSocket, config, progress);
  await progress.step('control and gateway serve', () => waitHealthy(home, run, supervision, signal));
  return { installation, run, url: `https://127.0.0.1:${installation.apiPort}` };
}

/**
 * What an init script does at the start of the machine: starts what the machine was prepared for. It installs nothing,
 * asks nobody (control waits where a passphrase is needed) and does not wait until they serve.
 */
export async function upAtBoot(home: Home, progress: Progress, signal: AbortSignal): Promise<void> {
  const installation = await readInstallation(home);
  if (installation === undefined) return;
  const { config } = await readConfigFile(home.config);
  const { run, engineSocket } = await takePlaceAgain(home, installation, progress, signal);
  await startProcesses(home, run, installation, engineSocket, config, progress);
}

async function startProcesses(
  home: Home,
  run: RuntimeFolder,
  installation: Installation,
  engineSocket: string | undefined,
  config: Config,
  progress: Progress,
): Promise<Supervision> {
  await mkdir(home.logs, { recursive: true, mode: 0o700 });
  const supervision = await createSupervision({ home, installation });
  await supervision.start(await describePrograms({ home, run, installation, engineSocket, config }), progress);
  return supervision;
}

async function waitHealthy(
  home: Home,
  run: RuntimeFolder,
  supervision: Supervision,
  signal: AbortSignal,
): Promise<void> {
  const deadline = Date.now() + startLimit;
  for (;;) {
    const text = await askControl(run.adminSocket, '/v1/status', 5_000).catch(() => undefined);
    const status = text === undefined ? undefined : (JSON.parse(text) as StatusDocument); // of our own process
    const { control, gateways } = await supervision.state();
    // Control may not have heard yet of those that have just begun.
    const serving = status?.gateways.flatMap(({ pid, phase }) => (phase === 'serving' ? [pid] : [])) ?? [];
    if (gateways.length > 0 && gateways.every(({ pid }) => pid !== undefined && serving.includes(pid))) return;
    // They are started again when they end: who fails again and again will not serve.
    const dead = control.failing ? 'control' : gateways.some(({ failing }) => failing) ? 'gateway' : undefined;
    if (dead !== undefined || Date.now() > deadline) {
      const which = dead ?? (status === undefined ? 'control' : 'gateway');
      const words = await lastWords(logFileOf(home, which));
      throw new PoolhouseError(
        'HostNotReady',
        `${which === 'control' ? 'Control' : 'The gateway'} ${dead === undefined ? `does not serve after ${startLimit / 1_000} s` : 'ended at its start'}. Its last words: ${words}\nMore: poolhouse logs ${which}`,
      );
    }
    await sleep(100, undefined, { signal });
  }
}

async function lastWords(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const line = text.trim().split('\n').at(-1) ?? '';
  try {
    const { msg } = JSON.parse(line) as { msg?: string };
    return msg ?? line.slice(0, 300);
  } catch {
    return line.slice(0, 300);
  }
}
