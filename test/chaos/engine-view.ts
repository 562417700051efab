/** What the engine's daemon says of an installation, asked of its API directly: what checks a program does not use it. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { engineNames, labelPrefix, seedPrefix } from '../../src/engines/incus/names.ts';
import { createRestClient, type RestClient } from '../../src/engines/incus/rest-client.ts';
import type { EngineFacts } from './invariants.ts';

const sockets = ['/var/lib/incus/unix.socket', '/var/lib/lxd/unix.socket', '/var/snap/lxd/common/lxd/unix.socket'];

const note = '/run/poolhouse-engine.pid';
const noteSchema = z.object({ daemon: z.object({ pid: z.number() }).optional() });
const instancesSchema = z.array(
  z.object({
    name: z.string(),
    status: z.string(),
    config: z.record(z.string(), z.string()),
    devices: z.record(z.string(), z.record(z.string(), z.string())),
  }),
);
const volumesSchema = z.array(
  z.object({ name: z.string(), type: z.string(), config: z.record(z.string(), z.string()) }),
);

/** Where the engine's daemon listens; undefined where there is none. */
export const engineSocket = () => sockets.find((one) => existsSync(one));

export interface EngineView {
  client: RestClient;
  /** With `&…` where a path has a query already. */
  get(path: string): Promise<unknown>;
  facts(): Promise<EngineFacts>;
  /** Names of instances, with the power that each has. */
  instances(): Promise<{ name: string; power: string }[]>;
  /** An operation on one of its instances is under way. */
  isBusy(): Promise<boolean>;
  /** The process that is the first one inside; undefined where it does not run. */
  initOf(name: string): Promise<number | undefined>;
  change: (method: 'POST' | 'PUT' | 'PATCH' | 'DELETE', path: string, body?: unknown) => Promise<unknown>;
  /** What the storage holds of instances, as folders on the host: also what the daemon has forgotten. */
  foldersOnHost(): string[];
  project: string;
}

export function viewEngine(installation: string): EngineView {
  const names = engineNames(installation);
  const { project } = names;
  const socket = engineSocket() ?? '';
  const client = createRestClient(socket);
  const limit = () => AbortSignal.timeout(60_000);
  const get = (path: string) => client.get(path, limit());
  const list = async () => instancesSchema.parse(await get(`/1.0/instances?recursion=1&project=${project}`));
  const powerOf = (status: string) =>
    status === 'Running' ? 'running' : status === 'Frozen' ? 'frozen' : status === 'Stopped' ? 'stopped' : status;

  return {
    client,
    project,
    get,
    change: (method, path, body) => client.change(method, path, body, limit()),
    instances: async () =>
      (await list())
        .filter((one) => !one.name.startsWith(seedPrefix))
        .map((one) => ({ name: one.name, power: powerOf(one.status) })),
    isBusy: async () => {
      const operations = z.record(z.string(), z.unknown()).parse(await get(`/1.0/operations?project=${project}`));
      return operations['running'] !== undefined;
    },
    async facts() {
      const instances = (await list())
        .filter((one) => !one.name.startsWith(seedPrefix))
        .map((one) => ({
          name: one.name,
          address: one.devices['eth0']?.['ipv4.address'] ?? '',
          power: powerOf(one.status),
          labels: Object.fromEntries(
            Object.entries(one.config).flatMap(([key, value]) =>
              key.startsWith(labelPrefix) ? [[key.slice(labelPrefix.length), value]] : [],
            ),
          ),
        }));
      const volumes = volumesSchema.parse(
        await get(`/1.0/storage-pools/${names.sharePool}/volumes/custom?recursion=1&project=${project}`),
      );
      return {
        instances,
        shares: volumes
          .filter((volume) => volume.type === 'custom')
          .map(({ name, config }) => ({
            account: config['user.poolhouse.account'] ?? name,
            share: config['user.poolhouse.share'] ?? '',
          })),
      };
    },
    async initOf(name) {
      const state = z.object({ pid: z.number() }).parse(await get(`/1.0/instances/${name}/state?project=${project}`));
      return state.pid > 1 ? state.pid : undefined;
    },
    foldersOnHost() {
      const folder = `${socket.replace(/\/unix\.socket$/, '')}/storage-pools/${names.instancePool}/containers`;
      if (!existsSync(folder)) return [];
      return readdirSync(folder)
        .map((name) => name.replace(`${project}_`, ''))
        .filter((name) => !name.startsWith(seedPrefix));
    },
  };
}

export interface HostProcess {
  pid: number;
  parent: number;
  commandLine: string;
}

/** All processes of the host that run. */
export function hostProcesses(): HostProcess[] {
  return readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return [];
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
      const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (state === 'Z') return [];
      const commandLine = readFileSync(`/proc/${entry}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      return [{ pid: Number(entry), parent: Number(parent), commandLine }];
    } catch {
      return []; // it has ended meanwhile
    }
  });
}

/** The engine's own daemon: the one that `up` started, else the one that is found; undefined where there is none. */
export function daemonProcess(): HostProcess | undefined {
  const all = hostProcesses();
  const noted = existsSync(note)
    ? noteSchema.safeParse(JSON.parse(readFileSync(note, 'utf8'))).data?.daemon?.pid
    : undefined;
  return (
    all.find(({ pid }) => pid === noted) ??
    all.find(({ commandLine }) => /^(\S*\/)?(lxd|incusd) --group /.test(commandLine))
  );
}
