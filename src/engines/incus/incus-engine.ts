/**
 * Instances as system containers of Incus or LXD (5.0 or later), over their common API.
 *
 * Everything lives in a project of the installation's own, on a bridge and two storage pools of its own. New instances
 * are copies of a *seed*: a stopped instance whose files have their owners mapped already, which is most of the time
 * that a container made from an image takes.
 */
import { createReadStream } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { z } from 'zod';
import { PoolhouseError } from '../../core/errors.ts';
import type {
  Attachment,
  Engine,
  EngineInstance,
  EngineNetwork,
  InstanceMetrics,
  InstanceSpec,
  Power,
} from '../engine.ts';
import { execInside } from './exec.ts';
import { parseMetrics } from './metrics.ts';
import {
  attachmentPrefix,
  deviceName,
  engineNames,
  hostnameKey,
  labelPrefix,
  nameserverKey,
  readyKey,
  seedName,
  seedPrefix,
} from './names.ts';
import { DaemonError, createRestClient, isBeingCreated, isMissing, isPresent, unless } from './rest-client.ts';
import { attachmentsOf, createShareVolumes } from './storage.ts';
import { chooseSubnet } from './subnet.ts';
import { createTurns } from './turns.ts';

export interface IncusEngineOptions {
  /** 8 hexadecimal digits: part of every name. */
  installation: string;
  socketPath: string;
  /** CIDR from which the installation's network is taken. */
  addressRange: string;
  /** Size of the instances' and of the shares' storage, each a sparse file. */
  poolBytes: number;
}

const instanceSchema = z.object({
  name: z.string(),
  status: z.string(),
  config: z.record(z.string(), z.string()),
  devices: z.record(z.string(), z.record(z.string(), z.string())),
});
const networkSchema = z.object({ config: z.record(z.string(), z.string()) });

const imageLimit = 600_000;
const stopLimitSeconds = 15;
const controlSocketInside = '/var/lib/poolhouse/control.sock';

