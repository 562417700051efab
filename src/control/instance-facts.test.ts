import { describe, expect, it } from 'vitest';
import { noteActivity } from '../store/activity-log.ts';
import { eraseInstance } from '../store/instance-records.ts';
import { saveLease } from '../store/leases.ts';
import { createBindings } from './bindings.ts';
import { whyInstance } from './instance-facts.ts';
import { openTestPool, scaleSetId } from './test-support.ts';

async function prepare() {
  const pool = await openTestPool();
  const { world, now, key, instance } = pool;
  const { name, hostname, instanceId } = await instance();
  const bindings = createBindings();
  const note = (message: string, at = now.at) =>
    noteActivity(world.store.db, {
      ...{ id: message, at, resourceId: scaleSetId, instanceId, operation: 'o', status: 'Succeeded' as const },
      ...{ level: 'Informational' as const, caller: 'autoscale', message, properties: { instance: name, hostname } },
    });
  const why = (asked = hostname) => whyInstance(world, bindings, asked);
  return { ...pool, key, name, hostname, bindings, note, why };
}

describe('why an instance is up', () => {
  it('is told with who is on it, and until when somebody keeps it', async () => {
    const { world, now, key, name, hostname, bindings, note, why } = await prepare();
    const lease = { pool: key, user: 'bob', instance: name, until: now.at + 3_600_000 };
    await saveLease(world.store.db, lease);
    const session = { id: '1', pool: key, user: 'ada', instance: name, since: 1, protocol: 'ssh' as const, client: '' };
    bindings.see(
      [{ ...session, activeAt: now.at - 1 }],
      [
        { pool: key, user: 'ada', instance: name, activeAt: 5, runs: { kernels: 2, others: 1 } },
        { pool: key, user: 'bob', instance: name, activeAt: 0, kept: true },
      ],
      now.at,
    );
    await note(`${hostname} was made.`);
    expect(await why()).toMatchObject({
      ...{ instance: hostname, pool: 'lab/pool', present: true, capacity: 1, operatorsCapacity: 1, drainsUntil: null },
      people: [
        { user: 'ada', sessions: 1, kernels: 2, processes: 1, activeAt: '2026-11-26T11:59:59.999Z', keptUntil: null },
        { user: 'bob', sessions: 0, activeAt: null, keptUntil: '2026-11-26T13:00:00.000Z' },
      ],
      history: [{ message: `${hostname} was made.`, caller: 'autoscale' }],
    });
  });

  it('is told of one that is gone, by either of its names', async () => {
    const { world, instance, name, hostname, note, why } = await prepare();
    await note(`${hostname} was made.`, 1);
    await note(`${hostname} was removed: it drained and nobody is there.`, 2);
    await eraseInstance(world.store.db, await instance());
    for (const asked of [name, hostname])
      expect(await why(asked)).toMatchObject({
        ...{ instance: hostname, present: false, people: [], capacity: null },
        because: [expect.stringContaining('it drained and nobody is there')],
      });
  });

  it('is not told of one that never was', async () => {
    const { why } = await prepare();
    await expect(why('team999999')).rejects.toMatchObject({ code: 'InstanceNotFound' });
  });
});
