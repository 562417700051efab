/** Our two programs as an installation runs them: what `up` starts, and what `gateway restart` replaces gateways with. */
import type { Config } from '../core/config.ts';
import { guardedProgram } from '../core/guarded-program.ts';
import type { Home, RuntimeFolder } from '../core/home.ts';
import type { Installation } from '../core/installation.ts';
import { programFiles } from '../core/program-files.ts';
import { buildName, readBuild } from './build.ts';
import { systemFolders } from './find-program.ts';
import { runCommand } from './run-command.ts';
import type { Programs } from './supervision/supervision.ts';
import { accountOf } from './supervision/units.ts';
import { digestOf, gatewayVersion } from './upgrade.ts';

export interface ProgramParts {
  home: Home;
  run: RuntimeFolder;
  installation: Installation;
  /** Undefined where instances are simulated. */
  engineSocket: string | undefined;
  config: Config;
}

export async function describePrograms(parts: ProgramParts): Promise<Programs> {
  const { home, run, installation, engineSocket, config } = parts;
  const account = accountOf(installation.engine, process.getuid?.() === 0);
  // The same from whatever shell: another one would be another program.
  const env = { PATH: systemFolders.join(':'), LC_ALL: 'C.UTF-8', NODE_ENV: 'production' };
  const build = buildName(readBuild());
  const control = [
    programFiles.program('control/main'),
    '--home',
    home.folder,
    ...(engineSocket === undefined ? [] : ['--engine-socket', engineSocket]),
    ...(account === undefined ? [] : ['--group', (await runCommand('id', ['-gn', account])).stdout.trim()]),
  ];
  const gateway = [
    programFiles.program('gateway/main'),
    '--socket',
    run.linkSocket,
    '--state',
    run.gatewayState,
    '--grace',
    '2',
    ...(account === undefined ? [] : ['--user', account]),
  ];
  const { metricsPorts } = installation;
  return {
    control: {
      argv: guardedProgram(control, { fewRights: false }),
      told: ['--build', build],
      env: { ...env, NODE_COMPILE_CACHE: home.compiled },
      // Control reads its configuration when it starts: one that was started with another is started anew. Not for
      // the place of the master key: `rotate-key` changes it while control runs.
      version: digestOf([build, { ...config, masterKey: undefined }, installation]),
    },
    gateway: {
      argv: guardedProgram(gateway, { fewRights: account !== undefined }),
      told: [
        ...['--build', build],
        ...(metricsPorts === undefined ? [] : ['--metrics-port', String(metricsPorts.gateway)]),
      ],
      env,
      version: await gatewayVersion(programFiles),
    },
    gateways: config.gateways,
  };
}
