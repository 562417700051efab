/**
 * Supervision by our own supervisor, where there is no systemd or we are not root. Its file of programs says what is to
 * run; control keeps the supervisor itself. As root, on a machine that boots by init scripts, it is back after a reboot.
 */
import { rm } from 'node:fs/promises';
import { findProcess, stopProcess } from '../../core/processes.ts';
import type { RuntimeFolder } from '../../core/home.ts';
import { ensureSupervisor } from '../../control/keep-supervisor.ts';
import { readLives, writePrograms } from '../supervisor.ts';
import { digestOf } from '../upgrade.ts';
import { bootPlaces, installBootScript, removeBootScript } from './boot-script.ts';
import type { Program, ProgramName, ProgramState, Supervision, SupervisionParts } from './supervision.ts';
import { logFileOf } from './units.ts';

export interface OwnParts extends SupervisionParts {
  run: RuntimeFolder;
  isRoot: boolean;
}

const names = ['control', 'gateway'] as const;
const stopLimit = 25_000;

export function createOwnSupervision({ home, run, installation, isRoot }: OwnParts): Supervision {
  const pidFiles = { control: run.controlPid, gateway: run.gatewayPid };

  async function stop(until: 'start' | 'boot'): Promise<ProgramName[]> {
    if (isRoot && until === 'start') await removeBootScript(installation.id, bootPlaces);
    // First what says that anything is to run: control would start the supervisor again, and that one the others.
    await rm(run.programs, { force: true });
    await stopProcess(run.supervisorPid, stopLimit);
    const stopped: ProgramName[] = [];
    for (const name of names.toReversed()) if (await stopProcess(pidFiles[name], stopLimit)) stopped.push(name);
    return stopped;
  }

  return {
    kind: 'own',

    async start(programs, progress) {
      const markOf = ({ argv, env, version }: Program) => digestOf([argv, env, version]);
      const changed: ProgramName[] = [];
      for (const name of names) {
        const found = await findProcess(pidFiles[name]);
        if (found !== undefined && found.mark !== markOf(programs[name])) changed.push(name);
      }
      await writePrograms(
        run.programs,
        names.map((name) => ({
          name,
          argv: [...programs[name].argv, ...programs[name].told],
          env: programs[name].env,
          mark: markOf(programs[name]),
          pidFile: pidFiles[name],
          logFile: logFileOf(home, name),
        })),
      );
      if (changed.length > 0) {
        // It may be about to start one as it was. The next one reads the file as it is now.
        await stopProcess(run.supervisorPid, stopLimit);
        for (const name of changed)
          await progress.step(`${name} ends, to begin again as it is now`, () =>
            stopProcess(pidFiles[name], stopLimit),
          );
      }
      if ((await findProcess(run.supervisorPid)) === undefined) {
        await rm(run.lives, { force: true });
        await ensureSupervisor({ run, logFolder: home.logs, env: programs.control.env });
      }
      if (isRoot) await installBootScript(installation.id, home, bootPlaces);
    },

    stop,

    async remove() {
      await stop('start');
    },

    async state() {
      const lives = await readLives(run.lives);
      const stateOf = async (name: ProgramName): Promise<ProgramState> => ({
        pid: (await findProcess(pidFiles[name]))?.pid,
        failing: (lives[name]?.failures ?? 0) >= 2,
      });
      return { control: await stateOf('control'), gateway: await stateOf('gateway') };
    },
  };
}
