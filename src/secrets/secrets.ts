/**
 * The one place where secrets live: encrypted at rest, with keys that a master key outside the store opens. A document holds a
 * placeholder where a secret was; only code that carries a secret to where it is used asks for it back.
 *
 * A reference is derived from owner and value with a key, so the same secret written again is the same reference, and
 * a document that comes back from a client with its placeholders (as `az vmss scale` sends it) means what it meant.
 */
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import type { Json, JsonObject } from '../core/json.ts';
import { isObject, setMember } from '../core/json.ts';
import { secretForms } from '../core/redact.ts';
import type { EpochMillis } from '../core/time.ts';
import type { Queries, Store } from '../store/store.ts';
import { rotateKeyring, sealUnder, unsealUnder, type Keyring } from './keyring.ts';

/** Where a secret stood in a text. Readable on purpose: a person meets it in a GET. */
const placeholderPattern = /\*\*hidden:([A-Za-z0-9_-]{22})\*\*/g;

export interface Secrets {
  /** Keeps a secret for its owner (a resource key) and gives the placeholder that stands for it. */
  hide(tx: Queries, owner: string, value: string, now: EpochMillis): Promise<string>;
  /** The text with the owner's placeholders replaced by the secrets; placeholders of others stay as they are. */
  reveal(queries: Queries, owner: string, text: string): Promise<string>;
  /** Removes every secret of an owner that none of the given documents refers to. */
  forget(tx: Queries, owner: string, unless: Json): Promise<void>;
  /** A keyed digest for handles: stable over restarts and over a change of the master key, useless without the key. */
  digest(purpose: string, text: string): string;
  /** Keeps a secret of the installation itself under a name, in place of what was there. */
  keep(queries: Queries, name: InstallationSecret, value: string, now: EpochMillis): Promise<void>;
  kept(queries: Queries, name: InstallationSecret): Promise<string | undefined>;
  /** What access tokens are signed with: the newest first; the others are of tokens that may still live. */
  tokenKeys(): readonly Buffer[];
  /** Seals everything anew, under another master key: all of it, or nothing where it fails. Nobody has to wait for it. */
  rotate(store: Store, masterKeys: { old: Buffer; new: Buffer }, now: EpochMillis): Promise<void>;
}

/** Secrets that belong to no resource: private keys, and what az signs in with. */
export type InstallationSecret =
  | 'ca.key'
  | 'server.key'
  | 'client-secret'
  | 'ssh-host-ed25519'
  | 'ssh-host-ecdsa'
  | 'ssh-host-rsa'
  | 'ssh-user-authority'
  | 'web.key'
  | 'web-cookie-key'
  | 'web-assertion-key';
const installationOwner = 'installation';

export function createSecrets(firstKeyring: Keyring): Secrets {
  let keyring = firstKeyring;
  const digest = (purpose: string, text: string) => {
    const key = Buffer.from(hkdfSync('sha256', keyring.digestKey, '', `poolhouse ${purpose}`, 32));
    return createHmac('sha256', key).update(text).digest('base64url');
  };

  return {
    async hide(tx, owner, value, now) {
      const ref = digest('reference', `${owner}\0${value}`).slice(0, 22);
      await tx
        .insertInto('secrets')
        .values({ ref, owner_key: owner, sealed: sealUnder(keyring.current, value), created_at: now })
        .onConflict((conflict) => conflict.column('ref').doNothing())
        .execute();
      return `**hidden:${ref}**`;
    },

    async reveal(queries, owner, text) {
      const refs = refsIn(text);
      if (refs.length === 0) return text;
      const rows = await queries
        .selectFrom('secrets')
        .select(['ref', 'sealed'])
        .where('owner_key', '=', owner)
        .where('ref', 'in', refs)
        .execute();
      const values = new Map(rows.map((row) => [row.ref, unsealUnder(keyring, row.sealed)]));
      return text.replace(placeholderPattern, (placeholder, ref: string) => values.get(ref) ?? placeholder);
    },

    async forget(tx, owner, unless) {
      const kept = refsIn(JSON.stringify(unless));
      let query = tx.deleteFrom('secrets').where('owner_key', '=', owner);
      if (kept.length > 0) query = query.where('ref', 'not in', kept);
      await query.execute();
    },

    digest,

    async keep(queries, name, value, now) {
      const sealed = sealUnder(keyring.current, value);
      await queries
        .insertInto('secrets')
        .values({ ref: name, owner_key: installationOwner, sealed, created_at: now })
        .onConflict((conflict) => conflict.column('ref').doUpdateSet({ sealed, created_at: now }))
        .execute();
    },

    async kept(queries, name) {
      const row = await queries
        .selectFrom('secrets')
        .select('sealed')
        .where('ref', '=', name)
        .where('owner_key', '=', installationOwner)
        .executeTakeFirst();
      return row === undefined ? undefined : unsealUnder(keyring, row.sealed);
    },

    tokenKeys: () => keyring.tokenKeys,

    async rotate(store, masterKeys, now) {
      const before = keyring;
      try {
        await store.transaction(async (tx) => {
          // Inside the transaction: whoever writes after it seals with the new key already.
          keyring = await rotateKeyring(tx, before, masterKeys, now);
        });
      } catch (error) {
        keyring = before;
        throw error;
      }
    },
  };
}

