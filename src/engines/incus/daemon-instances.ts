/**
 * One instance as the daemon knows it, and the changes to it that everything else is made of. The daemon is busy, slow
 * or already done at times: what that means is decided here, once.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { PoolhouseError } from '../../core/errors.ts';
import type { Power } from '../engine.ts';
import { isTooDeep, removeDeepVolume } from './deep-volume.ts';
import { removeEmptyVolume } from './empty-volume.ts';
import { attachmentPrefix, readyKey } from './names.ts';
import { DaemonError, isMissing, unless, type RestClient } from './rest-client.ts';

export const instanceSchema = z.object({
  name: z.string(),
  status: z.string(),
  config: z.record(z.string(), z.string()),
  devices: z.record(z.string(), z.record(z.string(), z.string())),
});
export type DaemonInstance = z.infer<typeof instanceSchema>;

/** False of one whose making was cut off, or is under way. */
export function isMade(instance: Pick<DaemonInstance, 'config'>): boolean {
  return instance.config[readyKey] !== 'no';
}

export type StateAction = 'start' | 'stop' | 'freeze' | 'unfreeze';

export interface DaemonInstances {
  /** The path of the instances of the project, or of one of them. */
  path(name?: string): string;
  all(signal: AbortSignal): Promise<DaemonInstance[]>;
  /** `InstanceNotFound` where there is none. */
  read(name: string, signal: AbortSignal): Promise<DaemonInstance>;
  find(name: string, signal: AbortSignal): Promise<DaemonInstance | undefined>;
  /** Runs a change, and again while the daemon refuses it for another one that is under way. */
  changing<T>(name: string, signal: AbortSignal, change: () => Promise<T>): Promise<T>;
  setState(name: string, action: StateAction, signal: AbortSignal, hard?: boolean): Promise<void>;
  /** Adds to configuration and devices. */
  patch(name: string, change: Partial<Pick<DaemonInstance, 'config' | 'devices'>>, signal: AbortSignal): Promise<void>;
  withoutDevice(name: string, device: string, signal: AbortSignal): Promise<void>;
  /** Stops and deletes it; nil when already gone. */
  remove(name: string, signal: AbortSignal): Promise<void>;
}

const stopLimitSeconds = 15;

export function powerOf(status: string): Power {
  return status === 'Running' ? 'running' : status === 'Frozen' ? 'frozen' : 'stopped';
}

export function createDaemonInstances(client: RestClient, project: string): DaemonInstances {
  const path = (name?: string) => `/1.0/instances${name === undefined ? '' : `/${name}`}?project=${project}`;
  const statePath = (name: string) => `/1.0/instances/${name}/state?project=${project}`;

  async function find(name: string, signal: AbortSignal): Promise<DaemonInstance | undefined> {
    const found = await unless(isMissing, () => client.get(path(name), signal));
    return found === undefined ? undefined : instanceSchema.parse(found);
  }

  async function read(name: string, signal: AbortSignal): Promise<DaemonInstance> {
    const found = await find(name, signal);
    if (found === undefined) throw new PoolhouseError('InstanceNotFound', `The engine has no instance '${name}'.`);
    return found;
  }

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

  async function setState(name: string, action: StateAction, signal: AbortSignal, hard = false): Promise<void> {
    const state = (force: boolean) =>
      client.change('PUT', statePath(name), { action, force, timeout: stopLimitSeconds, stateful: false }, signal);
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

  async function remove(name: string, signal: AbortSignal): Promise<void> {
    const found = await find(name, signal);
    if (found === undefined) return;
    if (powerOf(found.status) !== 'stopped') {
      await unless(
        (error) => isMissing(error) || /already stopped|is not running/i.test(error.message),
        () => client.change('PUT', statePath(name), { action: 'stop', force: true, timeout: stopLimitSeconds }, signal),
      );
    }
    const drop = () =>
      changing(name, signal, () => unless(isMissing, () => client.change('DELETE', path(name), undefined, signal)));
    await drop()
      .catch(async (error: unknown) => {
        const pool = found.devices['root']?.['pool'];
        if (!(error instanceof DaemonError) || pool === undefined) throw error;
        const volume = { pool, kind: 'containers', project, name } as const;
        if (isTooDeep(error)) await removeDeepVolume(client.socketPath, volume, signal);
        else if (!(await removeEmptyVolume(client.socketPath, volume))) throw error;
        await drop();
      })
      .catch((error: unknown) => {
        if (!(error instanceof PoolhouseError) || error.code !== 'InstanceNotFound') throw error;
      });
  }

  /** Removing needs the whole document: a PATCH only adds. */
  async function withoutDevice(name: string, device: string, signal: AbortSignal): Promise<void> {
    await changing(name, signal, async () => {
      const document = z
        .looseObject({
          config: z.record(z.string(), z.string()),
          devices: z.record(z.string(), z.record(z.string(), z.string())),
        })
        .parse(await client.get(path(name), signal));
      const { [device]: gone, ...devices } = document.devices;
      const { [`${attachmentPrefix}${device}`]: _forgotten, ...config } = document.config;
      if (gone === undefined) return;
      await client.change('PUT', path(name), { ...document, devices, config }, signal);
    });
  }

  return {
    path,
    async all(signal) {
      const found = await unless(isMissing, () => client.get(`${path()}&recursion=1`, signal));
      return z.array(instanceSchema).parse(found ?? []);
    },
    read,
    find,
    changing,
    setState,
    async patch(name, change, signal) {
      await changing(name, signal, () => client.change('PATCH', path(name), change, signal));
    },
    withoutDevice,
    remove,
  };
}
