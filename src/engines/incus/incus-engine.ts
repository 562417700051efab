/**
 * Instances as system containers of Incus or LXD (5.0 or later), over their common API.
 *
 * Everything lives in a project of the installation's own, on a bridge and two storage pools of its own. Here the parts
 * are put together: changes to one instance take turns, and what the daemon refuses becomes words.
 */
import { availableParallelism, totalmem } from 'node:os';
import { isDeepStrictEqual } from 'node:util';
import { PoolhouseError } from '../../core/errors.ts';
import type { Attachment, Engine, EngineInstance, EngineNetwork, InstanceMetrics } from '../engine.ts';
import { openControlFolder } from './control-folder.ts';
import { createInstance } from './create-instance.ts';
import { createDaemonInstances, isMade, powerOf, type DaemonInstance } from './daemon-instances.ts';
import { execInside } from './exec.ts';
import { parseMetrics } from './metrics.ts';
import { removeAllLogs, removeInstanceLogs } from './daemon-logs.ts';
import { deviceName, engineNames, hostnameKey, labelPrefix, seedName, seedPrefix } from './names.ts';
import { preparePlaces, removePlaces, type PlacesOptions } from './places.ts';
import { createRestClient, DaemonError, isMissing, unless } from './rest-client.ts';
import { createSeeds } from './seeds.ts';
import { attachmentsOf, createShareVolumes } from './storage.ts';
import { createTurns } from '../../core/turns.ts';
import { writeInstanceFile } from './write-file.ts';

export interface IncusEngineOptions extends PlacesOptions {
  socketPath: string;
}

