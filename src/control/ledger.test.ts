/** What instances were used for, on a real store: written each minute, and added up for the command line. */
import { describe, expect, it, vi } from 'vitest';
import { keyOf, type ResourceId } from '../core/resource-id.ts';
import type { Power } from '../pool/power.ts';
import { allocateInstances, saveModel, updateInstanceState } from '../store/instance-records.ts';
import { findLedger } from '../store/ledger.ts';
import { openStore } from '../store/store.ts';
import type { Binding } from './bindings.ts';
import { createLedger } from './ledger.ts';
import { readCosts } from './read-costs.ts';

const minute = 60_000;
const day = 24 * 60 * minute;
const noon = Date.UTC(2026, 2, 3, 12);
const id = '/subscriptions/s/resourceGroups/Lab/providers/Microsoft.Compute/virtualMachineScaleSets/Team' as ResourceId; // written as one
const key = keyOf(id);
const size = 'Standard_D2_v2';

async function prepare() {
  const store = await openStore(':memory:');
  const time = { now: noon };
  const clock = { now: () => time.now, sleep: () => Promise.resolve() };
  await saveModel(store.db, key, { version: 'm', profile: {}, sizeName: size });
  await allocateInstances(store.db, {
    ...{ scaleSetKey: key, count: 2, nameStem: 'p', hostnamePrefix: 'team', modelVersion: 'm' },
    ...{ addresses: ['10.0.0.2', '10.0.0.3'], taken: new Set<string>(), natPools: [], zones: [], now: 0 },
  });
  const [one = '', other = ''] = (
    await store.db.selectFrom('instances').select('name').orderBy('instance_id').execute()
  ).map(({ name }) => name);
  const seen = {
    powers: new Map<string, Power>([one, other].map((name) => [name, 'running'])),
    bindings: [] as Binding[],
    active: new Map<string, string[]>(),
    strangersOn: 0,
    hasSeen: true,
  };
  const info = vi.fn();
  const open = () =>
    createLedger({
      world: {
        ...{ store, clock },
        live: {
          engineInstances: () => [...seen.powers.keys()].map((name) => ({ name })),
          instance: (name: string) => ({ power: seen.powers.get(name) ?? 'absent' }),
        } as never, // the two that are asked
        reports: { strangersOn: () => seen.strangersOn } as never, // the one that is asked
        log: { info } as never,
      },
      placements: {
        bindings: () => seen.bindings,
        isActive: ({ instance, user }) => seen.active.get(instance)?.includes(user) ?? true,
        activeUsersOn: () => (seen.hasSeen ? 0 : undefined),
      },
    });
  const ledger = { pass: open() };
  /** Lets minutes pass, with a pass after each. */
  const run = async (minutes: number) => {
    for (let count = 0; count < minutes; count += 1) {
      time.now += minute;
      await ledger.pass();
    }
  };
  const entries = async () =>
    (await findLedger(store.db, '2000-01-01', '2100-01-01')).map((entry) => [
      ...[entry.day, entry.user, entry.used / minute, entry.idle / minute, entry.standby / minute],
    ]);
  const bind = (user: string, instance: string, sessions = 1) => {
    seen.bindings.push({
      ...{ pool: key, user, instance, sessions, activeAt: time.now, kept: false },
      runs: { kernels: 0, others: 0 },
    });
  };
  await ledger.pass();
  return { store, clock, time, seen, ledger, open, run, entries, bind, one, other, info };
}

