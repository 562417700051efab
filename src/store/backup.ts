/** Copies of the store, made before a newer program changes it. Secrets in it are sealed, and their key is elsewhere. */
import { mkdir, open, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { sql, type Kysely } from 'kysely';
import { PoolhouseError } from '../core/errors.ts';
import type { EpochMillis } from '../core/time.ts';
import type { Tables } from './schema.ts';

const kept = 5;
/** https://www.sqlite.org/rescode.html#full */
const sqliteFull = 13;
const namePattern = /^store-v(\d+)-(\d{8}T\d{6}Z)\.sqlite$/;

/**
 * A whole copy in the folder, named by version and time. Five versions are kept, of each the newest copy: an upgrade that
 * fails again and again must not push out the copies of those before it.
 */
export async function backUpStore(
  db: Kysely<Tables>,
  folder: string,
  version: number,
  now: EpochMillis,
): Promise<string> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const time = new Date(now).toISOString().replace(/[-:]|\.\d+/g, '');
  const file = join(folder, `store-v${version}-${time}.sqlite`);
  // Of attempts that were cut off.
  for (const name of await readdir(folder)) if (/^store-.*\.new/.test(name)) await rm(join(folder, name));
  const unfinished = `${file}.new`;
  await writeFile(unfinished, '', { mode: 0o600 }); // SQLite fills an empty file, whose mode stays
  await sql`VACUUM INTO ${unfinished}`.execute(db);
  await flush(unfinished);
  await rename(unfinished, file);
  await flush(folder);
  for (const name of superfluousCopies(await readdir(folder))) await rm(join(folder, name));
  return file;
}

/**
 * A whole copy of a store in a new file, of one moment, also while control writes to it or does not run.
 * @returns the version of the copy
 */
export async function copyStore(file: string, copy: string): Promise<number> {
  await rm(copy, { force: true });
  await writeFile(copy, '', { mode: 0o600, flag: 'wx' }); // SQLite fills an empty file, whose mode stays
  const database = new DatabaseSync(file, { readOnly: true, timeout: 30_000 });
  try {
    database.prepare('VACUUM INTO ?').run(copy);
  } catch (error) {
    if (!(error instanceof Error && 'errcode' in error && error.errcode === sqliteFull)) throw error;
    throw new PoolhouseError(
      'HostNotReady',
      `The disk of ${copy} is full: the copy of the store does not fit. Make room there, and try again.`,
      { cause: error },
    );
  } finally {
    database.close();
  }
  return storeVersion(copy);
}

/** Which program's a store is; 0 where it is empty. */
export function storeVersion(file: string): number {
  const database = new DatabaseSync(file, { readOnly: true, timeout: 5_000 });
  try {
    return Number(database.prepare('PRAGMA user_version').get()?.['user_version'] ?? 0);
  } finally {
    database.close();
  }
}

/** Which files of a folder are copies that need not be kept. Pure. */
export function superfluousCopies(names: readonly string[]): string[] {
  const copies = names
    .flatMap((name) => {
      const [, version, time] = namePattern.exec(name) ?? [];
      return version === undefined || time === undefined ? [] : [{ name, version, time }];
    })
    .toSorted((a, b) => b.time.localeCompare(a.time));
  const newest = new Map<string, string>();
  for (const { name, version } of copies) if (!newest.has(version)) newest.set(version, name);
  const stay = [...newest.values()].slice(0, kept);
  return copies.map(({ name }) => name).filter((name) => !stay.includes(name));
}

/** So that it is there after a power cut too. */
async function flush(path: string): Promise<void> {
  const handle = await open(path, 'r');
  await handle.sync().finally(() => handle.close());
}
