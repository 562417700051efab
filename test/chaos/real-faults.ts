/** What may befall an installation on a real machine, each as the world does it: without asking, and all at once. */
import { rm } from 'node:fs/promises';
import { killHard, run, running, until } from '../e2e/installation.ts';
import { daemonProcess, hostProcesses, type EngineView } from './engine-view.ts';
import type { InstallationPlaces } from './host-leftovers.ts';
import type { Random } from './random.ts';

export const faultNames = [
  'control',
  'gateway',
  'control and gateway',
  'supervisor',
  'fetcher',
  'firewall',
  'init',
  'stopped behind our back',
  'frozen behind our back',
  'deleted behind our back',
  'daemon',
  'reboot',
] as const;
export type FaultName = (typeof faultNames)[number];

/** Those that everybody on the machine feels, because they end the engine's daemon. */
export const daemonFaults: readonly FaultName[] = ['daemon', 'reboot'];

export interface Fault {
  /** For the story: what it met. */
  met: string;
  /** `poolhouse up` is what brings it back: on a machine with systemd, units do it. */
  needsUp: boolean;
}

export async function strike(
  fault: FaultName,
  places: InstallationPlaces,
  engine: EngineView,
  random: Random,
): Promise<Fault> {
  switch (fault) {
    case 'control':
    case 'gateway':
      return { met: end(programs(places, `${fault}/main`)), needsUp: false };
    case 'control and gateway':
      return { met: end([...programs(places, 'control/main'), ...programs(places, 'gateway/main')]), needsUp: false };
    case 'supervisor':
      return { met: end(programs(places, 'supervisor-main')), needsUp: false };
    case 'fetcher': {
      const parents = new Set(programs(places, 'control/main'));
      const helpers = hostProcesses().filter(
        (one) => parents.has(one.parent) && one.commandLine.includes('fetch-main'),
      );
      return { met: end(helpers.map((one) => one.pid)), needsUp: false };
    }
    case 'firewall':
      await run('nft', ['delete', 'table', 'inet', `poolhouse_${places.id}`]);
      return { met: 'the table', needsUp: false };
    case 'init':
    case 'stopped behind our back':
    case 'frozen behind our back':
    case 'deleted behind our back':
      return { met: await strikeInstance(fault, engine, random), needsUp: false };
    case 'daemon': {
      const daemon = daemonProcess();
      return { met: end(daemon === undefined ? [] : [daemon.pid]), needsUp: false };
    }
    case 'reboot':
      return { met: await reboot(places, engine), needsUp: true };
  }
}

async function strikeInstance(fault: FaultName, engine: EngineView, random: Random): Promise<string> {
  const all = await engine.instances().catch(() => []);
  const [first, ...others] = all;
  if (first === undefined) return 'nothing';
  const { name } = random.pick([first, ...others]);
  const path = `/1.0/instances/${name}`;
  const state = (action: string) =>
    engine.change('PUT', `${path}/state?project=${engine.project}`, { action, force: true, timeout: 20 });
  try {
    if (fault === 'init') {
      const init = await engine.initOf(name);
      if (init === undefined) return `${name}, which does not run`;
      killHard(init);
    } else {
      if (fault !== 'frozen behind our back') await state('stop').catch(() => undefined);
      if (fault === 'frozen behind our back') await state('freeze');
      if (fault === 'deleted behind our back') await engine.change('DELETE', `${path}?project=${engine.project}`);
    }
    return name;
  } catch (error) {
    return `${name}, in vain: ${String(error)}`; // it goes, or it is changed just now
  }
}

/**
 * The machine's power fails and comes back: nothing of ours runs, the kernel has forgotten rules, bridge and mounts,
 * `/run` is empty. Of others only the engine's daemon ends: their instances are none of ours to end.
 */
async function reboot(places: InstallationPlaces, engine: EngineView): Promise<string> {
  const daemon = daemonProcess();
  const inits = await Promise.all(
    (await engine.instances().catch(() => [])).map(({ name }) => engine.initOf(name).catch(() => undefined)),
  );
  const mine = () =>
    hostProcesses()
      .filter(
        ({ pid, commandLine }) =>
          pid !== process.pid &&
          (commandLine.includes(`${places.home} `) ||
            commandLine.includes(`${places.runFolder}/`) ||
            commandLine.includes(`poolhouse-${places.id}`) ||
            commandLine.includes(`ph${places.id}`)),
      )
      .map((one) => one.pid);
  end([...programs(places, 'supervisor-main'), ...(daemon === undefined ? [] : [daemon.pid])]);
  const met = [...mine(), ...inits.flatMap((pid) => pid ?? [])];
  end(met);
  await until('everything of ours has ended', () => {
    const rest = running([...met, ...mine()]);
    end(rest);
    return Promise.resolve(rest.length === 0 ? true : undefined);
  });
  await run('nft', ['delete', 'table', 'inet', `poolhouse_${places.id}`]);
  await run('ip', ['link', 'delete', `ph${places.id}`]);
  for (const pool of [`poolhouse-${places.id}`, `poolhouse-${places.id}-shares`])
    await run('umount', [`${engine.client.socketPath.replace(/\/unix\.socket$/, '')}/storage-pools/${pool}`]);
  await rm(places.runFolder, { recursive: true, force: true });
  return `${met.length} processes`;
}

/**
 * The same, where others use the engine's daemon: it stays, with its mounts and the network, and all else of ours ends at once, every
 * process of every instance too.
 */
export async function endAllButDaemon(places: InstallationPlaces, engine: EngineView): Promise<void> {
  const names = (await engine.instances()).map(({ name }) => name);
  const inits = await Promise.all(names.map((name) => engine.initOf(name)));
  const own = ['supervisor-main', 'control/main', 'gateway/main'].flatMap((what) => programs(places, what));
  const met = [...own, ...inits.flatMap((pid) => pid ?? [])];
  end(met);
  await until('all of ours has ended', () => Promise.resolve(running(met).length === 0 ? true : undefined));
  await run('nft', ['delete', 'table', 'inet', `poolhouse_${places.id}`]);
}

function programs(places: InstallationPlaces, what: string): number[] {
  return hostProcesses()
    .filter(
      ({ commandLine }) =>
        commandLine.includes(what) &&
        (commandLine.includes(`${places.home} `) || commandLine.includes(`${places.runFolder}/`)),
    )
    .map((one) => one.pid);
}

/** Those that live still. */
function end(pids: readonly number[]): string {
  const met = running(pids);
  for (const pid of met) {
    try {
      killHard(pid);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // it ended meanwhile
    }
  }
  return met.length === 0 ? 'nothing' : `${met.length} of them`;
}
