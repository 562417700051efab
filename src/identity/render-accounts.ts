/**
 * The accounts of a pool as libnss-extrausers reads them. Pure. Only a template's own admin user has a password on an
 * instance: people come through the gateway, and a hash of theirs lies on no machine where somebody may be root.
 */
import { createHash } from 'node:crypto';
import { mayEnter, type Group, type User } from './people.ts';

/** The group that may use sudo without a password; the image's sudoers name it. */
const sudoGroup = { name: 'poolhouse-sudo', gid: 19_999 };
const shell = '/bin/bash';

export interface PoolPerson {
  name: string;
  /** Also the gid of their own group. */
  uid: number;
  sudo: boolean;
}

/** Who may enter a pool, and the groups that they are in. */
export interface PoolAccounts {
  people: readonly PoolPerson[];
  /** With members who may enter the pool; others are left out. */
  groups: readonly { name: string; gid: number; members: readonly string[] }[];
}

export interface AdminAccount {
  name: string;
  uid: number;
  /** As `/etc/shadow` has it; `*` where no password signs in. */
  hash: string;
}

/** What `/usr/lib/poolhouse/provision` and `workspace` are told of somebody. */
export interface AccountHome {
  name: string;
  uid: number;
  gid: number;
  home: string;
  shell: string;
  /** The home begins as `/etc/skel`. */
  skeleton: boolean;
  authorizedKeys: string[];
  /** A person of the installation, not a template's admin user. */
  person: boolean;
}

/** @param pool its name as `PoolAccess` has it */
export function poolAccounts(
  users: readonly Omit<User, 'passwordHash'>[],
  groups: readonly Group[],
  pool: string,
): PoolAccounts {
  const entering = users.filter((user) => mayEnter(user, groups, pool)).toSorted(byName);
  return {
    people: entering.map(({ name, uid, sudo }) => ({ name, uid, sudo })),
    groups: groups
      .map(({ name, gid }) => ({
        name,
        gid,
        members: entering.filter((user) => user.groups.includes(name)).map((user) => user.name),
      }))
      .filter(({ members }) => members.length > 0)
      .toSorted(byName),
  };
}

/** Differs exactly when what is rendered for people does; '' for nobody, as an instance has that was never told of any. */
export function accountsDigest(accounts: PoolAccounts): string {
  if (accounts.people.length === 0) return '';
  const text = JSON.stringify([
    accounts.people.map(({ name, uid, sudo }) => [name, uid, sudo]),
    accounts.groups.map(({ name, gid, members }) => [name, gid, members]),
  ]);
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

/** The three files: the admin user first, then people and groups by their names. */
export function renderAccounts(
  admin: AdminAccount,
  { people, groups }: PoolAccounts,
): { passwd: string; group: string; shadow: string } {
  const all = [admin, ...people];
  const sudoers = [admin.name, ...people.filter((person) => person.sudo).map((person) => person.name)];
  const lines = (texts: readonly string[]) => texts.map((text) => `${text}\n`).join('');
  return {
    passwd: lines(all.map(({ name, uid }) => `${name}:x:${uid}:${uid}:${name}:${homeOf(name)}:${shell}`)),
    group: lines([
      ...all.map(({ name, uid }) => `${name}:x:${uid}:`),
      `${sudoGroup.name}:x:${sudoGroup.gid}:${sudoers.join(',')}`,
      ...groups.map(({ name, gid, members }) => `${name}:x:${gid}:${members.join(',')}`),
    ]),
    shadow: lines([shadowLine(admin.name, admin.hash), ...people.map(({ name }) => shadowLine(name, '*'))]),
  };
}

/** Whose homes are to be there. */
export function accountHomes(
  admin: AdminAccount,
  adminKeys: readonly string[],
  { people }: PoolAccounts,
): AccountHome[] {
  const homeFor = ({ name, uid }: { name: string; uid: number }, authorizedKeys: string[], person: boolean) => ({
    name,
    uid,
    gid: uid,
    home: homeOf(name),
    shell,
    skeleton: true,
    authorizedKeys,
    person,
  });
  return [homeFor(admin, [...adminKeys], false), ...people.map((person) => homeFor(person, [], true))];
}

const homeOf = (name: string) => `/home/${name}`;
/** Changed long ago, and good for ever. */
const shadowLine = (name: string, hash: string) => `${name}:${hash}:19000:0:99999:7:::`;
const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);
