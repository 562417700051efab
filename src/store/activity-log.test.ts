import { CompiledQuery } from 'kysely';
import { expect, it, onTestFinished } from 'vitest';
import { findInstanceActivities, noteActivity, selectInstanceActivities, type Activity } from './activity-log.ts';
import { openStore } from './store.ts';

async function prepare() {
  const store = await openStore(':memory:');
  onTestFinished(() => store.close());
  const note = (at: number, id: string, properties: Activity['properties']) =>
    noteActivity(store.db, {
      ...{ id, at, resourceId: '/sets/Team', instanceId: undefined, operation: 'o', status: 'Succeeded' },
      ...{ level: 'Informational', caller: 'c', message: 'm', properties },
    });
  return { store, note };
}

it('finds what was done to an instance by either of its names, once each, the newest first', async () => {
  const { store, note } = await prepare();
  await note(3, 'c', { instance: 'i-1', hostname: 'team000001' });
  await note(1, 'a', { instance: 'i-1', hostname: 'team000001' });
  await note(3, 'd', { hostname: 'team000001' });
  await note(2, 'b', { instance: 'i-2', hostname: 'team000002' });
  await note(9, 'e', { capacity: 3 });
  await note(4, 'f', { instance: 'same', hostname: 'same' });
  const found = async (name: string, most = 9) =>
    (await findInstanceActivities(store.db, name, most)).map(({ id }) => id).join(' ');
  expect(await found('team000001')).toBe('d c a');
  expect(await found('i-1')).toBe('c a');
  expect(await found('team000001', 2)).toBe('d c');
  expect(await found('same')).toBe('f');
  expect(await found(`x' or 1`)).toBe('');
});

it('reads nothing of other instances for it', async () => {
  const { store } = await prepare();
  const { sql, parameters } = selectInstanceActivities(store.db, 'i-1', 50).compile();
  const { rows } = await store.db.executeQuery<{ detail: string }>(
    CompiledQuery.raw(`EXPLAIN QUERY PLAN ${sql}`, [...parameters]),
  );
  const plan = rows.map(({ detail }) => detail).join('\n');
  expect(plan).not.toContain('SCAN');
  for (const index of ['activity_log_by_instance', 'activity_log_by_hostname'])
    expect(plan).toContain(`SEARCH activity_log USING INDEX ${index}`);
});
