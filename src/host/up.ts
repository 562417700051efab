/**
 * What `up` does to a machine, step by step. Each step looks first and does only what is missing, so a second run
 * changes nothing, and a run that was cut off is completed by the next.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readConfig, type Config } from '../core/config.ts';
import { PoolhouseError } from '../core/errors.ts';
import { guardedProgram } from '../core/guarded-program.ts';
import type { Home, RuntimeFolder } from '../core/home.ts';
import type { Installation } from '../core/installation.ts';
import type { JsonObject } from '../core/json.ts';
import { programFiles } from '../core/program-files.ts';
import { buildImage, hostSuite } from '../images/build-image.ts';
import { fingerprintOf, loadRecipe } from '../images/recipe.ts';
import { refuseNewerStore } from '../store/store.ts';
import { buildName, readBuild } from './build.ts';
import { changeConfigFile, readConfigFile } from './config-file.ts';
import { readInstallation } from './installations.ts';
import { askControl } from './local-api.ts';
import { ensureMasterKey, type AskPassphrase } from './master-key.ts';
import { engineSetup, installPackages, installSnaps, presentTools, readDistribution } from './packages.ts';
import { findProcess, startProcess, stopProcess } from './processes.ts';
import { readLives, writePrograms } from './supervisor.ts';
import type { Progress } from './progress.ts';
import { serviceUser } from './service-user.ts';
import { takePlace, takeSimulatedPlace } from './take-place.ts';
import { endOtherBuild } from './upgrade.ts';

export interface UpOptions {
  engine?: 'incus' | 'sim';
  addresses?: readonly string[];
  /** Where the master key comes from a passphrase. */
  passphrase: AskPassphrase;
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
  await startProcesses(home, run, installation, engineSocket, config, progress, signal);
  return { installation, run, url: `https://127.0.0.1:${installation.apiPort}` };
}

async function startProcesses(
  home: Home,
  run: RuntimeFolder,
  installation: Installation,
  engineSocket: string | undefined,
  config: Config,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const withUser = installation.engine === 'incus';
  const env = {
    PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin',
    LC_ALL: 'C.UTF-8',
    NODE_ENV: 'production',
  };
  const build = readBuild();
  await endOtherBuild(run, { ...build, root: programFiles.root }, progress);
  // Control reads its configuration when it starts: one that was started with another is started anew.
  const startedWith = join(run.folder, 'control.config');
  const digest = createHash('sha256')
    .update(JSON.stringify([config, installation]))
    .digest('hex');
  const before = await readFile(startedWith, 'utf8').catch(() => undefined);
  if (before !== undefined && before !== digest && (await findProcess(run.controlPid)) !== undefined) {
    await progress.step('control ends, to begin again with the changed configuration', () =>
      stopProcess(run.controlPid, 15_000),
    );
  }
  await writeFile(startedWith, digest, { mode: 0o600 });
  const control = [
    programFiles.program('control/main'),
    '--home',
    home.folder,
    ...(engineSocket === undefined ? [] : ['--engine-socket', engineSocket]),
    ...(withUser ? ['--group', serviceUser] : []),
    ...['--build', buildName(build)],
  ];
  const gateway = [
    programFiles.program('gateway/main'),
    '--socket',
    run.linkSocket,
    '--state',
    run.gatewayState,
    '--grace',
    '2',
    ...(withUser ? ['--user', serviceUser] : []),
    ...['--build', buildName(build)],
    ...(installation.metricsPorts === undefined ? [] : ['--metrics-port', String(installation.metricsPorts.gateway)]),
  ];
  const program = (name: 'control' | 'gateway', argv: string[], pidFile: string) => ({
    name,
    argv: guardedProgram(argv, { fewRights: withUser && name === 'gateway' }),
    env,
    pidFile,
    logFile: join(home.logs, `${name}.log`),
  });
  await mkdir(home.logs, { recursive: true, mode: 0o700 });
  await writePrograms(run.programs, [
    program('control', control, run.controlPid),
    program('gateway', gateway, run.gatewayPid),
  ]);
  if ((await findProcess(run.supervisorPid)) === undefined) {
    await rm(run.lives, { force: true });
    const supervisor = [programFiles.program('host/supervisor-main'), run.programs, run.lives];
    const argv = guardedProgram(supervisor, { fewRights: false });
    await startProcess(argv, { pidFile: run.supervisorPid, logFile: join(home.logs, 'supervisor.log') }, env);
  }
  await progress.step('control and gateway serve', () => waitHealthy(home, run, signal));
}

async function waitHealthy(home: Home, run: RuntimeFolder, signal: AbortSignal): Promise<void> {
  const deadline = Date.now() + startLimit;
  for (;;) {
    const status = await askControl(run.adminSocket, '/v1/status', 5_000).catch(() => undefined);
    const { gateway } =
      status === undefined ? { gateway: undefined } : (JSON.parse(status) as { gateway?: { healthy: boolean } });
    if (gateway?.healthy === true) return;
    // The supervisor starts them, and again when they end: who ended twice will not serve.
    const lives = await readLives(run.lives);
    const dead = (['control', 'gateway'] as const).find((name) => (lives[name]?.failures ?? 0) >= 2);
    if (dead !== undefined || Date.now() > deadline) {
      const which = dead ?? (status === undefined ? 'control' : 'gateway');
      const words = await lastWords(join(home.logs, `${which}.log`));
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
