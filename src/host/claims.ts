/**
 * What the installations of one machine have taken for themselves: the ports that control and gateway listen on for this
 * machine, and the block of loopback addresses. Each writes it into its project in the engine, which all of them see, also
 * while others are stopped, and which goes when the installation goes. (A port that nobody listens on at the moment may be a stopped neighbour's.)
 */
import { z } from 'zod';
import type { Installation } from '../core/installation.ts';
import { engineNames } from '../engines/incus/names.ts';
import { createRestClient } from '../engines/incus/rest-client.ts';

/** What is not free any more. */
export interface Taken {
  ports: ReadonlySet<number>;
  /** Address blocks, such as `127.77.5.0/24`. */
  blocks: ReadonlySet<string>;
}

export const nothingTaken: Taken = { ports: new Set(), blocks: new Set() };

/** Numbers, with commas between. */
const portsKey = 'user.poolhouse.ports';
const blockKey = 'user.poolhouse.address-block';
const projectSchema = z.object({
  name: z.string(),
  description: z.string(),
  config: z.record(z.string(), z.string()),
});

/** What others than this installation have claimed; without one, all of them. */
export async function claimsOfOthers(
  socketPath: string,
  installation: string | undefined,
  signal: AbortSignal,
): Promise<Taken> {
  const own = installation === undefined ? undefined : engineNames(installation).project;
  const client = createRestClient(socketPath);
  try {
    const projects = z.array(projectSchema).parse(await client.get('/1.0/projects?recursion=1', signal));
    const others = projects.filter(({ name }) => name !== own).map(({ config }) => config);
    return {
      ports: new Set(others.flatMap((config) => config[portsKey]?.split(',').map(Number) ?? [])),
      blocks: new Set(others.flatMap((config) => config[blockKey] ?? [])),
    };
  } finally {
    client.close();
  }
}

/** Claims for this installation, whose project is there. */
export async function claim(socketPath: string, installation: Installation, signal: AbortSignal): Promise<void> {
  const client = createRestClient(socketPath);
  try {
    const path = `/1.0/projects/${engineNames(installation.id).project}`;
    const { description, config } = projectSchema.parse(await client.get(path, signal));
    const { apiPort, metricsPorts = {}, filesPort, addressBlock } = installation;
    const claims = {
      [portsKey]: [apiPort, ...Object.values(metricsPorts), ...(filesPort === undefined ? [] : [filesPort])].join(','),
      [blockKey]: addressBlock,
    };
    if (Object.entries(claims).every(([key, value]) => config[key] === value)) return;
    // All of it: LXD 5.0 takes what a PATCH does not name for taken away, and the project would share others' images.
    await client.change('PUT', path, { description, config: { ...config, ...claims } }, signal);
  } finally {
    client.close();
  }
}