describe('the ledger', () => {
  it('holds whose instances were, and that the others were idle', async () => {
    const { run, entries, bind, one } = await prepare();
    await run(2);
    bind('alice', one);
    bind('bob', one);
    await run(4);
    expect(await entries()).toEqual([
      ['2026-03-03', '', 0, 8, 0],
      ['2026-03-03', 'alice', 2, 0, 0],
      ['2026-03-03', 'bob', 2, 0, 0],
    ]);
  });

  it('counts those who are active, and connections of people whom nobody knows', async () => {
    const { run, entries, bind, one, other, seen } = await prepare();
    seen.powers.delete(other);
    bind('alice', one, 0);
    bind('bob', one, 2);
    seen.active.set(one, ['bob']);
    await run(1);
    seen.active.set(one, []);
    await run(1);
    seen.bindings = [];
    seen.strangersOn = 3;
    await run(1);
    expect(await entries()).toEqual([
      ['2026-03-03', '', 1, 1, 0],
      ['2026-03-03', 'bob', 1, 0, 0],
    ]);
  });

  it('does not count instances that are off, and standby apart, frozen or stopped', async () => {
    const { run, entries, seen, one, other, store } = await prepare();
    seen.powers.set(one, 'stopped');
    seen.powers.set(other, 'frozen');
    await run(1);
    expect(await entries()).toEqual([]);
    for (const instanceId of [0, 1])
      await updateInstanceState(store.db, { scaleSetKey: key, instanceId }, (state) => ({
        ...state,
        standby: { since: 0, as: 'stopped' },
      }));
    await run(3);
    expect(await entries()).toEqual([['2026-03-03', '', 0, 0, 6]]);
  });

  it('begins with an instance, and ends with it', async () => {
    const { run, entries, seen, one, other, store, time } = await prepare();
    await store.db
      .updateTable('instances')
      .set({ created_at: time.now + minute / 2 })
      .where('name', '=', one)
      .execute();
    await run(1);
    expect(await entries()).toEqual([['2026-03-03', '', 0, 1.5, 0]]);
    seen.powers.delete(one);
    await run(1);
    await store.db.deleteFrom('instances').where('name', '=', other).execute();
    await run(1);
    expect(await entries()).toEqual([['2026-03-03', '', 0, 2.5, 0]]);
  });

  it('bridges a restart of up to two minutes, once control has looked; what was longer is not known', async () => {
    const { run, entries, seen, ledger, open, time, info } = await prepare();
    await run(1);
    seen.hasSeen = false;
    ledger.pass = open();
    time.now += minute;
    expect(await ledger.pass()).toBe(1_000);
    seen.hasSeen = true;
    const { powers } = seen;
    time.now += minute / 2;
    seen.powers = new Map(powers);
    await ledger.pass();
    expect(await entries()).toEqual([['2026-03-03', '', 0, 5, 0]]);
    expect(info).not.toHaveBeenCalled();
    ledger.pass = open();
    time.now += 3 * minute;
    await ledger.pass();
    expect(await entries()).toEqual([['2026-03-03', '', 0, 5, 0]]);
    expect(info).toHaveBeenCalledOnce();
    await run(1);
    expect(await entries()).toEqual([['2026-03-03', '', 0, 7, 0]]);
  });

  it('adds once a minute, however often a pass is made', async () => {
    const { entries, ledger, time } = await prepare();
    time.now += 20_000;
    expect(await ledger.pass()).toBe(40_000);
    time.now += 40_000;
    await ledger.pass();
    await ledger.pass();
    expect(await entries()).toEqual([['2026-03-03', '', 0, 2, 0]]);
  });

  it('is kept for 400 days', async () => {
    const { run, entries, time } = await prepare();
    await run(1);
    time.now = noon + 400 * day;
    await run(1);
    expect(await entries()).toHaveLength(1);
    time.now += day;
    await run(1);
    expect(await entries()).toEqual([]);
  });
});

describe('costs', () => {
  async function used() {
    const ground = await prepare();
    const { run, bind, one, time } = ground;
    bind('alice', one);
    await run(60);
    time.now = noon + day;
    await run(31);
    const ask = (query: Record<string, string>, prices: Record<string, number> = { standard_d2_V2: 0.5 }) =>
      readCosts(ground, { prices, currency: 'EUR' }, query);
    return { ...ground, ask };
  }

  it('are added up by pool for the last 30 days where nothing else is asked for', async () => {
    const { ask } = await used();
    expect(await ask({})).toEqual({
      ...{ by: 'pool', from: '2026-02-03', to: '2026-03-04', pool: null, currency: 'EUR', unpriced: [] },
      rows: [{ key: 'lab/team', usedHours: 1.5, idleHours: 1.5, standbyHours: 0, cost: 1.5 }],
      total: { key: '', usedHours: 1.5, idleHours: 1.5, standbyHours: 0, cost: 1.5 },
    });
  });

  it('are of the days, the pool, the users and the sizes that are asked for', async () => {
    const { ask } = await used();
    const keys = async (query: Record<string, string>) =>
      (await ask(query)).rows.map(({ key: name, cost }) => [name, cost]);
    expect(await keys({ by: 'day' })).toEqual([['2026-03-03', 1], ['2026-03-04', 0.5]]); // prettier-ignore
    expect(await keys({ by: 'user', pool: 'team' })).toEqual([['', 0.75], ['alice', 0.75]]); // prettier-ignore
    expect(await keys({ by: 'size', from: '2026-03-04', to: '2026-03-04' })).toEqual([[size, 0.5]]);
    expect(await keys({ to: '2026-03-02' })).toEqual([]);
  });

  it('have no money where there is no price, and say so', async () => {
    const { ask } = await used();
    const costs = await ask({}, { Standard_D1: 1 });
    expect(costs.unpriced).toEqual([size]);
    expect(costs.total.cost).toBeNull();
  });

  it.each([
    [{ by: 'colour' }, 'InvalidParameter'],
    [{ from: '2026-02-30' }, 'InvalidParameter'],
    [{ from: '2026-03-02', to: '2026-03-01' }, 'InvalidParameter'],
    [{ colour: 'red' }, 'InvalidParameter'],
    [{ pool: 'none' }, 'ResourceNotFound'],
  ])('are refused for %j', async (query, code) => {
    const { ask } = await used();
    await expect(ask(query as unknown as Record<string, string>)).rejects.toMatchObject({ code }); // what a client may send
  });
});
