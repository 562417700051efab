/** Leases as control keeps them: (pool, user) → the instance that is kept for them, and until when. */
import type { EpochMillis } from '../core/time.ts';
import type { LeaseRow } from './schema.ts';
import type { Queries } from './store.ts';

export interface Lease {
  /** Key of the scale set. */
  pool: string;
  user: string;
  /** The instance's name in the engine. */
  instance: string;
  until: EpochMillis;
}

export async function findLeases(queries: Queries): Promise<Lease[]> {
  return (await queries.selectFrom('leases').selectAll().execute()).map(leaseOf);
}

export async function findLease(queries: Queries, pool: string, user: string): Promise<Lease | undefined> {
  const row = await queries
    .selectFrom('leases')
    .selectAll()
    .where('pool_key', '=', pool)
    .where('user_name', '=', user)
    .executeTakeFirst();
  return row === undefined ? undefined : leaseOf(row);
}

/** In place of the one that they have. */
export async function saveLease(queries: Queries, { pool, user, instance, until }: Lease): Promise<void> {
  await queries
    .insertInto('leases')
    .values({ pool_key: pool, user_name: user, instance_name: instance, until_at: until })
    .onConflict((conflict) =>
      conflict.columns(['pool_key', 'user_name']).doUpdateSet({ instance_name: instance, until_at: until }),
    )
    .execute();
}

/** This one, unless it was replaced meanwhile. */
export async function forgetLease(queries: Queries, { pool, user, instance, until }: Lease): Promise<void> {
  await queries
    .deleteFrom('leases')
    .where('pool_key', '=', pool)
    .where('user_name', '=', user)
    .where('instance_name', '=', instance)
    .where('until_at', '=', until)
    .execute();
}

export async function removeLease(queries: Queries, { pool, user }: Pick<Lease, 'pool' | 'user'>): Promise<void> {
  await queries.deleteFrom('leases').where('pool_key', '=', pool).where('user_name', '=', user).execute();
}

const leaseOf = ({ pool_key, user_name, instance_name, until_at }: LeaseRow): Lease => ({
  pool: pool_key,
  user: user_name,
  instance: instance_name,
  until: until_at,
});
