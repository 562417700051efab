/**
 * The daemon keeps the logs of what it has deleted, one folder an instance and one file a network, for ever. Those of ours
 * go with what they tell about; by their names, which carry the installation's id.
 */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { EngineNames } from './names.ts';

const logFolders: Readonly<Record<string, string>> = {
  '/var/lib/incus/unix.socket': '/var/log/incus',
  '/var/lib/lxd/unix.socket': '/var/log/lxd',
  '/var/snap/lxd/common/lxd/unix.socket': '/var/snap/lxd/common/lxd/logs',
};

/** Removes those of an instance that is gone. Nil where there are none, or the daemon lies at no place that is known. */
export async function removeInstanceLogs(socketPath: string, names: EngineNames, instance: string): Promise<void> {
  const folder = logFolders[socketPath];
  if (folder === undefined || instance === '' || instance.includes('/')) return;
  await rm(join(folder, `${names.project}_${instance}`), { recursive: true, force: true });
}

/** Removes all that are left of an installation that is gone. */
export async function removeAllLogs(socketPath: string, names: EngineNames): Promise<void> {
  const folder = logFolders[socketPath];
  if (folder === undefined) return;
  const ours = (name: string) => name.startsWith(`${names.project}_`) || name === `dnsmasq.${names.network}.log`;
  for (const name of await readdir(folder).catch(() => []))
    if (ours(name)) await rm(join(folder, name), { recursive: true, force: true });
}
