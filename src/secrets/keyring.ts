/**
 * The keys that everything secret is sealed with. They are random, lie in the store, and are sealed there with the master
 * key, which lies elsewhere: so the master key is changed in one transaction, while control runs.
 */
import { createHash, hkdfSync, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { PoolhouseError } from '../core/errors.ts';
import type { EpochMillis } from '../core/time.ts';
import type { Queries, Store } from '../store/store.ts';
import { seal, unseal } from './sealing.ts';

export interface SealingKey {
  id: string;
  key: Buffer;
}

export interface Keyring {
  /** What new secrets are sealed with, and under which name. */
  readonly current: SealingKey;
  /** What was current before in this process: for what was read from the store a moment before the change. */
  readonly earlier: readonly SealingKey[];
  /** For digests that have to stay the same for as long as the installation lives. */
  readonly digestKey: Buffer;
  /** For access tokens: the newest first. One that was replaced is kept for as long as a token lives. */
  readonly tokenKeys: readonly Buffer[];
}

/** How long an access token lives, and so how long its key is needed after it was replaced. */
const tokenLife = 3_600_000;

/** Names a master key without telling anything of it. */
export function masterKeyName(masterKey: Buffer): string {
  return createHash('sha256').update('poolhouse master key\0').update(masterKey).digest('hex').slice(0, 12);
}

/** The name of the master key that a store is sealed with; undefined where there is no store yet, or no ring in it. */
export function masterKeyNameOf(storeFile: string): string | undefined {
  if (!existsSync(storeFile)) return undefined;
  const database = new DatabaseSync(storeFile, { readOnly: true, timeout: 5_000 });
  try {
    const hasRing = database.prepare(`SELECT 1 FROM sqlite_schema WHERE name = 'keys'`).get() !== undefined;
    if (!hasRing) return undefined;
    const master = database.prepare('SELECT master FROM keys').get()?.['master'];
    return typeof master === 'string' ? master : undefined;
  } finally {
    database.close();
  }
}

/**
 * Opens the ring with the one of these master keys that it is sealed with, and tells which that was; makes a ring where
 * there is none yet. `InvalidConfiguration` where none fits.
 */
export async function openKeyring(
  store: Store,
  masterKeys: readonly Buffer[],
  now: EpochMillis,
): Promise<{ keyring: Keyring; masterKey: Buffer }> {
  return store.transaction(async (tx) => {
    const sealedWith = await tx.selectFrom('keys').select(['master', 'created_at']).executeTakeFirst();
    const masterKey = masterKeys.find((key) => sealedWith === undefined || masterKeyName(key) === sealedWith.master);
    if (masterKey === undefined) {
      throw new PoolhouseError(
        'InvalidConfiguration',
        `The store is sealed with another master key (${sealedWith?.master ?? 'unknown'}) than the one that was given (${masterKeys.map(masterKeyName).join(', ') || 'none'}). Give the key that belongs to this store, or restore the store that belongs to this key.`,
      );
    }
    if (sealedWith === undefined) await makeKeys(tx, masterKey, now);
    return { keyring: await readKeys(tx, masterKey), masterKey };
  });
}

/**
 * Seals all that is secret with new keys, and those with the new master key. In a transaction of the caller's, so that
 * all of it happens or nothing. The digest key stays: placeholders and handles are made with it, and it opens nothing.
 */
export async function rotateKeyring(
  tx: Queries,
  before: Keyring,
  masterKeys: { old: Buffer; new: Buffer },
  now: EpochMillis,
): Promise<Keyring> {
  const next = { id: newId(), key: randomBytes(32) };
  for (const row of await tx.selectFrom('secrets').selectAll().execute()) {
    await tx
      .updateTable('secrets')
      .set({ sealed: sealUnder(next, unsealUnder(before, row.sealed)) })
      .where('ref', '=', row.ref)
      .execute();
  }
  const tokens = await tx.selectFrom('keys').selectAll().where('purpose', '=', 'token').execute();
  // The newest one signed until now; the one before it is needed while tokens of it live: until that long after the newest.
  const newest = Math.max(...tokens.map((row) => row.created_at));
  const stillUsed = tokens
    .filter((row) => row.created_at === newest || now - newest < tokenLife)
    .map((row) => ({ id: row.id, createdAt: row.created_at, key: unseal(masterKeys.old, row.sealed) }));
  await tx.deleteFrom('keys').execute();
  const write = keyWriter(tx, masterKeys.new);
  await write('seal', next.key, now, next.id);
  await write('digest', before.digestKey, now);
  for (const { id, createdAt, key } of stillUsed) await write('token', key, createdAt, id);
  await write('token', randomBytes(32), Math.max(now, newest + 1)); // a clock that went back must not make it the older one
  return { ...(await readKeys(tx, masterKeys.new)), earlier: [before.current, ...before.earlier] };
}

export function sealUnder(current: SealingKey, plain: string): string {
  return `${current.id}:${seal(current.key, Buffer.from(plain, 'utf8'))}`;
}

/** What was sealed before there was a ring bears no name: the first key of the ring opens it. */
export function unsealUnder(keyring: Keyring, sealed: string): string {
  const colon = sealed.indexOf(':');
  const earlier = keyring.earlier.find((one) => one.id === sealed.slice(0, Math.max(0, colon)));
  return unseal((earlier ?? keyring.current).key, sealed.slice(colon + 1)).toString('utf8');
}

const newId = () => randomBytes(4).toString('hex');

function keyWriter(tx: Queries, masterKey: Buffer) {
  return async (purpose: 'seal' | 'digest' | 'token', key: Buffer, createdAt: EpochMillis, id = newId()) => {
    const sealed = seal(masterKey, key);
    const master = masterKeyName(masterKey);
    await tx.insertInto('keys').values({ id, purpose, sealed, master, created_at: createdAt }).execute();
  };
}

async function makeKeys(tx: Queries, masterKey: Buffer, now: EpochMillis): Promise<void> {
  // A store from before there was a ring: its secrets and placeholders were made with keys derived from the master key.
  const isOlder = (await tx.selectFrom('secrets').select('ref').executeTakeFirst()) !== undefined;
  const derived = (purpose: string) => Buffer.from(hkdfSync('sha256', masterKey, '', `poolhouse ${purpose}`, 32));
  const write = keyWriter(tx, masterKey);
  await write('seal', isOlder ? derived('seal') : randomBytes(32), now);
  await write('digest', isOlder ? masterKey : randomBytes(32), now);
  await write('token', randomBytes(32), now);
}

async function readKeys(tx: Queries, masterKey: Buffer): Promise<Keyring> {
  const rows = await tx.selectFrom('keys').selectAll().orderBy('created_at', 'desc').execute();
  const keys = rows.map((row) => ({ id: row.id, purpose: row.purpose, key: unseal(masterKey, row.sealed) }));
  const current = keys.find((one) => one.purpose === 'seal');
  const digestKey = keys.find((one) => one.purpose === 'digest')?.key;
  const tokenKeys = keys.filter((one) => one.purpose === 'token').map((one) => one.key);
  if (current === undefined || digestKey === undefined || tokenKeys.length === 0)
    throw new PoolhouseError('InvalidConfiguration', 'The keys in the store are not whole. Restore it from a backup.');
  return { current, earlier: [], digestKey, tokenKeys };
}
