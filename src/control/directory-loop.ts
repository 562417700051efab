/**
 * Keeps the directory that gateways sign people in by: who there is, where they may go, which sign-ins have ended, and the
 * keys of both ends.
 */
import { createHash } from 'node:crypto';
import { hashPassword } from '../identity/passwords.ts';
import { mayEnter } from '../identity/people.ts';
import { parseSshKey } from '../identity/ssh-keys.ts';
import type { Directory, DirectoryUser } from '../link/people.ts';
import { readScaleSet } from '../providers/compute/scale-set-model.ts';
import { passwordOwner } from '../providers/identity/people.ts';
import { poolNameOf } from '../providers/identity/pool-names.ts';
import { findEndedSignIns } from '../store/ended-sign-ins.ts';
import { findInstances } from '../store/instance-records.ts';
import { findResources, type ResourceRecord } from '../store/resource-records.ts';
import { findGroups } from '../store/user-groups.ts';
import { findUsers } from '../store/users.ts';
import type { SshIdentity } from './ssh-identity.ts';
import { publicNames, type WebFront } from './web-front.ts';
import type { World } from './world.ts';

const settledDelay = 5_000;
/** Longer nobody waits for a pass: the change is kept, and told as soon as it can be. */
const longestWait = 2_000;

/** What the gateway proves itself with, and whom it takes for people. */
export interface DirectoryKeys {
  ssh: SshIdentity;
  web: WebFront;
  /** Public keys whose certificates for users the operator trusts. */
  userAuthorities: readonly string[];
  /** Certificates of our host keys, as they are now. */
  hostCertificates: () => Promise<readonly string[]>;
}

export interface DirectoryLoop {
  pass(): Promise<number>;
  /** Undefined before the first pass: nobody may take that for an empty one. */
  directory: () => Directory | undefined;
  /** Settles when a pass that begins from now on has ended, or after two seconds; at once where none has been yet. */
  told(): Promise<void>;
}

export function createDirectoryLoop(
  world: Pick<World, 'store' | 'secrets' | 'clock'>,
  { ssh, web, userAuthorities, hostCertificates }: DirectoryKeys,
  publish: (directory: Directory) => void,
): DirectoryLoop {
  const { store, secrets, clock } = world;
  /** What was revealed and hashed, by its placeholder, which changes exactly when the secret does. */
  let hashes = new Map<string, string>();
  let directory: Directory | undefined;
  let waiting: (() => void)[] = [];

  function keysOf() {
    const { hostKeys, userAuthority } = ssh;
    return { hostKeys: [...hostKeys], userAuthority, userAuthorities: [...userAuthorities] };
  }

  async function people(sets: readonly ResourceRecord[], seen: Map<string, string>): Promise<DirectoryUser[]> {
    const groups = await findGroups(store.db);
    const found: DirectoryUser[] = [];
    for (const user of await findUsers(store.db)) {
      const pools = sets.filter((set) => mayEnter(user, groups, poolNameOf(set.key))).map((set) => set.key);
      if (pools.length === 0) continue;
      const owner = passwordOwner(user.name);
      const { password } = user;
      const passwordHash =
        password === undefined
          ? undefined
          : (hashes.get(password) ?? (await secrets.reveal(store.db, owner, password)));
      if (password !== undefined && passwordHash !== undefined) seen.set(password, passwordHash);
      found.push(entryOf(user.name, pools, user.sshKeys, passwordHash));
    }
    return found;
  }

  /** The admin user of each pool's template, with the password that stands there. */
  async function admins(sets: readonly ResourceRecord[], seen: Map<string, string>): Promise<DirectoryUser[]> {
    const found: DirectoryUser[] = [];
    for (const set of sets) {
      const { admin } = readScaleSet(set.document).profile;
      const { password } = admin;
      const passwordHash =
        password === undefined
          ? undefined
          : (hashes.get(password) ?? (await hashPassword(await secrets.reveal(store.db, set.key, password))));
      if (password !== undefined && passwordHash !== undefined) seen.set(password, passwordHash);
      const keys = admin.keys.map((key) => key.data);
      found.push(entryOf(admin.name, [set.key], keys, passwordHash));
    }
    return found;
  }

  async function tell(): Promise<void> {
    const sets = (await findResources(store.db, { type: 'Microsoft.Compute/virtualMachineScaleSets' })).filter(
      (set) => set.deletingSince === undefined,
    );
    const seen = new Map<string, string>();
    const users = [...(await people(sets, seen)), ...(await admins(sets, seen))];
    hashes = seen;
    const instanceKeys = Object.fromEntries(
      (await findInstances(store.db)).flatMap(({ name, state }) =>
        state.hostKeys === undefined ? [] : [[name, state.hostKeys]],
      ),
    );
    const certificates = await hostCertificates();
    const endedSignIns = await findEndedSignIns(store.db, clock.now());
    const current = await web.identity(await publicNames(store));
    const content = {
      ...keysOf(),
      ...(certificates.length === 0 ? {} : { hostCertificates: [...certificates] }),
      users,
      instanceKeys,
      ...(current === undefined ? {} : { web: current }),
      ...(endedSignIns.length === 0 ? {} : { endedSignIns }),
    };
    const revision = createHash('sha256').update(JSON.stringify(content)).digest('base64url').slice(0, 22);
    if (revision !== directory?.revision) {
      directory = { revision, ...content };
      publish(directory);
    }
  }

  return {
    directory: () => directory,
    async pass() {
      const told = waiting;
      waiting = [];
      try {
        await tell();
      } finally {
        for (const tellOne of told) tellOne();
      }
      return settledDelay;
    },
    async told() {
      if (directory === undefined) return;
      await new Promise<void>((resolve) => {
        const late = setTimeout(resolve, longestWait);
        waiting.push(() => {
          clearTimeout(late);
          resolve();
        });
      });
    },
  };
}

function entryOf(
  name: string,
  pools: string[],
  keys: readonly string[],
  passwordHash: string | undefined,
): DirectoryUser {
  return { name, pools, keys: keys.flatMap(bareKey), ...(passwordHash === undefined ? {} : { passwordHash }) };
}

/** `type base64`; none for what is no key that we take: templates may hold older ones. */
function bareKey(line: string): string[] {
  try {
    const { type, blob } = parseSshKey(line);
    return [`${type} ${blob.toString('base64')}`];
  } catch {
    return [];
  }
}
