/** Makes an instance: a copy of its image's seed, with its own name, limits, address and way to control. */
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { PoolhouseError } from '../../core/errors.ts';
import type { InstanceSpec } from '../engine.ts';
import { controlDeviceFor } from './control-folder.ts';
import { isMade, type DaemonInstance, type DaemonInstances } from './daemon-instances.ts';
import { hostnameKey, labelPrefix, linkOf, nameserverKey, readyKey, seedName, type EngineNames } from './names.ts';
import { systemCallFilter } from './system-call-filter.ts';
import { DaemonError, isBeingCreated, isPresent, unless, type RestClient } from './rest-client.ts';

/** What the daemon is asked to make. Pure but for the number of CPUs, which no limit may exceed. */
function instanceDocument(spec: InstanceSpec, names: EngineNames, gateway: string, guestApi: string) {
  const link = linkOf(names.project, spec.name);
  const config: Record<string, string> = {
    // The daemon's own socket inside would tell devices, and with them paths of the host. Nothing of ours asks it.
    [guestApi]: 'false',
    'limits.cpu': String(Math.min(spec.cpus, availableParallelism())),
    'limits.memory': `${Math.floor(spec.memoryBytes / 2 ** 20)}MiB`,
    'limits.memory.swap': 'false',
    // As it was before the daemon ended: one that was switched off stays so, and one that was never made to its end is not
    // tried, which would keep the daemon from its start for many seconds.
    'boot.autostart': '',
    [hostnameKey]: spec.hostname,
    [nameserverKey]: gateway,
    [readyKey]: 'no',
    'raw.lxc': '',
    'raw.seccomp': systemCallFilter(),
  };
  // The daemon's own list answers ENOSYS to `open_by_handle_at`, by which a server of NFS finds its files again.
  if (spec.service === true) config['security.syscalls.deny_default'] = 'false';
  for (const [label, value] of Object.entries(spec.labels)) config[`${labelPrefix}${label}`] = value;
  const devices: Record<string, Record<string, string>> = {
    root: { type: 'disk', path: '/', pool: names.instancePool },
    eth0: {
      type: 'nic',
      name: 'eth0',
      nictype: 'bridged',
      parent: names.network,
      host_name: link.interface,
      hwaddr: link.mac,
      'ipv4.address': spec.address,
      'security.mac_filtering': 'true',
      'security.ipv4_filtering': 'true',
      // The network has no IPv6 addresses: none gets through, router advertisements neither.
      'security.ipv6_filtering': 'true',
      'security.port_isolation': 'true',
    },
  };
  if (spec.controlFolder !== undefined) Object.assign(devices, controlDeviceFor(spec.controlFolder));
  return {
    name: spec.name,
    type: 'container',
    config,
    devices,
    profiles: [],
    source: { type: 'copy', source: seedName(spec.image.fingerprint), project: names.project, instance_only: true },
  };
}

/**
 * Idempotent by name: one that was made to its end is left as it is, one whose making was cut off is made anew, for
 * nobody can tell what it lacks. The seed must be ready. `AllocationFailed` where the storage is full.
 */
export async function createInstance(
  client: RestClient,
  instances: DaemonInstances,
  names: EngineNames,
  gateway: string,
  spec: InstanceSpec,
  signal: AbortSignal,
): Promise<void> {
  const guestApi = await guestApiKey(client, signal);
  const madeBefore = (error: DaemonError) => isPresent(error) || isBeingCreated(error);
  const make = async () => {
    await client.change('POST', instances.path(), instanceDocument(spec, names, gateway, guestApi), signal);
    return true;
  };
  try {
    if ((await unless(madeBefore, make)) !== true) {
      if (isMade(await untilCreated(client, instances, names.project, spec.name, signal))) return;
      await instances.remove(spec.name, signal);
      await make();
    }
    await instances.patch(spec.name, { config: { [readyKey]: 'yes' } }, signal);
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

/** The key that opens the daemon's socket inside an instance: Incus has renamed it. */
async function guestApiKey(client: RestClient, signal: AbortSignal): Promise<string> {
  const server = z.object({ environment: z.object({ server: z.string() }) }).parse(await client.get('/1.0', signal));
  return server.environment.server === 'incus' ? 'security.guestapi' : 'security.devlxd';
}

/** Another call may be making the same instance: it counts when the daemon is done with it. */
async function untilCreated(
  client: RestClient,
  instances: DaemonInstances,
  project: string,
  name: string,
  signal: AbortSignal,
): Promise<DaemonInstance> {
  const isCreating = z.looseObject({
    description: z.string(),
    resources: z.record(z.string(), z.array(z.string())).nullish(),
  });
  for (let attempt = 0; attempt < 240; attempt += 1) {
    const operations = z
      .record(z.string(), z.array(isCreating))
      .parse(await client.get(`/1.0/operations?recursion=1&project=${project}`, signal));
    const busy = (operations['running'] ?? []).some(({ description, resources }) => {
      const targets = Object.values(resources ?? {}).flat();
      return (
        /creating|copying/i.test(description) &&
        targets.some((target) => target.split('?')[0]?.split('/').at(-1) === name)
      );
    });
    if (!busy) {
      const found = await instances.find(name, signal);
      if (found !== undefined) return found;
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
