/** Gateways that our own supervisor runs: each is a program of its file and has a pid file, both named by the serial. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { RuntimeFolder } from '../../core/home.ts';
import { findProcess, stopProcess } from '../../core/processes.ts';
import { gatewaySocketName } from '../../link/gateway-words.ts';
import { readPrograms, writePrograms, type SupervisedProgram } from '../supervisor.ts';
import type { GatewayRun } from './plan-gateways.ts';
import type { GatewayRuns } from './settle-gateways.ts';

const nameOf = (serial: number) => `gateway-${String(serial)}`;
const pidFileOf = (run: RuntimeFolder, serial: number) => join(run.folder, `${nameOf(serial)}.pid`);
const serialIn = (name: string) => /^gateway-(\d+)(?:\.pid)?$/.exec(name)?.[1];
const stopLimit = 25_000;

export interface OwnGateways extends GatewayRuns {
  /** Programs of gateways among these. */
  among(programs: readonly SupervisedProgram[]): SupervisedProgram[];
  /** Ends all that there are; how many ran. */
  endAll(): Promise<number>;
}

/**
 * @param program what a gateway is begun with now; its name and its pid file come with the serial
 * @param supervise has the supervisor run
 */
export function createOwnGateways(
  run: RuntimeFolder,
  program: Omit<SupervisedProgram, 'name' | 'pidFile'> | undefined,
  supervise: () => Promise<void>,
): OwnGateways {
  const among = (programs: readonly SupervisedProgram[]) => programs.filter(({ name }) => serialIn(name) !== undefined);

  async function list(): Promise<GatewayRun[]> {
    const kept = new Map(among((await readPrograms(run.programs)) ?? []).map((one) => [one.name, one]));
    const names = new Set([...kept.keys(), ...(await readdir(run.folder).catch(() => []))]);
    const serials = new Set([...names].flatMap((name) => serialIn(name) ?? []).map(Number));
    return Promise.all(
      [...serials].map(async (serial): Promise<GatewayRun> => {
        const found = await findProcess(pidFileOf(run, serial));
        const kind = kept.get(nameOf(serial));
        return { serial, kept: kind !== undefined, pid: found?.pid, mark: found?.mark ?? kind?.mark };
      }),
    );
  }

  async function change(to: (programs: SupervisedProgram[]) => SupervisedProgram[]): Promise<void> {
    const programs = await readPrograms(run.programs);
    if (programs !== undefined) await writePrograms(run.programs, to(programs));
  }

  const release = (serials: readonly number[]) =>
    change((programs) => programs.filter(({ name }) => !serials.map(nameOf).includes(name)));

  async function stop(serial: number): Promise<boolean> {
    const ran = await stopProcess(pidFileOf(run, serial), stopLimit);
    await rm(join(run.gateway, gatewaySocketName(serial)), { force: true });
    for (const name of await readdir(run.gateway).catch(() => []))
      if (name.endsWith(`.json.${String(serial)}`)) await rm(join(run.gateway, name), { force: true });
    return ran;
  }

  return {
    among,
    list,
    async keep(serials) {
      if (program !== undefined)
        await change((programs) => [
          ...programs.filter(({ name }) => !serials.map(nameOf).includes(name)),
          // Those that run already too: what they are told is what the next run begins with.
          ...serials
            .toSorted((a, b) => a - b)
            .map((serial) => ({
              ...program,
              argv: [...program.argv, '--serial', String(serial)],
              name: nameOf(serial),
              pidFile: pidFileOf(run, serial),
            })),
        ]);
      await supervise();
    },
    release,
    async end(serials) {
      if (serials.length === 0) return;
      await release(serials);
      await Promise.all(serials.map(stop));
    },
    async endAll() {
      const runs = await list();
      return (await Promise.all(runs.map(({ serial }) => stop(serial)))).filter((ran) => ran).length;
    },
  };
}
