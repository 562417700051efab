/**
 * Kysely's own SQLite dialect expects better-sqlite3; Node brings SQLite itself. This adapter gives Kysely what it
 * needs of `node:sqlite`, so that no native package has to be built.
 */
import { closeSync, openSync } from 'node:fs';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { SqliteDialect, type SqliteDatabase, type SqliteStatement } from 'kysely';
import { PoolhouseError } from '../core/errors.ts';

export function sqliteDialect(file: string): SqliteDialect {
  return new SqliteDialect({ database: () => Promise.resolve(openSqlite(file)) });
}

/** Opens the file (or `:memory:`) with the settings that make a committed transaction survive a crash. */
export function openSqlite(file: string): SqliteDatabase {
  // Made for its owner only; SQLite gives the files beside it the same mode.
  if (file !== ':memory:') closeSync(openSync(file, 'a', 0o600));
  const database = new DatabaseSync(file, { timeout: 5_000 });
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;');
  return adapt(database);
}

function adapt(database: DatabaseSync): SqliteDatabase {
  return {
    close: () => {
      database.close();
    },
    prepare: (sql) => {
      // Where the disk is full SQLite has undone the transaction itself, and refuses to do so again.
      if (sql === 'rollback' && !database.isTransaction) return nothing;
      const statement = inWords(() => database.prepare(sql));
      // Kysely hands over what our columns hold: strings, numbers and null.
      const values = (parameters: readonly unknown[]) => parameters as SQLInputValue[];
      return {
        reader: statement.columns().length > 0,
        all: (parameters) => inWords(() => statement.all(...values(parameters))),
        run: (parameters) => inWords(() => statement.run(...values(parameters))),
        iterate: (parameters) => statement.iterate(...values(parameters)),
      };
    },
  };
}

const nothing: SqliteStatement = {
  reader: false,
  all: () => [],
  run: () => ({ changes: 0, lastInsertRowid: 0 }),
  iterate: () => [][Symbol.iterator](),
};

/** https://www.sqlite.org/rescode.html#full */
const sqliteFull = 13;

function inWords<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof Error && 'errcode' in error && error.errcode === sqliteFull)) throw error;
    throw new PoolhouseError(
      'Unavailable',
      `The disk that holds Poolhouse's store is full. Nothing was changed. Make room on it, and try again.`,
      { cause: error, retryable: true },
    );
  }
}