function refsIn(text: string): string[] {
  return [...text.matchAll(placeholderPattern)].map((match) => match[1] ?? '');
}

/** True where the text is one placeholder and nothing else. */
export function isPlaceholder(value: Json | undefined): boolean {
  return typeof value === 'string' && /^\*\*hidden:[A-Za-z0-9_-]{22}\*\*$/.test(value);
}

/** What a storage account's key looks like: 64 bytes in base64. */
const storageKeyPattern = /[A-Za-z0-9+/]{86}==/g;

/**
 * Members whose values we have to understand ourselves, and which Azure shows: a public key is none the less public for
 * having come as a `securestring`.
 */
const understood = new Set(
  'adminUsername computerNamePrefix keyData id name type kind location publisher offer sku version tier'
    .toLowerCase()
    .split(' '),
);
/** Below these everything is the client's own. */
const free = new Set(['settings', 'tags', 'parameters', 'outputs']);

/**
 * The document with every secret in its strings replaced by a placeholder: the given values wherever they occur, as
 * themselves or as templates write them otherwise, and whatever looks like a storage account's key.
 */
export async function hideIn<T extends Json>(
  document: T,
  secretValues: readonly string[],
  hide: (value: string) => Promise<string>,
): Promise<T> {
  const values = secretForms(secretValues.filter((value) => !isPlaceholder(value)));

  const hideInText = async (text: string, path: readonly string[]): Promise<string> => {
    const isUnderstood = understood.has(path.at(-1) ?? '') && !path.some((name) => free.has(name));
    const found = isUnderstood ? [] : values.filter((value) => text.includes(value));
    const keys = [...text.matchAll(storageKeyPattern)].map((match) => match[0]);
    let result = text;
    for (const value of [...found, ...keys]) {
      if (result.includes(value)) result = result.replaceAll(value, await hide(value));
    }
    return result;
  };

  return (await mapStrings(document, hideInText)) as T; // the walk keeps the shape
}

/** The document with the owner's placeholders replaced by the secrets. For those who carry them to where they are used. */
export async function revealIn<T extends Json>(document: T, reveal: (text: string) => Promise<string>): Promise<T> {
  return (await mapStrings(document, reveal)) as T; // the walk keeps the shape
}

/** What stood behind the placeholders of `hidden`: the parts in which the texts differ. */
export function secretsBetween(hidden: string, shown: string): string[] {
  if (hidden === shown) return [];
  const fixed = hidden.split(/\*\*hidden:[A-Za-z0-9_-]{22}\*\*/);
  let rest = shown;
  const found: string[] = [];
  for (const [index, part] of fixed.entries()) {
    const at = index === fixed.length - 1 && part === '' ? rest.length : rest.indexOf(part);
    if (at < 0) return [shown];
    if (index > 0 && at > 0) found.push(rest.slice(0, at));
    rest = rest.slice(at + part.length);
  }
  return found;
}

/** Names of members are strings too. The path is of names in lower case. */
async function mapStrings(
  value: Json,
  map: (text: string, path: readonly string[]) => Promise<string>,
  path: readonly string[] = [],
): Promise<Json> {
  if (typeof value === 'string') return map(value, path);
  if (Array.isArray(value)) return Promise.all(value.map((inner) => mapStrings(inner, map, path)));
  if (!isObject(value)) return value;
  const result: JsonObject = {};
  for (const [name, inner] of Object.entries(value))
    setMember(result, await map(name, path), await mapStrings(inner, map, [...path, name.toLowerCase()]));
  return result;
}

/** Compares without telling by its time where the texts differ. */
export function sameSecret(a: string, b: string): boolean {
  const left = createHmac('sha256', 'compare').update(a).digest();
  const right = createHmac('sha256', 'compare').update(b).digest();
  return timingSafeEqual(left, right);
}
