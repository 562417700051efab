/**
 * The store: all that control has to remember, in one SQLite file. Everything that belongs together is written in one
 * transaction: a resource never changes without the operation that asked for it.
 */
import { existsSync } from 'node:fs';
import { Kysely, sql, type SqliteDialect, type Transaction } from 'kysely';
import { PoolhouseError } from '../core/errors.ts';
import type { EpochMillis } from '../core/time.ts';
import { backUpStore, storeVersion } from './backup.ts';
import { migrations as history } from './migrations.ts';
import type { Tables } from './schema.ts';
import { sqliteDialect } from './sqlite-dialect.ts';

/** Where queries go: the store itself, or a transaction of it. */
export type Queries = Kysely<Tables> | Transaction<Tables>;

export interface Store {
  readonly db: Kysely<Tables>;
  /** Runs `work` in one transaction: all of it is kept, or none. */
  transaction<T>(work: (tx: Transaction<Tables>) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export interface StoreOptions {
  /** Where a copy goes before the store is changed by a newer program. Without it none is made. */
  backups?: string;
  now?: EpochMillis;
  /** For tests: another history, another way to the file. */
  migrations?: readonly string[];
  dialect?: (file: string) => SqliteDialect;
}

/**
 * Opens the store and brings it up to date, after a copy was made. `InvalidConfiguration` where a newer program wrote
 * it: an older one would not understand what it finds.
 */
export async function openStore(file: string, options: StoreOptions = {}): Promise<Store> {
  const db = new Kysely<Tables>({ dialect: (options.dialect ?? sqliteDialect)(file) });
  try {
    await migrate(db, file, options);
  } catch (error) {
    await db.destroy().catch(() => undefined);
    throw error;
  }
  return {
    db,
    transaction: (work) => db.transaction().execute(work),
    close: () => db.destroy(),
  };
}

async function migrate(
  db: Kysely<Tables>,
  file: string,
  { backups, now = 0, migrations = history }: StoreOptions,
): Promise<void> {
  const version = (await sql<{ user_version: number }>`PRAGMA user_version`.execute(db)).rows[0]?.user_version ?? 0;
  refuseNewer(file, version, migrations.length, backups);
  if (version === migrations.length) return;
  if (version > 0 && backups !== undefined) await backUpStore(db, backups, version, now);
  // All or nothing: where one fails, the program from before still finds the store that it knows.
  await db.transaction().execute(async (tx) => {
    for (const migration of migrations.slice(version)) {
      for (const statement of migration.split(';').map((text) => text.trim())) {
        if (statement !== '') await sql.raw(statement).execute(tx);
      }
    }
    await sql.raw(`PRAGMA user_version = ${migrations.length}`).execute(tx);
  });
}

/**
 * For those who are about to end the processes of a newer program: `InvalidConfiguration` where this one could not open
 * the store that it leaves. Reads only, also while another process has the store open.
 */
export function refuseNewerStore(file: string, backups: string): void {
  if (!existsSync(file)) return;
  refuseNewer(file, storeVersion(file), history.length, backups);
}

/** The version of stores that this program writes: it opens these and older ones. */
export const ownStoreVersion = history.length;

function refuseNewer(file: string, version: number, known: number, backups: string | undefined): void {
  if (version <= known) return;
  throw new PoolhouseError(
    'InvalidConfiguration',
    `The store ${file} was written by a newer Poolhouse (its version is ${version}, this program knows ${known}). Install that version again, or restore a copy from before${backups === undefined ? '' : ` from ${backups}`}.`,
  );
}

/** Asks the store for something that it has to look up. Fails where it cannot. */
export async function answers({ db }: Pick<Store, 'db'>): Promise<void> {
  await db.selectFrom('resources').select('key').limit(1).execute();
}

/** The next value of a counter: 0 at first, and never the same again. */
export async function nextOf(tx: Queries, name: string): Promise<number> {
  const row = await tx
    .insertInto('counters')
    .values({ name, value: 0 })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ value: sql<number>`counters.value + 1` }))
    .returning('value')
    .executeTakeFirstOrThrow();
  return row.value;
}

/** From now on a counter gives more than this value. */
export async function raiseCounter(tx: Queries, name: string, value: number): Promise<void> {
  await tx
    .insertInto('counters')
    .values({ name, value })
    .onConflict((conflict) =>
      conflict.column('name').doUpdateSet({ value: sql<number>`MAX(counters.value, ${value})` }),
    )
    .execute();
}