export function createIncusEngine(options: IncusEngineOptions): Engine {
  const names = engineNames(options.installation);
  const { project } = names;
  const client = createRestClient(options.socketPath);
  const instances = createDaemonInstances(client, project);
  const seeds = createSeeds(client, instances, names);
  const volumes = createShareVolumes(client, names, instances);
  /** Instances share what is mounted for them: it is not taken away while another one is about to be shown it. */
  const folderTurns = createTurns();
  let network: EngineNetwork | undefined;

  /** Whether a path shows a mount inside a running instance. */
  async function isMounted(name: string, path: string, signal: AbortSignal): Promise<boolean> {
    const result = await execInside(
      client,
      project,
      name,
      ['cat', '/proc/self/mountinfo'],
      { keepBytes: 1_000_000, timeoutMs: 20_000 },
      signal,
    );
    const escaped = path.replace(/[\s\\]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`);
    return result.stdout.split('\n').some((line) => line.split(' ')[4] === escaped);
  }

  async function attach(name: string, attachment: Attachment, signal: AbortSignal): Promise<void> {
    const instance = await instances.read(name, signal);
    const wanted = await volumes.deviceFor(attachment, signal);
    const present = instance.devices[wanted.name];
    if (present !== undefined) {
      const before = attachmentsOf(instance.config).find(({ path }) => path === attachment.path);
      if (!isDeepStrictEqual(before, { ...attachment })) {
        throw new PoolhouseError(
          'Conflict',
          `Another share is attached at '${attachment.path}' of '${name}'. Unmount it first.`,
        );
      }
      const isSame = present['source'] === wanted.device['source'];
      const isSeen = async () =>
        powerOf(instance.status) !== 'running' || (await isMounted(name, attachment.path, signal));
      if (isSame && (await isSeen())) return;
      // It was unmounted inside: the device is configured, and shows nothing.
      await instances.withoutDevice(name, wanted.name, signal);
    }
    await instances.patch(
      name,
      { devices: { [wanted.name]: wanted.device }, config: { [wanted.key]: wanted.value } },
      signal,
    );
  }

  /** Folders that no instance is shown any more are not kept mounted. In turn with whoever is about to show one. */
  const sweepFolders = (signal: AbortSignal) =>
    folderTurns.take('folders', signal, async () => {
      const found = await instances.all(signal);
      const shown = found.flatMap(({ devices }) => Object.values(devices).flatMap(({ source }) => source ?? []));
      await volumes.mounts.unmountAllBut(new Set(shown), signal);
    });

  const engine: Engine = {
    kind: 'incus',
    capabilities: () => ({
      real: true,
      freeze: true,
      shares: true,
      memoryBytes: hostMemory(),
      cpus: availableParallelism(),
    }),
    network() {
      if (network === undefined)
        throw new PoolhouseError('HostNotReady', `The engine's network is not prepared. 'poolhouse up' does it.`);
      return network;
    },

    async list(signal) {
      const found = await instances.all(signal);
      return found.filter((instance) => !instance.name.startsWith(seedPrefix)).map(engineInstance);
    },

    async create(spec, signal) {
      if ((await seeds.state(spec.image.fingerprint, signal)) !== 'ready') {
        throw new PoolhouseError(
          'PlatformImageNotFound',
          `The image ${spec.image.fingerprint.slice(0, 16)} has not been prepared in the engine.`,
        );
      }
      await createInstance(client, instances, names, engine.network().gateway, spec, signal);
    },

    async setPower(name, power, signal) {
      const instance = await instances.read(name, signal);
      const now = powerOf(instance.status);
      if (now === power) return;
      if (now === 'stopped') await openControlFolder(instance);
      await instances.changing(name, signal, async () => {
        if (now === 'frozen') await instances.setState(name, 'unfreeze', signal);
        if (power === 'running' && now === 'stopped') await instances.setState(name, 'start', signal);
        if (power === 'stopped') await instances.setState(name, 'stop', signal);
        if (power === 'frozen') {
          if (now === 'stopped') await instances.setState(name, 'start', signal);
          await instances.setState(name, 'freeze', signal);
        }
      });
    },

    async delete(name, signal) {
      await instances.remove(name, signal);
      await sweepFolders(signal);
      await removeInstanceLogs(client.socketPath, names, name);
    },

    async exec(name, argv, execOptions, signal) {
      try {
        return await execInside(client, project, name, argv, execOptions, signal);
      } catch (error) {
        if (error instanceof DaemonError && isMissing(error) && /instance/i.test(error.message))
          throw new PoolhouseError('InstanceNotFound', `The engine has no instance '${name}'.`, { cause: error });
        if (error instanceof DaemonError && /not running|is frozen/i.test(error.message))
          throw new PoolhouseError('OperationNotAllowed', `'${name}' does not run: nothing can be run inside it.`, {
            cause: error,
            retryable: true,
          });
        throw error;
      }
    },

    writeFile: (name, file, signal) => writeInstanceFile(client, instances, project, name, file, signal),

    ensureShare: (spec, signal) => volumes.ensure(spec, signal),
    listShares: (signal) => volumes.list(signal),
    deleteShare: (account, share, signal) => volumes.remove(account, share, signal),
    ensureFolder: async (spec, signal) =>
      volumes.rooms.ensureFolder(await volumes.volumeOf(spec.account, spec.share, signal), spec, signal),
    listFolders: async (account, share, signal) =>
      volumes.rooms.listFolders(await volumes.volumeOf(account, share, signal), signal),
    snapshotShare: async (account, share, name, signal) =>
      volumes.rooms.snapshot(await volumes.volumeOf(account, share, signal), name, signal),
    listSnapshots: async (account, share, signal) =>
      volumes.rooms.listSnapshots(await volumes.volumeOf(account, share, signal), signal),
    deleteSnapshot: async (account, share, name, signal) =>
      volumes.rooms.deleteSnapshot(await volumes.volumeOf(account, share, signal), name, signal),

    attachShare: (name, attachment, signal) =>
      attachment.folder === ''
        ? attach(name, attachment, signal)
        : folderTurns.take('folders', signal, () => attach(name, attachment, signal)),

    async detachShare(name, path, signal) {
      const before = (await instances.find(name, signal))?.devices[deviceName(path)]?.['source'];
      await instances.withoutDevice(name, deviceName(path), signal);
      if (before?.startsWith(`${names.folders}/`) === true) await sweepFolders(signal);
    },

    async metrics(signal): Promise<InstanceMetrics[]> {
      return parseMetrics(await client.text('/1.0/metrics', signal), project).filter(
        (row) => !row.name.startsWith(seedPrefix),
      );
    },

    hasImage: async ({ fingerprint }, signal) => (await seeds.state(fingerprint, signal)) === 'ready',
    prepareImage: ({ fingerprint }, file, signal) => seeds.prepare(fingerprint, file, signal),
    deleteImage: ({ fingerprint }, signal) => seeds.remove(fingerprint, signal),

    async prepare(signal) {
      network = await preparePlaces(client, names, options, signal);
      await volumes.prepare(signal);
      await sweepFolders(signal);
    },

    async destroy(signal) {
      for (const { name } of await instances.all(signal)) await instances.remove(name, signal);
      await volumes.mounts.remove(signal);
      for (const { account, share } of (await unless(isMissing, () => volumes.list(signal))) ?? [])
        await volumes.remove(account, share, signal);
      await removePlaces(client, names, signal);
      await removeAllLogs(client.socketPath, names);
      network = undefined;
    },
  };
  return inWords(inTurns(engine));
}

function engineInstance(instance: DaemonInstance): EngineInstance {
  const { host_name: hostName, hwaddr } = instance.devices['eth0'] ?? {};
  return {
    ...(hostName === undefined || hwaddr === undefined ? {} : { link: { interface: hostName, mac: hwaddr } }),
    name: instance.name,
    hostname: instance.config[hostnameKey] ?? instance.name,
    power: powerOf(instance.status),
    address: instance.devices['eth0']?.['ipv4.address'] ?? '',
    labels: Object.fromEntries(
      Object.entries(instance.config).flatMap(([key, value]) =>
        key.startsWith(labelPrefix) ? [[key.slice(labelPrefix.length), value]] : [],
      ),
    ),
    attachments: attachmentsOf(instance.config),
    made: isMade(instance),
  };
}

