/** The ledger as control keeps it: instance-time by day, pool, user and size. */
import type { EpochMillis } from '../core/time.ts';
import { sql } from 'kysely';
import { dayOf, type LedgerEntry } from '../pool/split-time.ts';
import type { Queries } from './store.ts';

/** Thirteen months: a month can be compared with the one a year before. */
const keptFor = 400 * 24 * 3_600_000;

/** Adds to what is there; from now on it holds what was until `seenUntil`. */
export async function addToLedger(tx: Queries, entries: readonly LedgerEntry[], seenUntil: EpochMillis): Promise<void> {
  for (const { user, ...entry } of entries)
    await tx
      .insertInto('ledger')
      .values({ ...entry, user_name: user })
      .onConflict((conflict) =>
        conflict.columns(['day', 'pool', 'user_name', 'size']).doUpdateSet({
          used: sql<number>`ledger.used + ${entry.used}`,
          idle: sql<number>`ledger.idle + ${entry.idle}`,
          standby: sql<number>`ledger.standby + ${entry.standby}`,
        }),
      )
      .execute();
  await tx
    .insertInto('ledger_seen')
    .values({ one: 1, until_at: seenUntil })
    .onConflict((conflict) => conflict.column('one').doUpdateSet({ until_at: seenUntil }))
    .execute();
}

/** Until when the ledger holds what was; undefined before the first time. */
export async function ledgerSeenUntil(queries: Queries): Promise<EpochMillis | undefined> {
  return (await queries.selectFrom('ledger_seen').select('until_at').executeTakeFirst())?.until_at;
}

/** What was from one day to another, both of them included, by day. */
export async function findLedger(queries: Queries, from: string, to: string): Promise<LedgerEntry[]> {
  const rows = await queries
    .selectFrom('ledger')
    .selectAll()
    .where('day', '>=', from)
    .where('day', '<=', to)
    .orderBy('day')
    .execute();
  return rows.map(({ user_name: user, ...row }) => ({ ...row, user }));
}

export async function findLedgerPools(queries: Queries): Promise<string[]> {
  const rows = await queries.selectFrom('ledger').select('pool').distinct().orderBy('pool').execute();
  return rows.map(({ pool }) => pool);
}

/** Forgets what has been kept long enough. */
export async function forgetOldLedger(tx: Queries, now: EpochMillis): Promise<void> {
  await tx
    .deleteFrom('ledger')
    .where('day', '<', dayOf(now - keptFor))
    .execute();
}
