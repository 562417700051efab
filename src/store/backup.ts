/** Copies of the store, made before a newer program changes it. Secrets in it are sealed, and their key is elsewhere. */
import { chmod, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { sql, type Kysely } from 'kysely';
import type { EpochMillis } from '../core/time.ts';
import type { Tables } from './schema.ts';

const kept = 5;
const namePattern = /^store-v\d+-\d{8}T\d{6}Z\.sqlite$/;

/** A whole copy in the folder, named by version and time; the oldest go where there are more than five. */
export async function backUpStore(
  db: Kysely<Tables>,
  folder: string,
  version: number,
  now: EpochMillis,
): Promise<string> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const time = new Date(now).toISOString().replace(/[-:]|\.\d+/g, '');
  const file = join(folder, `store-v${version}-${time}.sqlite`);
  await rm(`${file}.new`, { force: true }); // of an attempt that was cut off
  await sql`VACUUM INTO ${`${file}.new`}`.execute(db);
  await chmod(`${file}.new`, 0o600);
  await rename(`${file}.new`, file);
  const all = (await readdir(folder)).filter((name) => namePattern.test(name));
  const byTime = all.toSorted((a, b) => (a.split('-').at(-1) ?? '').localeCompare(b.split('-').at(-1) ?? ''));
  for (const name of byTime.slice(0, -kept)) await rm(join(folder, name));
  return file;
}