/** Changes to one instance, and to one image, happen one after the other. */
function inTurns(engine: Engine): Engine {
  const turns = createTurns();
  return {
    ...engine,
    create: (spec, signal) => turns.take(spec.name, signal, () => engine.create(spec, signal)),
    setPower: (name, power, signal) => turns.take(name, signal, () => engine.setPower(name, power, signal)),
    delete: (name, signal) => turns.take(name, signal, () => engine.delete(name, signal)),
    attachShare: (name, attachment, signal) =>
      turns.take(name, signal, () => engine.attachShare(name, attachment, signal)),
    detachShare: (name, path, signal) => turns.take(name, signal, () => engine.detachShare(name, path, signal)),
    prepareImage: (image, file, signal) =>
      turns.take(seedName(image.fingerprint), signal, () => engine.prepareImage(image, file, signal)),
    deleteImage: (image, signal) =>
      turns.take(seedName(image.fingerprint), signal, () => engine.deleteImage(image, signal)),
  };
}

/** What the daemon refuses for a reason that nobody foresaw is told in its own words: an operator can act on them. */
function inWords(engine: Engine): Engine {
  const told =
    <A extends unknown[], T>(what: string, call: (...args: A) => Promise<T>) =>
    async (...args: A): Promise<T> => {
      try {
        return await call(...args);
      } catch (error) {
        if (!(error instanceof DaemonError)) throw error;
        const subject = typeof args[0] === 'string' ? ` '${args[0]}'` : '';
        throw new PoolhouseError('EngineFailed', `The engine refused to ${what}${subject}: ${error.message}`, {
          cause: error,
          retryable: true,
        });
      }
    };
  return {
    ...engine,
    list: told('list the instances', (...args: Parameters<Engine['list']>) => engine.list(...args)),
    create: (spec, signal) => told(`make '${spec.name}'`, () => engine.create(spec, signal))(),
    setPower: (name, power, signal) => told(`make '${name}' ${power}`, () => engine.setPower(name, power, signal))(),
    delete: told('delete', (...args: Parameters<Engine['delete']>) => engine.delete(...args)),
    exec: told('run a program in', (...args: Parameters<Engine['exec']>) => engine.exec(...args)),
    writeFile: told('write a file into', (...args: Parameters<Engine['writeFile']>) => engine.writeFile(...args)),
    ensureShare: (share, signal) =>
      told(`keep the share '${share.account}/${share.share}'`, () => engine.ensureShare(share, signal))(),
    listShares: told('list the shares', (...args: Parameters<Engine['listShares']>) => engine.listShares(...args)),
    ensureFolder: (spec, signal) =>
      told(`keep the folder '${spec.folder}' of '${spec.share}'`, () => engine.ensureFolder(spec, signal))(),
    listFolders: told('list the folders of', (...args: Parameters<Engine['listFolders']>) =>
      engine.listFolders(...args),
    ),
    snapshotShare: told('keep a snapshot of a share of', (...args: Parameters<Engine['snapshotShare']>) =>
      engine.snapshotShare(...args),
    ),
    listSnapshots: told('list the snapshots of a share of', (...args: Parameters<Engine['listSnapshots']>) =>
      engine.listSnapshots(...args),
    ),
    deleteSnapshot: told('delete a snapshot of a share of', (...args: Parameters<Engine['deleteSnapshot']>) =>
      engine.deleteSnapshot(...args),
    ),
    deleteShare: told('delete a share of', (...args: Parameters<Engine['deleteShare']>) => engine.deleteShare(...args)),
    attachShare: told('attach a share to', (...args: Parameters<Engine['attachShare']>) => engine.attachShare(...args)),
    detachShare: told('detach a share from', (...args: Parameters<Engine['detachShare']>) =>
      engine.detachShare(...args),
    ),
    metrics: told('tell its metrics', (...args: Parameters<Engine['metrics']>) => engine.metrics(...args)),
    hasImage: (image, signal) => told('look for an image', () => engine.hasImage(image, signal))(),
    prepareImage: (image, file, signal) => told('take in an image', () => engine.prepareImage(image, file, signal))(),
    deleteImage: (image, signal) => told('delete an image', () => engine.deleteImage(image, signal))(),
    prepare: told('prepare project, network and storage', (...args: Parameters<Engine['prepare']>) =>
      engine.prepare(...args),
    ),
    destroy: told('remove what is ours', (...args: Parameters<Engine['destroy']>) => engine.destroy(...args)),
  };
}

/** Memory as the machine was sold: the kernel keeps a few per cent of it for itself. */
function hostMemory(): number {
  const total = totalmem();
  const whole = Math.ceil(total / 2 ** 30) * 2 ** 30;
  return whole - total <= 0.03 * whole ? whole : total;
}
