import { describe, expect, it } from 'vitest';
import { keyOf, type ResourceId } from '../core/resource-id.ts';
import { saveResource } from '../store/resource-records.ts';
import { openStore } from '../store/store.ts';
import { settleAddresses, settleServiceAddress } from './settle-addresses.ts';

const loopback = ['127.77.1.10', '127.77.1.11'];
const poolId = '/subscriptions/s/resourceGroups/lab/providers/Microsoft.Network/publicIPAddresses/pool' as ResourceId; // as formatResourceId makes it
const log = { info: () => undefined } as never; // as much as is asked of it

describe('the address of a service at a start of control', () => {
  // What pool and service had, which addresses the operator has now, and what they have then; shared: what the service is reached at.
  it.each<
    [string, { pool?: string; service?: string; own: string[] }, { pool?: string; service?: string; at?: string }]
  >([
    ['the first time', { own: [] }, { service: '127.77.1.10', at: '127.77.1.10' }],
    ['stays', { service: '127.77.1.11', own: [] }, { service: '127.77.1.11', at: '127.77.1.11' }],
    ['stays on the operator’s', { service: '192.0.2.2', own: ['192.0.2.1', '192.0.2.2', '192.0.2.3'] }, { service: '192.0.2.2', at: '192.0.2.2' }], // prettier-ignore
    ['leaves loopback for the first of the operator', { service: '127.77.1.10', own: ['192.0.2.1'] }, { at: '192.0.2.1' }], // prettier-ignore
    ['leaves loopback, and the address to the pool', { pool: '127.77.1.11', service: '127.77.1.10', own: ['192.0.2.1'] }, { pool: '192.0.2.1', at: '192.0.2.1' }], // prettier-ignore
    ['leaves loopback for one of its own', { service: '127.77.1.10', own: ['192.0.2.1', '192.0.2.2'] }, { service: '192.0.2.2', at: '192.0.2.2' }], // prettier-ignore
    ['gives the only address to the pool', { pool: '127.77.1.10', service: '192.0.2.2', own: ['192.0.2.2'] }, { pool: '192.0.2.2', at: '192.0.2.2' }], // prettier-ignore
    ['goes back to loopback', { pool: '192.0.2.1', service: '192.0.2.2', own: [] }, { pool: '127.77.1.10', service: '127.77.1.11', at: '127.77.1.11' }], // prettier-ignore
  ])('%s', async (_what, { pool, service, own }, expected) => {
    const store = await openStore(':memory:', { now: 0 });
    await saveResource(store.db, {
      ...{ key: keyOf(poolId), id: poolId, typeKey: 'microsoft.network/publicipaddresses', groupKey: keyOf('/g') },
      ...{ parentKey: '', document: {}, found: {}, provisioningState: 'Succeeded', error: undefined, generation: 1 },
      ...{ etag: 'e', createdAt: 1, changedAt: 1, deletingSince: undefined },
    });
    const had = [
      ...(pool === undefined ? [] : [{ owner_key: keyOf(poolId), address: pool }]),
      ...(service === undefined ? [] : [{ owner_key: keyOf('files'), address: service }]),
    ];
    for (const row of had) await store.db.insertInto('public_addresses').values(row).execute();
    await settleAddresses(store, own, loopback, log);
    const at = await settleServiceAddress(store, { owner: 'files', isWanted: true }, own, loopback);
    const rows = await store.db.selectFrom('public_addresses').selectAll().execute();
    const of = (owner: string) => rows.find((row) => row.owner_key === owner)?.address;
    expect({ pool: of(keyOf(poolId)), service: of('files'), at }).toEqual({ pool: undefined, service: undefined, ...expected }); // prettier-ignore
    expect(await settleServiceAddress(store, { owner: 'files', isWanted: false }, own, loopback)).toBeUndefined();
    expect(await store.db.selectFrom('public_addresses').selectAll().execute()).toHaveLength(pool === undefined ? 0 : 1); // prettier-ignore
  });
});
