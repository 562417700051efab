/**
 * Supervision by our own supervisor, where there is no systemd or we are not root. Its file of programs says what is to
 * run; control keeps the supervisor itself. As root, on a machine that boots by init scripts, it is back after a reboot.
 */
import { rm } from 'node:fs/promises';
import { findProcess, stopProcess } from '../../core/processes.ts';
import type { RuntimeFolder } from '../../core/home.ts';
import { ensureSupervisor } from '../../control/keep-supervisor.ts';
import type { Progress } from '../progress.ts';
import { readLives, readPrograms, writePrograms } from '../supervisor.ts';
import { digestOf } from '../upgrade.ts';
import { bootPlaces, installBootScript, removeBootScript } from './boot-script.ts';
import { createOwnGateways } from './own-gateways.ts';
import { settleGateways } from './settle-gateways.ts';
import type { Program, ProgramName, Programs, ProgramState, Supervision, SupervisionParts } from './supervision.ts';
import { logFileOf } from './units.ts';

export interface OwnParts extends SupervisionParts {
  run: RuntimeFolder;
  isRoot: boolean;
}

const stopLimit = 25_000;
const markOf = ({ argv, env, version }: Program) => digestOf([argv, env, version]);

export function createOwnSupervision({ home, run, installation, isRoot }: OwnParts): Supervision {
  /** What a program is for the supervisor, but for its name and its pid file. */
  const supervised = (name: ProgramName, program: Program) => ({
    argv: [...program.argv, ...program.told],
    env: program.env,
    mark: markOf(program),
    logFile: logFileOf(home, name),
  });

  async function stop(until: 'start' | 'boot'): Promise<ProgramName[]> {
    if (isRoot && until === 'start') await removeBootScript(installation.id, bootPlaces);
    // First what says that anything is to run: control would start the supervisor again, and that one the others.
    await rm(run.programs, { force: true });
    await stopProcess(run.supervisorPid, stopLimit);
    const gateways = createOwnGateways(run, undefined, () => Promise.resolve());
    const hadGateways = (await gateways.endAll()) > 0;
    const hadOldOne = await stopProcess(run.oldGatewayPid, stopLimit);
    const hadControl = await stopProcess(run.controlPid, stopLimit);
    return [...(hadGateways || hadOldOne ? (['gateway'] as const) : []), ...(hadControl ? (['control'] as const) : [])];
  }

  async function superviseWith(env: NodeJS.ProcessEnv): Promise<void> {
    if ((await findProcess(run.supervisorPid)) !== undefined) return;
    await rm(run.lives, { force: true });
    await ensureSupervisor({ run, logFolder: home.logs, env });
  }

  async function settle({ control, gateway, gateways: count }: Programs, anew: boolean, progress: Progress) {
    const runs = createOwnGateways(run, supervised('gateway', gateway), () => superviseWith(control.env));
    await settleGateways({ runs, wanted: { mark: markOf(gateway), count, anew }, folder: run.gateway, progress });
  }

  return {
    kind: 'own',

    async start(programs, progress) {
      const { control } = programs;
      const found = await findProcess(run.controlPid);
      const gateways = createOwnGateways(run, undefined, () => Promise.resolve());
      const others = gateways.among((await readPrograms(run.programs)) ?? []);
      await writePrograms(run.programs, [
        { ...supervised('control', control), name: 'control', pidFile: run.controlPid },
        ...others,
      ]);
      if (found !== undefined && found.mark !== markOf(control)) {
        // It may be about to start one as it was. The next one reads the file as it is now.
        await stopProcess(run.supervisorPid, stopLimit);
        await progress.step('control ends, to begin again as it is now', () => stopProcess(run.controlPid, stopLimit));
      }
      if ((await findProcess(run.oldGatewayPid)) !== undefined)
        await progress.step('the gateway of an older release ends: it cannot be replaced while it serves', () =>
          stopProcess(run.oldGatewayPid, stopLimit),
        );
      await superviseWith(control.env);
      await settle(programs, false, progress);
      if (isRoot) await installBootScript(installation.id, home, bootPlaces);
    },

    replaceGateways: (programs, progress) => settle(programs, true, progress),

    stop,

    async remove() {
      await stop('start');
    },

    async state() {
      const lives = await readLives(run.lives);
      const failing = (name: string) => (lives[name]?.failures ?? 0) >= 2;
      const stateOf = async ({ name, pidFile }: { name: string; pidFile: string }): Promise<ProgramState> => ({
        pid: (await findProcess(pidFile))?.pid,
        failing: failing(name),
      });
      const gateways = createOwnGateways(run, undefined, () => Promise.resolve());
      const kept = gateways.among((await readPrograms(run.programs)) ?? []);
      return {
        control: await stateOf({ name: 'control', pidFile: run.controlPid }),
        gateways: await Promise.all(kept.toReversed().map(stateOf)),
      };
    },
  };
}