export function createIncusEngine(options: IncusEngineOptions): Engine {
  const names = engineNames(options.installation);
  const { project } = names;
  const client = createRestClient(options.socketPath);
  const volumes = createShareVolumes(client, names);
  const turns = createTurns();
  const instances = '/1.0/instances';
  const own = (path: string) => `${path}${path.includes('?') ? '&' : '?'}project=${project}`;
  let network: EngineNetwork | undefined;

  async function read(name: string, signal: AbortSignal) {
    const found = await unless(isMissing, () => client.get(own(`${instances}/${name}`), signal));
    if (found === undefined) throw new PoolhouseError('InstanceNotFound', `The engine has no instance '${name}'.`);
    return instanceSchema.parse(found);
  }

  /** The daemon refuses a change while another one of the same instance is under way: it is asked again, a few times. */
  async function changing<T>(name: string, signal: AbortSignal, change: () => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await change();
      } catch (error) {
        if (!(error instanceof DaemonError)) throw error;
        if (isMissing(error) && /instance/i.test(error.message))
          throw new PoolhouseError('InstanceNotFound', `The engine has no instance '${name}'.`, { cause: error });
        if (
          attempt >= 20 ||
          !/busy|already running|operation.*(progress|running)|etag|matching non-reusable operation/i.test(
            error.message,
          )
        )
          throw error;
        await sleep(250, undefined, { signal });
      }
    }
  }

  function powerOf(status: string): Power {
    return status === 'Running' ? 'running' : status === 'Frozen' ? 'frozen' : 'stopped';
  }

  async function setState(
    name: string,
    action: 'start' | 'stop' | 'freeze' | 'unfreeze',
    signal: AbortSignal,
    hard = false,
  ): Promise<void> {
    const state = (force: boolean) =>
      client.change(
        'PUT',
        own(`${instances}/${name}/state`),
        { action, force, timeout: stopLimitSeconds, stateful: false },
        signal,
      );
    const done = (error: DaemonError) =>
      /already (running|stopped|frozen)|is not running|is not frozen|is running/i.test(error.message);
    if (action !== 'stop') {
      await unless(done, () => state(false));
      return;
    }
    try {
      await unless(done, () => state(hard));
    } catch (error) {
      // An instance that does not listen to a shutdown is stopped the hard way.
      if (!(error instanceof DaemonError)) throw error;
      await unless(done, () => state(true));
    }
  }

  async function removeInstance(name: string, signal: AbortSignal): Promise<void> {
    const found = await unless(isMissing, () => client.get(own(`${instances}/${name}`), signal));
    if (found === undefined) return;
    if (powerOf(instanceSchema.parse(found).status) !== 'stopped') {
      await unless(
        (error) => isMissing(error) || /already stopped|is not running/i.test(error.message),
        () =>
          client.change(
            'PUT',
            own(`${instances}/${name}/state`),
            { action: 'stop', force: true, timeout: stopLimitSeconds },
            signal,
          ),
      );
    }
    await changing(name, signal, () =>
      unless(isMissing, () => client.change('DELETE', own(`${instances}/${name}`), undefined, signal)),
    ).catch((error: unknown) => {
      if (!(error instanceof PoolhouseError) || error.code !== 'InstanceNotFound') throw error;
    });
  }

  async function patch(
    name: string,
    change: { config?: Record<string, string>; devices?: Record<string, Record<string, string>> },
    signal: AbortSignal,
  ): Promise<void> {
    await changing(name, signal, () => client.change('PATCH', own(`${instances}/${name}`), change, signal));
  }

  /** Removing needs the whole document: a PATCH only adds. */
  async function withoutDevice(name: string, device: string, signal: AbortSignal): Promise<void> {
    await changing(name, signal, async () => {
      const document = z
        .looseObject({
          config: z.record(z.string(), z.string()),
          devices: z.record(z.string(), z.record(z.string(), z.string())),
        })
        .parse(await client.get(own(`${instances}/${name}`), signal));
      const { [device]: gone, ...devices } = document.devices;
      const { [`${attachmentPrefix}${device}`]: _forgotten, ...config } = document.config;
      if (gone === undefined) return;
      await client.change('PUT', own(`${instances}/${name}`), { ...document, devices, config }, signal);
    });
  }

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

  async function seedState(fingerprint: string, signal: AbortSignal): Promise<'ready' | 'unfinished' | 'absent'> {
    const found = await unless(isMissing, () => client.get(own(`${instances}/${seedName(fingerprint)}`), signal));
    if (found === undefined) return 'absent';
    return instanceSchema.parse(found).config[readyKey] === 'yes' ? 'ready' : 'unfinished';
  }

  async function create(spec: InstanceSpec, signal: AbortSignal): Promise<void> {
    if ((await seedState(spec.image.fingerprint, signal)) !== 'ready') {
      throw new PoolhouseError(
        'PlatformImageNotFound',
        `The image ${spec.image.fingerprint.slice(0, 16)} has not been prepared in the engine.`,
      );
    }
    const config: Record<string, string> = {
      'limits.cpu': String(Math.min(spec.cpus, availableParallelism())),
      'limits.memory': `${Math.floor(spec.memoryBytes / 2 ** 20)}MiB`,
      'limits.memory.swap': 'false',
      'boot.autostart': 'true',
      [hostnameKey]: spec.hostname,
      [nameserverKey]: engine.network().gateway,
      [readyKey]: '',
      'raw.lxc': '',
    };
    for (const [label, value] of Object.entries(spec.labels)) config[`${labelPrefix}${label}`] = value;
    const devices: Record<string, Record<string, string>> = {
      root: { type: 'disk', path: '/', pool: names.instancePool },
      eth0: {
        type: 'nic',
        name: 'eth0',
        nictype: 'bridged',
        parent: names.network,
        'ipv4.address': spec.address,
        'security.mac_filtering': 'true',
        'security.ipv4_filtering': 'true',
        'security.port_isolation': 'true',
      },
    };
    if (spec.controlSocket !== undefined) {
      devices['control'] = {
        type: 'proxy',
        bind: 'instance',
        listen: `unix:${controlSocketInside}`,
        connect: `unix:${spec.controlSocket}`,
        uid: '0',
        gid: '0',
        mode: '0600',
      };
    }
    const madeBefore = (error: DaemonError) => isPresent(error) || isBeingCreated(error);
    try {
      const made = await unless(madeBefore, async () => {
        await client.change(
          'POST',
          own(instances),
          {
            name: spec.name,
            type: 'container',
            config,
            devices,
            profiles: [],
            source: { type: 'copy', source: seedName(spec.image.fingerprint), project, instance_only: true },
          },
          signal,
        );
        return true;
      });
      if (made !== true) await untilCreated(spec.name, signal);
    } catch (error) {
      if (error instanceof DaemonError && /no space|out of space|quota/i.test(error.message)) {
        throw new PoolhouseError(
          'AllocationFailed',
          `The storage of the instances is full: '${spec.name}' could not be made.`,
          { cause: error },
        );
      }
      throw error;
    }
  }

  /** Another call may be making the same instance: it counts when the daemon is done with it. */
  async function untilCreated(name: string, signal: AbortSignal): Promise<void> {
    const isCreating = z.looseObject({
      description: z.string(),
      resources: z.record(z.string(), z.array(z.string())).nullish(),
    });
    for (let attempt = 0; attempt < 240; attempt += 1) {
      const operations = z
        .record(z.string(), z.array(isCreating))
        .parse(await client.get(own('/1.0/operations?recursion=1'), signal));
      const busy = (operations['running'] ?? []).some(({ description, resources }) => {
        const targets = Object.values(resources ?? {}).flat();
        return (
          /creating|copying/i.test(description) &&
          targets.some((target) => target.split('?')[0]?.split('/').at(-1) === name)
        );
      });
      if (!busy) {
        if ((await unless(isMissing, () => client.get(own(`${instances}/${name}`), signal))) !== undefined) return;
        throw new PoolhouseError('EngineUnavailable', `Another call was making '${name}', and failed.`, {
          retryable: true,
        });
      }
      await sleep(250, undefined, { signal });
    }
    throw new PoolhouseError('EngineUnavailable', `The engine is still making '${name}' after a minute.`, {
      retryable: true,
    });
  }

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
      const found = z.array(instanceSchema).parse(await client.get(own(`${instances}?recursion=1`), signal));
      return found
        .filter((instance) => !instance.name.startsWith(seedPrefix))
        .map((instance): EngineInstance => ({
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
        }));
    },

    create,

    async setPower(name, power, signal) {
      const now = powerOf((await read(name, signal)).status);
      if (now === power) return;
      await changing(name, signal, async () => {
        if (now === 'frozen') await setState(name, 'unfreeze', signal);
        if (power === 'running' && now === 'stopped') await setState(name, 'start', signal);
        if (power === 'stopped') await setState(name, 'stop', signal);
        if (power === 'frozen') {
          if (now === 'stopped') await setState(name, 'start', signal);
          await setState(name, 'freeze', signal);
        }
      });
    },

    delete: removeInstance,

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

    async writeFile(name, file, signal) {
      const headers = (type: 'directory' | 'file', mode: string, uid = 0, gid = 0) => ({
        'content-type': 'application/octet-stream',
        'x-lxd-uid': String(uid),
        'x-lxd-gid': String(gid),
        'x-lxd-mode': mode,
        'x-lxd-type': type,
        'x-lxd-write': 'overwrite',
        'x-incus-uid': String(uid),
        'x-incus-gid': String(gid),
        'x-incus-mode': mode,
        'x-incus-type': type,
        'x-incus-write': 'overwrite',
      });
      const put = async (path: string, content: Uint8Array, head: Record<string, string>) => {
        await changing(name, signal, () =>
          client.upload(own(`${instances}/${name}/files?path=${encodeURIComponent(path)}`), content, head, signal),
        );
      };
      const write = () =>
        put(
          file.path,
          typeof file.content === 'string' ? Buffer.from(file.content) : file.content,
          headers('file', `0${file.mode.toString(8)}`, file.uid, file.gid),
        );
      try {
        await write();
      } catch (error) {
        if (!(error instanceof DaemonError)) throw error;
        // Its folders may be missing: they are made one below the other, and the file is written again.
        const parts = file.path.split('/').slice(1, -1);
        for (let depth = 1; depth <= parts.length; depth += 1) {
          await unless(
            () => true,
            () => put(`/${parts.slice(0, depth).join('/')}`, new Uint8Array(), headers('directory', '0755')),
          );
        }
        await write();
      }
    },

    ensureShare: (spec, signal) => volumes.ensure(spec, signal),
    listShares: (signal) => volumes.list(signal),
    deleteShare: (account, share, signal) => volumes.remove(account, share, signal),

    async attachShare(name, attachment: Attachment, signal) {
      if (attachment.folder !== '') {
        throw new PoolhouseError(
          'OperationNotAllowed',
          `Only whole shares can be attached, not the folder '${attachment.folder}' of '${attachment.share}'.`,
        );
      }
      if (!(await volumes.exists(attachment.account, attachment.share, signal))) {
        throw new PoolhouseError(
          'ShareNotFound',
          `The account '${attachment.account}' has no share '${attachment.share}'.`,
        );
      }
      const instance = await read(name, signal);
      const wanted = volumes.deviceFor(attachment);
      const present = instance.devices[wanted.name];
      if (present !== undefined) {
        if (present['source'] !== wanted.device['source']) {
          throw new PoolhouseError(
            'Conflict',
            `Another share is attached at '${attachment.path}' of '${name}'. Unmount it first.`,
          );
        }
        if (powerOf(instance.status) !== 'running' || (await isMounted(name, attachment.path, signal))) return;
        // It was unmounted inside: the device is configured, and shows nothing.
        await withoutDevice(name, wanted.name, signal);
      }
      await patch(name, { devices: { [wanted.name]: wanted.device }, config: { [wanted.key]: wanted.value } }, signal);
    },

    async detachShare(name, path, signal) {
      await withoutDevice(name, deviceName(path), signal);
    },

    async metrics(signal): Promise<InstanceMetrics[]> {
      return parseMetrics(await client.text('/1.0/metrics', signal), project).filter(
        (row) => !row.name.startsWith(seedPrefix),
      );
    },

    async hasImage({ fingerprint }, signal) {
      return (await seedState(fingerprint, signal)) === 'ready';
    },

    async prepareImage({ fingerprint }, file, signal) {
      const seed = seedName(fingerprint);
      const state = await seedState(fingerprint, signal);
      if (state === 'ready') return;
      if (state === 'unfinished') await removeInstance(seed, signal);
      const alias = fingerprint.slice(0, 32);
      const known = await unless(isMissing, () => client.get(own(`/1.0/images/aliases/${alias}`), signal));
      if (known === undefined) {
        const uploaded = z.object({ fingerprint: z.string() }).parse(
          await client
            .upload(
              own('/1.0/images'),
              createReadStream(file),
              { 'content-type': 'application/octet-stream', 'x-lxd-filename': 'image', 'x-incus-filename': 'image' },
              signal,
              imageLimit,
            )
            .catch((error: unknown) => {
              // A copy that was taken in before it got its alias.
              const match =
                error instanceof DaemonError ? /fingerprint[^0-9a-f]*([0-9a-f]{64})/i.exec(error.message) : null;
              if (match === null) throw error;
              return { fingerprint: match[1] };
            }),
        );
        await unless(isPresent, () =>
          client.change('POST', own('/1.0/images/aliases'), { name: alias, target: uploaded.fingerprint }, signal),
        );
      }
      const devices = { root: { type: 'disk', path: '/', pool: names.instancePool } };
      await client.change(
        'POST',
        own(instances),
        {
          name: seed,
          type: 'container',
          devices,
          profiles: [],
          config: { 'boot.autostart': 'false', [hostnameKey]: 'seed', 'raw.lxc': 'lxc.init.cmd = /bin/sleep 120' },
          source: { type: 'image', alias },
        },
        signal,
        imageLimit,
      );
      // The first start maps the owners of all files; a copy need not do it again. Nothing of the system is booted in
      // it, so that no machine id, host key or log is born that copies would share.
      await setState(seed, 'start', signal);
      await setState(seed, 'stop', signal, true);
      await patch(seed, { config: { [readyKey]: 'yes', 'raw.lxc': '' } }, signal);
    },

    async deleteImage({ fingerprint }, signal) {
      await removeInstance(seedName(fingerprint), signal);
      const alias = await unless(isMissing, () =>
        client.get(own(`/1.0/images/aliases/${fingerprint.slice(0, 32)}`), signal),
      );
      if (alias === undefined) return;
      const { target } = z.object({ target: z.string() }).parse(alias);
      await unless(isMissing, () => client.change('DELETE', own(`/1.0/images/${target}`), undefined, signal));
    },

    async prepare(signal) {
      await unless(isPresent, () =>
        client.change(
          'POST',
          '/1.0/projects',
          {
            name: project,
            description: 'Poolhouse',
            config: {
              'features.images': 'true',
              'features.profiles': 'true',
              'features.storage.volumes': 'true',
              'features.networks': 'false',
            },
          },
          signal,
        ),
      );
      network = await prepareNetwork(signal);
      const pool = (name: string, mountOptions: string) =>
        unless(isPresent, () =>
          client.change(
            'POST',
            '/1.0/storage-pools',
            {
              name,
              driver: 'btrfs',
              description: `Poolhouse ${options.installation}`,
              config: {
                size: `${Math.max(5, Math.round(options.poolBytes / 2 ** 30))}GiB`,
                'btrfs.mount_options': mountOptions,
              },
            },
            signal,
          ),
        );
      await pool(names.instancePool, 'user_subvol_rm_allowed');
      await pool(names.sharePool, 'nosuid,nodev,user_subvol_rm_allowed');
    },

    async destroy(signal) {
      const list = (await unless(isMissing, () => client.get(own(`${instances}?recursion=1`), signal))) ?? [];
      for (const instance of z.array(instanceSchema).parse(list)) await removeInstance(instance.name, signal);
      for (const share of (await unless(isMissing, () => volumes.list(signal))) ?? [])
        await volumes.remove(share.account, share.share, signal);
      const images = (await unless(isMissing, () => client.get(own('/1.0/images'), signal))) ?? [];
      for (const image of z.array(z.string()).parse(images)) {
        await unless(isMissing, () =>
          client.change(
            'DELETE',
            own(`/1.0/images/${image.split('/').at(-1)?.split('?')[0] ?? ''}`),
            undefined,
            signal,
          ),
        );
      }
      await unless(isMissing, () => client.change('DELETE', `/1.0/projects/${project}`, undefined, signal));
      for (const pool of [names.instancePool, names.sharePool])
        await unless(isMissing, () => client.change('DELETE', `/1.0/storage-pools/${pool}`, undefined, signal));
      await unless(isMissing, () => client.change('DELETE', `/1.0/networks/${names.network}`, undefined, signal));
      network = undefined;
    },
  };

  async function prepareNetwork(signal: AbortSignal): Promise<EngineNetwork> {
    const path = `/1.0/networks/${names.network}`;
    let found = await unless(isMissing, () => client.get(path, signal));
    if (found === undefined) {
      const chosen = chooseSubnet(options.addressRange, await hostRoutes(), options.installation);
      if (chosen === undefined) {
        throw new PoolhouseError(
          'HostNotReady',
          `No free /22 network was found in ${options.addressRange}: every part of it overlaps a route of this host. Set another 'instanceRange' in config.json.`,
        );
      }
      const config = {
        'ipv4.address': `${chosen.gateway}/${chosen.subnet.split('/')[1] ?? ''}`,
        'ipv4.nat': 'true',
        'ipv4.dhcp': 'true',
        'ipv6.address': 'none',
        'dns.mode': 'none',
      };
      await unless(isPresent, () =>
        client.change(
          'POST',
          '/1.0/networks',
          { name: names.network, type: 'bridge', description: `Poolhouse ${options.installation}`, config },
          signal,
        ),
      );
      found = await client.get(path, signal);
    }
    const address = networkSchema.parse(found).config['ipv4.address'] ?? '';
    const [gateway = '', bits = '22'] = address.split('/');
    return { gateway, subnet: `${networkOf(gateway, Number(bits))}/${bits}` };
  }

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

function networkOf(address: string, bits: number): string {
  const number = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const base = Math.floor(number / 2 ** (32 - bits)) * 2 ** (32 - bits);
  return [24, 16, 8, 0].map((shift) => Math.floor(base / 2 ** shift) % 256).join('.');
}

/** All the host's IPv4 routes and own addresses, of every table. */
async function hostRoutes(): Promise<string[]> {
  const { stdout } = await promisify(execFile)('ip', ['-j', '-4', 'route', 'show', 'table', 'all'], {
    timeout: 10_000,
  });
  const routes = z
    .array(z.looseObject({ dst: z.string().optional() }))
    .parse(JSON.parse(stdout === '' ? '[]' : stdout));
  return routes.flatMap((route) => (route.dst === undefined ? [] : [route.dst]));
}

/** Memory as the machine was sold: the kernel keeps a few per cent of it for itself. */
function hostMemory(): number {
  const total = totalmem();
  const whole = Math.ceil(total / 2 ** 30) * 2 ** 30;
  return whole - total <= 0.03 * whole ? whole : total;
}
