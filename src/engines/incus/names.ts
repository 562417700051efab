/** Every name that an installation uses in the daemon. What does not carry them is not ours, and is not touched. */
import { createHash } from 'node:crypto';
import type { InstanceLink } from '../../pool/render-redirects.ts';

export interface EngineNames {
  project: string;
  /** A bridge's name has at most 15 characters. */
  network: string;
  instancePool: string;
  sharePool: string;
  /** A folder of the host where parts of shares are mounted, to be shown to instances. */
  folders: string;
}

export function engineNames(installation: string): EngineNames {
  return {
    project: `poolhouse-${installation}`,
    network: `ph${installation}`,
    instancePool: `poolhouse-${installation}`,
    sharePool: `poolhouse-${installation}-shares`,
    folders: `/run/poolhouse-${installation}/folders`,
  };
}

const digest = (text: string, length: number) => createHash('sha256').update(text).digest('hex').slice(0, length);

/** A share's volume: readable, and unique although names are cut. */
export function volumeName(account: string, share: string): string {
  return `${account.slice(0, 24)}-${share.slice(0, 24)}-${digest(`${account}/${share}`, 8)}`;
}

/** The host's end of an instance's network. Always the same: it is guarded by its name before it is there. */
export function linkOf(project: string, name: string): InstanceLink {
  const own = digest(`${project}/${name}`, 22);
  // 02: addresses that no manufacturer gives.
  return { interface: `pv${own.slice(0, 12)}`, mac: ['02', ...(own.slice(12).match(/../g) ?? [])].join(':') };
}

/** The device that shows something at a path of an instance. */
export function deviceName(path: string): string {
  return `share-${digest(path, 16)}`;
}

export const seedPrefix = 'seed-';
export function seedName(fingerprint: string): string {
  return `${seedPrefix}${fingerprint.slice(0, 16)}`;
}

/** Keys of our own in an instance's configuration. */
export const labelPrefix = 'user.poolhouse.label.';
export const hostnameKey = 'user.poolhouse.hostname';
/** The address of the network's name server: the image renders it into /etc/resolv.conf. */
export const nameserverKey = 'user.poolhouse.nameserver';
/** `yes` once it was made to its end: of instances, seeds, and volumes of shares. `no` until then. */
export const readyKey = 'user.poolhouse.ready';
/** JSON of what a share device shows: `{account, share, folder}`. */
export const attachmentPrefix = 'user.poolhouse.attachment.';
