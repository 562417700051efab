/** An installation is on a machine once: its names in the engine, its units and its folder of sockets bear its id. */
import { access, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { PoolhouseError } from '../../core/errors.ts';
import { runtimeFolderOf, type Home } from '../../core/home.ts';
import { engineNames } from '../../engines/incus/names.ts';
import { createRestClient } from '../../engines/incus/rest-client.ts';
import { daemonPlaces } from '../engine-places.ts';
import { lockFiles } from '../lock.ts';
import { unitName } from '../supervision/units.ts';

/** `Conflict` says where the installation of a backup is found on this machine already. */
export async function refusePresent(home: Home, installation: string, signal: AbortSignal): Promise<void> {
  const isRoot = process.getuid?.() === 0;
  const places = [
    runtimeFolderOf(home, installation, isRoot).folder,
    ...(isRoot ? [join('/etc/systemd/system', unitName(installation, 'control'))] : []),
  ];
  for (const place of places) if (await exists(place)) throw present(installation, place);
  const { project } = engineNames(installation);
  for (const { socketPath } of isRoot ? daemonPlaces.candidates : []) {
    if ((await projectsOf(socketPath, signal)).includes(project))
      throw present(installation, `the project ${project} in ${socketPath}`);
  }
}

/** `Conflict` where something lies in the home already. Image files may: they are named after what they hold, and save their building. */
export async function refuseUsedHome(home: Home): Promise<void> {
  const names = await readdir(home.folder).catch(() => [] as string[]);
  const mayBe: readonly string[] = [...lockFiles, basename(home.images), 'lost+found'];
  const used = names.filter((name) => !mayBe.includes(name));
  if (used.length === 0) return;
  throw new PoolhouseError(
    'Conflict',
    `${home.folder} is in use: it holds ${used.slice(0, 3).join(', ')}${used.length > 3 ? ' and more' : ''}. A backup is restored into a home that is empty or not there. Set POOLHOUSE_HOME to another folder, or remove what is there: poolhouse down --destroy`,
  );
}

function present(installation: string, where: string): PoolhouseError {
  return new PoolhouseError(
    'Conflict',
    `The installation ${installation} of this backup is on this machine already (${where}). Two of one id cannot be on one machine: remove it first, with its POOLHOUSE_HOME set: poolhouse down --destroy`,
  );
}

/** None where no daemon answers: then nothing of ours runs there either. */
async function projectsOf(socketPath: string, signal: AbortSignal): Promise<string[]> {
  if (!(await exists(socketPath))) return [];
  const client = createRestClient(socketPath);
  try {
    const projects = await client.get(
      '/1.0/projects?recursion=1',
      AbortSignal.any([signal, AbortSignal.timeout(30_000)]),
    );
    return z
      .array(z.object({ name: z.string() }))
      .parse(projects)
      .map(({ name }) => name);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof PoolhouseError && error.code === 'EngineUnavailable') return [];
    throw error;
  } finally {
    client.close();
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
