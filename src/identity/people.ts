/**
 * People of an installation, and who of them may enter which pool. Pure: what is stored is read elsewhere, and what is
 * decided here takes nothing but values.
 */
import type { EpochMillis } from '../core/time.ts';

/** In bytes, on each share; `none` is no other limit than the share's. */
export type Quota = number | 'none';

/** Every pool, or those with these names (`resourcegroup/scaleset`, in lower case). */
export type PoolAccess = 'all' | readonly string[];

export interface User {
  name: string;
  /** Also the gid of the user's own group. The same on every instance, and never another's, not even after a removal. */
  uid: number;
  /** Names of groups, in the order of the alphabet. */
  groups: readonly string[];
  /** A PHC string of `hashPassword`; undefined where no password signs this user in. */
  passwordHash: string | undefined;
  /** Lines as OpenSSH writes them, each of them one that `parseSshKey` takes. */
  sshKeys: readonly string[];
  /** What was given to this user alone; groups may give more. */
  pools: PoolAccess;
  disabled: boolean;
  /** May become root on every instance of the pools that they enter. */
  sudo: boolean;
  /** What their workspace may hold; undefined: what the share's storage account says of everybody. */
  quota?: Quota;
  createdAt: EpochMillis;
}

export interface Group {
  name: string;
  gid: number;
  /** What its members may enter beside their own; undefined: the group says nothing about pools. */
  pools?: PoolAccess;
  /** What its folder may hold; undefined is `none`. */
  quota?: Quota;
}

/** People of an installation have these uids, first and last. Each is given once. */
export const peopleUids = { first: 10_000, last: 19_998 } as const;
/** And groups these gids, below what a container's id map holds (65,536 ids). */
export const groupGids = { first: 30_000, last: 39_999 } as const;

/**
 * Whether a user may enter a pool, by their own right or that of a group. Nobody who is disabled may.
 *
 * @param groups those there are; the ones that the user is in count
 * @param pool its name as `PoolAccess` has it
 */
export function mayEnter(
  user: Pick<User, 'disabled' | 'pools' | 'groups'>,
  groups: readonly Group[],
  pool: string,
): boolean {
  if (user.disabled) return false;
  const given = groups.filter((group) => user.groups.includes(group.name)).map((group) => group.pools ?? []);
  return [user.pools, ...given].some((access) => access === 'all' || access.includes(pool));
}
