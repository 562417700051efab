/**
 * Simulated instances: records that answer as instances would, without processes, addresses or disks. For tests and
 * dry runs: what decides about instances can be tried in milliseconds and without root.
 *
 * It promises what the contract promises, and no more than a real engine does: what none of them can do yet is refused
 * here too. Programs are not run: `exec` answers exit code 0 and says nothing. Instances use nothing unless `setUsage` says
 * so. Files that are written can be looked at with `filesOf`. With a state file, instances and shares outlive the process, as a daemon's do.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import { PoolhouseError } from '../../core/errors.ts';
import type { Clock } from '../../core/time.ts';
import type { Engine, EngineInstance, InstanceMetrics } from '../engine.ts';

export interface SimEngineOptions {
  clock: Clock;
  /** Default 256. */
  cpus?: number;
  /** Default 1 TiB. */
  memoryBytes?: number;
  /** Where instances and shares are kept. Without it they live as long as the engine. */
  stateFile?: string;
  /** How long making and starting an instance take, in the clock's milliseconds. Default: no time. */
  createMs?: number;
  startMs?: number;
  /** How long it takes until one that was frozen runs. Default: no time. */
  thawMs?: number;
}

/** The methods that can be told to fail. */
export type SimMethod = Exclude<keyof Engine, 'kind' | 'capabilities' | 'network'>;

export interface SimFile {
  content: string;
  mode: number;
  uid: number;
  gid: number;
}

export interface SimEngine extends Engine {
  readonly kind: 'sim';
  /** The next call of this method fails with this error, and changes nothing. Several are kept in order. */
  failNext(method: SimMethod, error: Error): void;
  /** The instance is gone, as when somebody removed it behind our back. */
  vanish(name: string): void;
  /** The instance is stopped, as when somebody shut it down from inside. */
  stopFromOutside(name: string): void;
  /** From now on `metrics` tells this of the instance; what is not named stays as it was. */
  setUsage(name: string, usage: Partial<Omit<InstanceMetrics, 'name'>>): void;
  /** What was written into an instance by this process, by path. */
  filesOf(name: string): ReadonlyMap<string, SimFile>;
}

const attachmentSchema = z.object({ account: z.string(), share: z.string(), folder: z.string(), path: z.string() });
const instanceSchema = z.object({
  name: z.string(),
  hostname: z.string(),
  power: z.enum(['running', 'stopped', 'frozen']),
  address: z.string(),
  labels: z.record(z.string(), z.string()),
  attachments: z.array(attachmentSchema),
  made: z.boolean().default(true),
  memoryBytes: z.number().default(0),
});
const folderSchema = z.object({ folder: z.string(), quotaBytes: z.number().optional() });
const snapshotSchema = z.object({ name: z.string(), createdAt: z.number() });
const shareSchema = z.object({
  account: z.string(),
  share: z.string(),
  quotaBytes: z.number(),
  folders: z.array(folderSchema).default([]),
  snapshots: z.array(snapshotSchema).default([]),
});
const stateSchema = z.object({ instances: z.array(instanceSchema), shares: z.array(shareSchema) });
type SimInstance = z.infer<typeof instanceSchema>;
type SimShare = z.infer<typeof shareSchema>;

const noUsage = {
  cpuSeconds: 0,
  memoryBytes: 0,
  networkInBytes: 0,
  networkOutBytes: 0,
  diskReadBytes: 0,
  diskWriteBytes: 0,
};

const shareKey = (account: string, share: string) => `${account}/${share}`;

