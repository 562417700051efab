/** Users as resources. */
import { PoolhouseError } from '../../core/errors.ts';
import type { JsonObject } from '../../core/json.ts';
import { checkAccountName } from '../../identity/names.ts';
import { checkPassword, hashPassword } from '../../identity/passwords.ts';
import { parseSshKey, parseSshKeys, type SshKey } from '../../identity/ssh-keys.ts';
import type { Queries } from '../../store/store.ts';
import { findGroups } from '../../store/user-groups.ts';
import {
  addUser,
  changeUser,
  eraseUser,
  findUser,
  findUsers,
  type UserRecord,
  type UserSettings,
} from '../../store/users.ts';
import { checkConditions } from '../check-conditions.ts';
import { invalid } from '../read-body.ts';
import type { WriteConditions, Written } from '../resource-service.ts';
import type { UserDocument } from './documents.ts';
import type { Asker, IdentityCollection, IdentityParts } from './identity-service.ts';
import { requireFreeName } from './names-in-use.ts';
import { passwordOwner } from './people.ts';
import { readPoolAccess } from './pool-names.ts';
import { quotaAfter, readUser, type AskedUser } from './read-identity.ts';

const type = 'Poolhouse.Identity/users';
const mostKeys = 100;
const settingNames = ['password', 'sshKeys', 'groups', 'pools', 'disabled', 'sudo', 'quota'] as const;

export function createUsers(parts: IdentityParts): IdentityCollection {
  const { store, secrets, clock, log } = parts;

  async function write(
    name: string,
    asked: AskedUser,
    mode: 'replace' | 'change',
    conditions: WriteConditions,
    { by }: Asker,
  ): Promise<Written> {
    // What takes time is done before: nobody else's requests wait for it.
    const sshKeys = asked.sshKeys === undefined ? undefined : await readKeys(asked.sshKeys);
    const hash = typeof asked.password === 'string' ? await hashPassword(asked.password) : undefined;
    const outcome = await store.transaction(async (tx) => {
      const before = await findUser(tx, name);
      checkConditions(before === undefined ? undefined : { etag: etagOf(before) }, conditions, { names: [name] });
      if (before === undefined) {
        if (mode === 'change') throw notFound(name);
        checkAccountName(name, 'user');
        await requireFreeName(tx, name, 'user');
      }
      const kept = mode === 'change' ? before : undefined;
      if (asked.groups !== undefined) await requireGroups(tx, asked.groups);
      const owner = passwordOwner(name);
      const settings: UserSettings = {
        password:
          hash !== undefined
            ? await secrets.hide(tx, owner, hash, clock.now())
            : asked.password === null
              ? undefined
              : before?.password,
        sshKeys: sshKeys ?? kept?.sshKeys ?? [],
        groups: [...new Set(asked.groups ?? kept?.groups ?? [])].toSorted(),
        pools: asked.pools === undefined ? (kept?.pools ?? 'all') : await readPoolAccess(tx, asked.pools),
        disabled: asked.disabled ?? kept?.disabled ?? false,
        sudo: asked.sudo ?? kept?.sudo ?? false,
        ...quotaAfter(asked.quota, kept?.quota),
      };
      await secrets.forget(tx, owner, settings.password ?? null);
      const differing = settingNames.filter(
        (one) => before === undefined || JSON.stringify(settings[one]) !== JSON.stringify(before[one]),
      );
      const user =
        before === undefined
          ? await addUser(tx, name, settings, clock.now())
          : differing.length === 0
            ? before
            : await changeUser(tx, before, settings);
      return { user, created: before === undefined, differing };
    });
    const { user, created, differing } = outcome;
    if (created)
      log.info({ audit: 'user added', user: name, uid: user.uid, by, sudo: user.sudo }, `the user ${name} was added`);
    else if (differing.length > 0)
      log.info(
        { audit: 'user changed', user: name, uid: user.uid, by, changed: differing, sudo: user.sudo },
        `the user ${name} was changed${differing.includes('disabled') ? (user.disabled ? ': disabled' : ': enabled') : ''}`,
      );
    if (differing.length > 0) await parts.changed();
    return { created, body: present(user) };
  }

  /** The lines to keep, each key once; a URL stands for the keys that are there. */
  async function readKeys(texts: readonly string[]): Promise<string[]> {
    const keys = new Map<string, SshKey>();
    for (const text of texts) {
      const isUrl = /^https?:\/\//i.test(text);
      const found = isUrl ? parseSshKeys(new TextDecoder().decode(await parts.fetch(text))) : [parseSshKey(text)];
      if (found.length === 0)
        throw invalid('properties.sshKeys', `There is no public key at the address that was given.`);
      for (const key of found) if (!keys.has(key.fingerprint)) keys.set(key.fingerprint, key);
      if (keys.size > mostKeys) throw invalid('properties.sshKeys', `A user has at most ${mostKeys} public keys.`);
    }
    return [...keys.values()].map((key) => key.line);
  }

  return {
    list: async () => (await findUsers(store.db)).map(present),
    async get(name) {
      const user = await findUser(store.db, name);
      if (user === undefined) throw notFound(name);
      return present(user);
    },
    put: async (name, body, conditions, asker) => write(name, checked(body), 'replace', conditions, asker),
    patch: async (name, body, conditions, asker) => write(name, checked(body), 'change', conditions, asker),
    async remove(name, { by }) {
      const gone = await store.transaction(async (tx) => {
        const user = await findUser(tx, name);
        if (user === undefined) return undefined;
        await secrets.forget(tx, passwordOwner(name), null);
        await eraseUser(tx, name);
        return user;
      });
      if (gone === undefined) return false;
      log.info({ audit: 'user removed', user: name, uid: gone.uid, by }, `the user ${name} was removed`);
      await parts.changed();
      return true;
    },
  };
}

function checked(body: JsonObject): AskedUser {
  const asked = readUser(body);
  if (typeof asked.password === 'string') checkPassword(asked.password);
  return asked;
}

async function requireGroups(tx: Queries, names: readonly string[]): Promise<void> {
  const known = new Set((await findGroups(tx)).map((group) => group.name));
  const unknown = names.find((name) => !known.has(name));
  if (unknown === undefined) return;
  throw invalid(
    'properties.groups',
    `There is no group '${unknown.slice(0, 80)}'${known.size === 0 ? '' : ` (there are ${[...known].join(', ')})`}. Make it first: poolhouse groups add ${unknown.slice(0, 80)}`,
  );
}

function notFound(name: string): PoolhouseError {
  return new PoolhouseError(
    'ResourceNotFound',
    `There is no user '${name.slice(0, 80)}'. 'poolhouse users list' shows those there are.`,
  );
}

const etagOf = (user: UserRecord) => `${user.uid}-${user.generation}`;

function present(user: UserRecord): UserDocument {
  return {
    id: `/providers/${type}/${user.name}`,
    name: user.name,
    type,
    etag: etagOf(user),
    properties: {
      provisioningState: 'Succeeded',
      uid: user.uid,
      gid: user.uid,
      groups: [...user.groups],
      pools: user.pools === 'all' ? ['*'] : [...user.pools],
      sshKeys: [...user.sshKeys],
      sshKeyFingerprints: user.sshKeys.map((line) => parseSshKey(line).fingerprint),
      hasPassword: user.password !== undefined,
      disabled: user.disabled,
      sudo: user.sudo,
      quota: user.quota ?? null,
      createdAt: new Date(user.createdAt).toISOString(),
    },
  };
}
