/** At the start of control: public addresses that the operator added or took away change hands before anything serves. */
import type { Logger } from 'pino';
import { reassignAddresses } from '../pool/addresses.ts';
import type { Store } from '../store/store.ts';

/** The loopback addresses serve this machine only, so a pool that has one moves to an address of the operator's. */
export async function settleAddresses(
  store: Store,
  own: readonly string[],
  loopback: readonly string[],
  log: Logger,
): Promise<void> {
  await store.transaction(async (queries) => {
    const rows = await queries
      .selectFrom('public_addresses')
      .innerJoin('resources', 'resources.key', 'public_addresses.owner_key')
      .selectAll('public_addresses')
      .orderBy('resources.created_at')
      .execute();
    const assigned = rows.map((row) => ({ owner: row.owner_key, address: row.address }));
    for (const { owner, address } of reassignAddresses(assigned, own, loopback)) {
      await queries.deleteFrom('public_addresses').where('owner_key', '=', owner).execute();
      await queries.insertInto('public_addresses').values({ address, owner_key: owner }).execute();
      log.info({ owner, address }, 'a public address changed');
    }
  });
}
