/** Which sessions are remembered, on a real store. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { formatResourceId, groupId, keyOf, parseResourceId } from '../core/resource-id.ts';
import type { Session } from '../link/people.ts';
import { saveResource } from '../store/resource-records.ts';
import { findSessionHistory, historyKeptFor } from '../store/session-history.ts';
import { openStore, type Store } from '../store/store.ts';
import { poolHistory } from './pool-history.ts';
import { createSessionRecorder } from './record-sessions.ts';

const minute = 60_000;
const id = formatResourceId(
  parseResourceId('/subscriptions/s/resourceGroups/lab/providers/Microsoft.Compute/virtualMachineScaleSets/team'),
);
const pool = keyOf(id);

describe('the history of sessions', () => {
  let store: Store;
  let now: number;
  let sessions: Session[];
  beforeEach(async () => {
    store = await openStore(':memory:');
    [now, sessions] = [1_000 * minute, []];
  });
  afterEach(() => store.close());

  const recorder = () =>
    createSessionRecorder({
      store,
      reports: { sessions: () => sessions },
      clock: { now: () => now, sleep: () => Promise.resolve() },
    });
  const session = (name: string, user = 'alice'): Session => ({
    ...{ id: name, pool, user, instance: 'i', protocol: 'ssh', since: now, client: '' },
  });
  const history = async () =>
    (await findSessionHistory(store.db, pool)).map(({ user, start, end }) => [user, start / minute, end / minute]);

  it('has each with its beginning and its end', async () => {
    const pass = recorder();
    sessions = [session('1')];
    await pass();
    now += 2 * minute;
    sessions.push(session('2', 'bob'));
    await pass();
    now += minute;
    sessions = sessions.slice(1);
    await pass();
    now += minute;
    await pass();
    expect(await history()).toEqual([
      ['alice', 1_000, 1_003],
      ['bob', 1_002, 1_002],
    ]);
    sessions = [];
    await pass();
    expect(await history()).toEqual([
      ['alice', 1_000, 1_003],
      ['bob', 1_002, 1_004],
    ]);
  });

  it('loses no more than five minutes of one when control is killed, and goes on with it', async () => {
    const before = recorder();
    sessions = [session('1')];
    for (let passed = 0; passed < 12; passed += 1, now += minute) await before();
    const [[, , seen] = []] = await history();
    expect(seen).toBeGreaterThanOrEqual(1_007);
    const after = recorder();
    await after();
    now += minute;
    sessions = [];
    await after();
    expect(await history()).toEqual([['alice', 1_000, 1_013]]);
  });

  it('is kept for ninety days', async () => {
    const pass = recorder();
    sessions = [session('1')];
    await pass();
    sessions = [];
    await pass();
    now += historyKeptFor;
    await pass();
    expect(await history()).toHaveLength(1);
    now += 6 * minute;
    await pass();
    expect(await history()).toEqual([]);
  });

  it('is told of one pool, with its settings that matter to a dry run', async () => {
    await saveResource(store.db, {
      ...{ key: pool, id, typeKey: 'microsoft.compute/virtualmachinescalesets', parentKey: '' },
      groupKey: keyOf(groupId('s', 'lab')),
      document: { tags: { 'poolhouse-users-per-instance': '3', 'poolhouse-standby': '2' } },
      ...{ found: {}, provisioningState: 'Succeeded', error: undefined, generation: 1, etag: 'e' },
      ...{ createdAt: 1, changedAt: 1, deletingSince: undefined },
    });
    const pass = recorder();
    sessions = [session('1')];
    await pass();
    expect(await poolHistory(store, 'team')).toMatchObject({
      pool: 'lab/team',
      settings: { placement: { usersPerInstance: 3 }, standby: { count: 2, as: 'stopped' } },
      sessions: [{ user: 'alice', start: now }],
    });
    await expect(poolHistory(store, 'lab/other')).rejects.toThrow(`no pool 'lab/other'`);
  });
});
