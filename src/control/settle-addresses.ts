/** At the start of control: public addresses that the operator added or took away change hands before anything serves. */
import type { Logger } from 'pino';
import { chooseServiceAddress, reassignAddresses } from '../pool/addresses.ts';
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
      .leftJoin('resources', 'resources.key', 'public_addresses.owner_key')
      .selectAll('public_addresses')
      .select('resources.created_at')
      .execute();
    // What is no resource's is a service's: pools choose before it.
    const order = rows.toSorted((a, b) => (a.created_at ?? Infinity) - (b.created_at ?? Infinity));
    const assigned = order.map((row) => ({ owner: row.owner_key, address: row.address }));
    for (const { owner, address } of reassignAddresses(assigned, own, loopback)) {
      await queries.deleteFrom('public_addresses').where('owner_key', '=', owner).execute();
      await queries.insertInto('public_addresses').values({ address, owner_key: owner }).execute();
      log.info({ owner, address }, 'a public address changed');
    }
  });
}

/**
 * The address where a service of ours is reached, other than by pools' front ends. It keeps what it has, and gives it back when it is
 * not wanted any more.
 *
 * @returns undefined where it is not wanted, or none is left
 */
export async function settleServiceAddress(
  store: Store,
  service: { owner: string; isWanted: boolean },
  own: readonly string[],
  loopback: readonly string[],
): Promise<string | undefined> {
  return store.transaction(async (queries) => {
    const rows = await queries.selectFrom('public_addresses').selectAll().execute();
    const present = rows.find((row) => row.owner_key === service.owner)?.address;
    if (!service.isWanted) {
      await queries.deleteFrom('public_addresses').where('owner_key', '=', service.owner).execute();
      return undefined;
    }
    if (present !== undefined && [...own, ...loopback].includes(present)) return present;
    const chosen = chooseServiceAddress(new Set(rows.map(({ address }) => address)), own, loopback);
    if (chosen === undefined) return undefined;
    await queries.deleteFrom('public_addresses').where('owner_key', '=', service.owner).execute();
    if (!chosen.isShared)
      await queries
        .insertInto('public_addresses')
        .values({ address: chosen.address, owner_key: service.owner })
        .execute();
    return chosen.address;
  });
}
