/** At the start of control: public addresses that the operator added or took away change hands before anything serves. */
import type { Logger } from 'pino';
import { chooseServiceAddress, fitsService, reassignAddresses } from '../pool/addresses.ts';
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
    // What is no resource's is a service's: pools choose before it, and it gives back what it would not be given now.
    const unfit = rows.filter((row) => row.created_at === null && !fitsService(row.address, own, loopback));
    for (const { owner_key: owner } of unfit)
      await queries.deleteFrom('public_addresses').where('owner_key', '=', owner).execute();
    const left = rows.filter((row) => !unfit.includes(row));
    const order = left.toSorted((a, b) => (a.created_at ?? Infinity) - (b.created_at ?? Infinity));
    const assigned = order.map((row) => ({ owner: row.owner_key, address: row.address }));
    for (const { owner, address } of reassignAddresses(assigned, own, loopback)) {
      await queries.deleteFrom('public_addresses').where('owner_key', '=', owner).execute();
      await queries.insertInto('public_addresses').values({ address, owner_key: owner }).execute();
      log.info({ owner, address }, 'a public address changed');
    }
  });
}

/**
 * The address where a service of ours is reached, other than by pools' front ends. It keeps what it has as long as it
 * could be given that now, and gives it back when it is not wanted any more.
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
    if (service.isWanted && present !== undefined && fitsService(present, own, loopback)) return present;
    await queries.deleteFrom('public_addresses').where('owner_key', '=', service.owner).execute();
    if (!service.isWanted) return undefined;
    const taken = rows.filter((row) => row.owner_key !== service.owner).map(({ address }) => address);
    const chosen = chooseServiceAddress(new Set(taken), own, loopback);
    if (chosen === undefined) return undefined;
    if (!chosen.isShared)
      await queries
        .insertInto('public_addresses')
        .values({ address: chosen.address, owner_key: service.owner })
        .execute();
    return chosen.address;
  });
}
