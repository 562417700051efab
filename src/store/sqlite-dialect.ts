/**
 * Kysely's own SQLite dialect expects better-sqlite3; Node brings SQLite itself. This adapter gives Kysely what it
 * needs of `node:sqlite`, so that no native package has to be built.
 */
import { closeSync, openSync } from 'node:fs';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { SqliteDialect, type SqliteDatabase } from 'kysely';

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
      const statement = database.prepare(sql);
      // Kysely hands over what our columns hold: strings, numbers and null.
      const values = (parameters: readonly unknown[]) => parameters as SQLInputValue[];
      return {
        reader: statement.columns().length > 0,
        all: (parameters) => statement.all(...values(parameters)),
        run: (parameters) => statement.run(...values(parameters)),
        iterate: (parameters) => statement.iterate(...values(parameters)),
      };
    },
  };
}