export function createSimEngine(options: SimEngineOptions): SimEngine {
  const { clock, stateFile } = options;
  const before = stateFile === undefined ? { instances: [], shares: [] } : load(stateFile);
  const instances = new Map<string, SimInstance>(before.instances.map((instance) => [instance.name, instance]));
  const shares = new Map<string, SimShare>(before.shares.map((share) => [shareKey(share.account, share.share), share]));
  const files = new Map<string, Map<string, SimFile>>();
  const usages = new Map<string, Partial<InstanceMetrics>>();
  const failures = new Map<SimMethod, Error[]>();

  const save = () => {
    if (stateFile !== undefined) store(stateFile, { instances: [...instances.values()], shares: [...shares.values()] });
  };

  /** What every call begins with: an aborted signal and a planned failure end it before anything is changed. */
  function enter(method: SimMethod, signal: AbortSignal): void {
    signal.throwIfAborted();
    const error = failures.get(method)?.shift();
    if (error !== undefined) throw error;
  }

  function find(name: string): SimInstance {
    const instance = instances.get(name);
    if (instance === undefined) throw new PoolhouseError('InstanceNotFound', `The engine has no instance '${name}'.`);
    return instance;
  }

  function findShare(account: string, share: string): SimShare {
    const found = shares.get(shareKey(account, share));
    if (found === undefined)
      throw new PoolhouseError('ShareNotFound', `The account '${account}' has no share '${share}'.`);
    return found;
  }

  function remove(name: string): void {
    instances.delete(name);
    files.delete(name);
    usages.delete(name);
    save();
  }

  return {
    kind: 'sim',
    capabilities: () => ({
      real: false,
      freeze: true,
      shares: true,
      memoryBytes: options.memoryBytes ?? 2 ** 40,
      cpus: options.cpus ?? 256,
    }),
    network: () => ({ subnet: '10.255.0.0/16', gateway: '10.255.0.1' }),

    async list(signal) {
      enter('list', signal);
      return [...instances.values()].map(({ memoryBytes: _limit, ...instance }): EngineInstance =>
        structuredClone(instance),
      );
    },

    async create(spec, signal) {
      enter('create', signal);
      if (instances.has(spec.name)) return;
      if (options.createMs !== undefined) await clock.sleep(options.createMs, signal);
      if (instances.has(spec.name)) return; // made by another call meanwhile
      const { name, hostname, address, labels, memoryBytes } = spec;
      instances.set(name, {
        name,
        hostname,
        address,
        labels: { ...labels },
        power: 'stopped',
        attachments: [],
        made: true,
        memoryBytes,
      });
      save();
    },

    async setPower(name, power, signal) {
      enter('setPower', signal);
      const before = find(name).power;
      const starts = before === 'stopped' && power !== 'stopped';
      const thaws = before === 'frozen' && power === 'running';
      const takes = starts ? options.startMs : thaws ? options.thawMs : undefined;
      if (takes !== undefined) await clock.sleep(takes, signal);
      find(name).power = power;
      save();
    },

    async delete(name, signal) {
      enter('delete', signal);
      remove(name);
    },

    async exec(name, _argv, _options, signal) {
      enter('exec', signal);
      if (find(name).power === 'running') return { exitCode: 0, stdout: '', stderr: '' };
      throw new PoolhouseError('OperationNotAllowed', `'${name}' does not run: nothing can be run inside it.`, {
        retryable: true,
      });
    },

    async writeFile(name, file, signal) {
      enter('writeFile', signal);
      find(name);
      const written = files.get(name) ?? new Map<string, SimFile>();
      files.set(name, written);
      const { path, mode, uid, gid } = file;
      written.set(path, { content: Buffer.from(file.content).toString('utf8'), mode, uid, gid });
    },

    async ensureShare({ account, share, quotaBytes }, signal) {
      enter('ensureShare', signal);
      const { folders, snapshots } = shares.get(shareKey(account, share)) ?? { folders: [], snapshots: [] };
      shares.set(shareKey(account, share), { account, share, quotaBytes, folders, snapshots });
      save();
    },

    async listShares(signal) {
      enter('listShares', signal);
      return [...shares.values()].map(({ account, share, quotaBytes }) => ({
        ...{ account, share, quotaBytes, usedBytes: 0, snapshotBytes: 0 },
      }));
    },

    async ensureFolder({ account, share, folder, quotaBytes }, signal) {
      enter('ensureFolder', signal);
      const found = findShare(account, share);
      const before = found.folders.find((one) => one.folder === folder);
      const now = { folder, ...(quotaBytes === undefined ? {} : { quotaBytes }) };
      found.folders = [...found.folders.filter((one) => one !== before), now];
      save();
      return before === undefined ? 'made' : 'kept';
    },

    async listFolders(account, share, signal) {
      enter('listFolders', signal);
      return findShare(account, share).folders.map(({ folder, quotaBytes }) => ({
        ...{ folder, usedBytes: 0, ...(quotaBytes === undefined ? {} : { quotaBytes }) },
      }));
    },

    async snapshotShare(account, share, name, signal) {
      enter('snapshotShare', signal);
      const { snapshots } = findShare(account, share);
      if (!snapshots.some((one) => one.name === name)) snapshots.push({ name, createdAt: clock.now() });
      save();
    },

    async listSnapshots(account, share, signal) {
      enter('listSnapshots', signal);
      return structuredClone(findShare(account, share).snapshots);
    },

    async deleteSnapshot(account, share, name, signal) {
      enter('deleteSnapshot', signal);
      const found = findShare(account, share);
      found.snapshots = found.snapshots.filter((one) => one.name !== name);
      save();
    },

    async deleteShare(account, share, signal) {
      enter('deleteShare', signal);
      for (const instance of instances.values()) {
        if (!instance.attachments.some((one) => one.account === account && one.share === share)) continue;
        throw new PoolhouseError('Conflict', `The share '${share}' of '${account}' is still attached to an instance.`, {
          retryable: true,
        });
      }
      shares.delete(shareKey(account, share));
      save();
    },

    async attachShare(name, attachment, signal) {
      enter('attachShare', signal);
      const { account, share, folder, path } = attachment;
      findShare(account, share);
      const instance = find(name);
      const present = instance.attachments.find((one) => one.path === path);
      if (
        present !== undefined &&
        (present.account !== account || present.share !== share || present.folder !== folder)
      ) {
        throw new PoolhouseError('Conflict', `Another share is attached at '${path}' of '${name}'. Unmount it first.`);
      }
      if (present === undefined) instance.attachments.push({ account, share, folder, path });
      save();
    },

    async detachShare(name, path, signal) {
      enter('detachShare', signal);
      const instance = find(name);
      instance.attachments = instance.attachments.filter((one) => one.path !== path);
      save();
    },

    async metrics(signal) {
      enter('metrics', signal);
      return [...instances.values()]
        .filter(({ power }) => power === 'running')
        .map(({ name, memoryBytes }) => ({ ...noUsage, name, memoryLimitBytes: memoryBytes, ...usages.get(name) }));
    },

    async hasImage(_image, signal) {
      enter('hasImage', signal);
      return true;
    },

    async prepareImage(_image, _file, signal) {
      enter('prepareImage', signal);
    },

    async deleteImage(_image, signal) {
      enter('deleteImage', signal);
    },

    async prepare(signal) {
      enter('prepare', signal);
      if (stateFile !== undefined && !existsSync(stateFile)) save();
    },

    async destroy(signal) {
      enter('destroy', signal);
      instances.clear();
      shares.clear();
      files.clear();
      if (stateFile !== undefined) rmSync(stateFile, { force: true });
    },

    failNext(method, error) {
      failures.set(method, [...(failures.get(method) ?? []), error]);
    },

    vanish: remove,

    stopFromOutside(name) {
      find(name).power = 'stopped';
      save();
    },

    setUsage(name, usage) {
      find(name);
      usages.set(name, { ...usages.get(name), ...usage });
    },

    filesOf: (name) => files.get(name) ?? new Map<string, SimFile>(),
  };
}

function load(file: string): z.infer<typeof stateSchema> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return { instances: [], shares: [] };
    throw error;
  }
  try {
    return stateSchema.parse(JSON.parse(text));
  } catch (error) {
    throw new PoolhouseError(
      'HostNotReady',
      `${file} does not hold the simulated instances. Remove it to begin anew.`,
      {
        cause: error,
      },
    );
  }
}

/** Whole or not at all: a reader, or the next start after a crash, never sees a part. */
function store(file: string, state: z.infer<typeof stateSchema>): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(`${file}.new`, JSON.stringify(state, undefined, 1), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}
