/** Admin users of pools: (pool, name), each with a uid of its own in a range that no person has, never used again. */
import { PoolhouseError } from '../core/errors.ts';
import type { Queries } from './store.ts';
import { nextOf } from './store.ts';

const firstUid = 20_000;
const lastUid = 29_999;

/** The uid of a pool's admin user; given at the first asking. */
export async function uidOf(tx: Queries, ownerKey: string, name: string): Promise<number> {
  const row = await tx
    .selectFrom('accounts')
    .select('uid')
    .where('owner_key', '=', ownerKey)
    .where('name', '=', name)
    .executeTakeFirst();
  if (row !== undefined) return row.uid;
  const uid = firstUid + (await nextOf(tx, 'admin uids'));
  if (uid > lastUid)
    throw new PoolhouseError(
      'QuotaExceeded',
      `All uids for admin users of pools (${firstUid} to ${lastUid}) have been used.`,
    );
  await tx.insertInto('accounts').values({ uid, owner_key: ownerKey, name }).execute();
  return uid;
}

/** Every admin user of a pool that ever had a uid. */
export async function findAccounts(queries: Queries): Promise<{ uid: number; name: string }[]> {
  return queries.selectFrom('accounts').select(['uid', 'name']).execute();
}
