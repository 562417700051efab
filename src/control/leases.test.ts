/** Who keeps a machine until when, on a real store. */
import { describe, expect, it } from 'vitest';
import { formatResourceId, groupId, keyOf, parseResourceId } from '../core/resource-id.ts';
import { allocateInstances } from '../store/instance-records.ts';
import { saveResource } from '../store/resource-records.ts';
import { openStore } from '../store/store.ts';
import { createLeases } from './leases.ts';

const hour = 3_600_000;
const noon = new Date(2026, 2, 3, 12).getTime();
const id = formatResourceId(
  parseResourceId('/subscriptions/s/resourceGroups/lab/providers/Microsoft.Compute/virtualMachineScaleSets/team'),
);
const pool = keyOf(id);
const group = keyOf(groupId('s', 'lab'));

async function prepare(tags: Record<string, string> = {}) {
  const store = await openStore(':memory:', { now: 0 });
  await saveResource(store.db, {
    ...{ key: pool, id, typeKey: 'microsoft.compute/virtualmachinescalesets', groupKey: group, parentKey: '' },
    ...{ document: { tags }, found: {}, provisioningState: 'Succeeded', error: undefined, generation: 1, etag: 'e' },
    ...{ createdAt: 1, changedAt: 1, deletingSince: undefined },
  });
  await allocateInstances(store.db, {
    ...{ scaleSetKey: pool, count: 1, nameStem: 'p', hostnamePrefix: 'team', modelVersion: 'm' },
    ...{ addresses: ['10.0.0.2'], taken: new Set<string>(), natPools: [], zones: [], now: 0 },
  });
  const instance = (await store.db.selectFrom('instances').select('name').executeTakeFirstOrThrow()).name;
  const world = { now: noon };
  const leases = createLeases({
    store,
    clock: { now: () => world.now },
    placements: {
      bindings: () => [
        { pool, user: 'alice', instance, sessions: 1, activeAt: 0, kept: false, runs: { kernels: 0, others: 0 } },
      ],
    },
    log: { info: () => undefined },
  });
  const keep = (until?: string, user = 'alice') => leases.keep({ pool, user, until });
  return { leases, keep, world, instance, instances: new Set([instance]) };
}

describe('a lease', () => {
  it('binds until its time, and is told of', async () => {
    const { leases, keep, world, instance, instances } = await prepare();
    expect((await keep()).message).toMatch(/^Nothing is kept/);
    expect((await keep('2h')).message).toMatch(/^team\S+ is kept.*14:00/);
    expect((await keep()).message).toContain('14:00');
    expect(await leases.current(instances)).toEqual([{ pool, user: 'alice', instance, activeAt: 0, kept: true }]);
    world.now = noon + 2 * hour;
    expect((await keep()).message).toMatch(/^Nothing is kept/);
    expect(await leases.current(instances)).toEqual([]);
  });

  it('is replaced by a later or an earlier one, and given up', async () => {
    const { leases, keep, instances } = await prepare();
    await keep('2h');
    expect((await keep('13:00')).message).toContain('13:00');
    expect(await leases.current(instances)).toHaveLength(1);
    expect((await keep('off')).outcome).toBe('done');
    expect(await leases.current(instances)).toEqual([]);
  });

  it('goes with its instance', async () => {
    const { leases, keep, instances } = await prepare();
    await keep('2h');
    expect(await leases.current(new Set())).toEqual([]);
    expect(await leases.current(instances)).toEqual([]);
  });

  it.each([
    ['longer than the pool allows', {}, '25h', 'alice', /24 hours at most/],
    ['where the pool allows none', { 'poolhouse-keep-hours': '0' }, '1h', 'alice', /keeps no machine/],
    ['longer than its tag allows', { 'poolhouse-keep-hours': '1' }, '2h', 'alice', /1 hours? at most/],
    ['until no time', {}, 'tomorrow', 'alice', /'tomorrow' is no time/],
    ['of who is nowhere', {}, '1h', 'bob', /no machine of this pool/],
  ])('is refused: %s', async (_, tags, until, user, message) => {
    const { leases, keep, instances } = await prepare(tags);
    const answer = await keep(until, user);
    expect(answer.outcome).toBe('refused');
    expect(answer.message).toMatch(message);
    expect(await leases.current(instances)).toEqual([]);
  });
});
