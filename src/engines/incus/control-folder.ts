/**
 * The folder of the host by which an instance reaches control: shown inside as it is, so that nothing stands between the
 * two. (A proxy device of the daemon would do the same with a process for each instance, and makes every start a second
 * longer: the daemon looks for its sign of life once a second.)
 */
import { chmod, chown } from 'node:fs/promises';
import { z } from 'zod';
import { PoolhouseError } from '../../core/errors.ts';
import type { DaemonInstance } from './daemon-instances.ts';

/** The device by which an instance reaches control. */
const controlDevice = 'control';
const folderInside = '/var/lib/poolhouse/control';

/** `source` is a folder of the host. */
export function controlDeviceFor(source: string): Record<string, Record<string, string>> {
  return { [controlDevice]: { type: 'disk', source, path: folderInside, readonly: 'true' } };
}

const mapsSchema = z.array(z.object({ Isgid: z.boolean(), Hostid: z.number().int(), Nsid: z.number().int() }));

/** What the host calls the group of the instance's root. */
export function rootGroupOf(instance: Pick<DaemonInstance, 'name' | 'config'>): number {
  const maps = mapsSchema.parse(JSON.parse(instance.config['volatile.idmap.next'] ?? '[]'));
  const ofRoot = maps.find((map) => map.Isgid && map.Nsid === 0);
  if (ofRoot === undefined)
    throw new PoolhouseError('EngineFailed', `The engine gave '${instance.name}' no user ids of its own.`);
  return ofRoot.Hostid;
}

/**
 * Lets the instance's root through to the socket, and nobody else in it. The folder stays the host's: root inside can
 * neither change it nor leave anything in it. Nil where the instance has none.
 */
export async function openControlFolder(instance: DaemonInstance): Promise<void> {
  const folder = instance.devices[controlDevice]?.['source'];
  if (folder === undefined) return;
  await chown(folder, 0, rootGroupOf(instance));
  await chmod(folder, 0o710);
}
