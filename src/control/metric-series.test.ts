/** What is measured and kept, on a real store and simulated instances. */
import { describe, expect, it, vi } from 'vitest';
import { keyOf, type ResourceId } from '../core/resource-id.ts';
import { createSimEngine } from '../engines/sim/sim-engine.ts';
import type { Session } from '../link/people.ts';
import { allocateInstances, saveModel } from '../store/instance-records.ts';
import { saveResource } from '../store/resource-records.ts';
import { openStore, type Store } from '../store/store.ts';
import { createMetricSeries } from './metric-series.ts';

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;
const noon = Date.UTC(2026, 2, 3, 12);
const { signal } = new AbortController();
const id = '/subscriptions/s/resourceGroups/lab/providers/Microsoft.Compute/virtualMachineScaleSets/team' as ResourceId; // written as one
const key = keyOf(id);

async function saveSet(store: Store): Promise<void> {
  await saveResource(store.db, {
    ...{ key, id, typeKey: 'microsoft.compute/virtualmachinescalesets', groupKey: keyOf('g'), parentKey: '' },
    ...{ document: {}, found: {}, provisioningState: 'Succeeded', error: undefined, generation: 1, etag: 'e' },
    ...{ createdAt: 1, changedAt: 1, deletingSince: undefined },
  });
}

async function prepare() {
  const time = { now: noon };
  const clock = { now: () => time.now, sleep: () => Promise.resolve() };
  const store = await openStore(':memory:');
  const engine = createSimEngine({ clock });
  await saveSet(store);
  await saveModel(store.db, key, { version: 'm', profile: {}, sizeName: 'Standard_D2_v2' });
  await allocateInstances(store.db, {
    ...{ scaleSetKey: key, count: 2, nameStem: 'p', hostnamePrefix: 'team', modelVersion: 'm' },
    ...{ addresses: ['10.0.0.2', '10.0.0.3'], taken: new Set<string>(), natPools: [], zones: [], now: 0 },
  });
  const rows = await store.db.selectFrom('instances').selectAll().orderBy('instance_id').execute();
  const [one = '', other = ''] = rows.map(({ name }) => name);
  for (const { name, hostname, address } of rows) {
    await engine.create({ ...{ name, hostname, address, image: { fingerprint: 'f' } }, ...{ cpus: 2, memoryBytes: 1_000, labels: {} } }, signal); // prettier-ignore
    await engine.setPower(name, 'running', signal);
  }
  const people = { sessions: [] as Session[], waiting: 0, isComplete: true };
  const warn = vi.fn();
  const open = () =>
    createMetricSeries({
      world: {
        ...{ store, engine, clock },
        reports: {
          sessions: () => people.sessions,
          strangersOn: () => 0,
          isComplete: () => people.isComplete,
        } as never, // the three that are asked
        log: { warn } as never,
      },
      placements: {
        pool: (pool) =>
          pool === key
            ? {
                policy: { prefer: 'fewest-users', usersPerInstance: 3 },
                instances: [one, other].map((instance) => ({ instance, reachable: true, inRotation: true })),
                idleMilliseconds: undefined,
                describe: () => ({ message: '', never: false }),
              }
            : undefined,
        waiting: () => people.waiting,
        usersOn: (name) => people.sessions.filter(({ instance }) => instance === name).length,
      },
    });
  const series = open();
  return { time, store, engine, one, other, people, warn, series, open };
}

const session = (user: string, instance: string): Session => ({
  ...{ id: `${user} ${instance}`, pool: key, user, instance, protocol: 'ssh' as const, since: 0, client: '' },
});

type Ground = Awaited<ReturnType<typeof prepare>>;

/** Lets time pass, with a pass every ten seconds; `before` may change the world. */
async function run({ time, series }: Pick<Ground, 'time' | 'series'>, milliseconds: number, before?: () => void) {
  for (const until = time.now + milliseconds; time.now < until; time.now += 10 * second) {
    before?.();
    await series.pass(signal);
  }
}

describe('metrics of instances', () => {
  it('are rates and totals of each minute; the running one holds what was measured so far', async () => {
    const ground = await prepare();
    const { engine, one, other, series, time } = ground;
    let cpuSeconds = 0;
    let networkInBytes = 0;
    await run(ground, 2 * minute + 30 * second, () => {
      cpuSeconds += 10; // of two CPUs: half of what it has
      networkInBytes += 100;
      engine.setUsage(one, { cpuSeconds, networkInBytes, memoryBytes: 250 });
    });
    const cpu = await series.read(key, 'Percentage CPU', noon, time.now, minute);
    expect(cpu.map(({ start, samples }) => [start - noon, samples.find(({ instance }) => instance === one)])).toEqual([
      [0, { instance: one, count: 5, sum: 250, minimum: 50, maximum: 50, last: 50 }],
      [minute, { instance: one, count: 6, sum: 300, minimum: 50, maximum: 50, last: 50 }],
      [2 * minute, { instance: one, count: 3, sum: 150, minimum: 50, maximum: 50, last: 50 }],
    ]);
    expect(cpu[1]?.samples.find(({ instance }) => instance === other)).toMatchObject({ count: 6, sum: 0 });
    const [, network] = await series.read(key, 'Network In Total', noon, time.now, minute);
    expect(network?.samples.find(({ instance }) => instance === one)?.sum).toBe(600);
    const [memory] = await series.read(key, 'Percentage Memory', noon, time.now, minute);
    expect(memory?.samples.find(({ instance }) => instance === one)).toMatchObject({ count: 6, last: 25 });
  });

  it('have a gap where the engine could not be asked, and go on', async () => {
    const ground = await prepare();
    await run(ground, minute);
    await run(ground, minute, () => {
      ground.engine.failNext('metrics', new Error('away'));
    });
    await run(ground, minute);
    const grains = await ground.series.read(key, 'Percentage CPU', noon, ground.time.now, minute);
    expect(grains.map(({ samples }) => samples.length)).toEqual([2, 0, 2]);
    expect(ground.warn).toHaveBeenCalledTimes(6);
    const people = await ground.series.read(key, 'Active Sessions', noon, ground.time.now, minute);
    expect(people.map(({ samples }) => samples.length)).toEqual([2, 2, 2]);
  });

  it('are measured every ten seconds, however often a pass is made', async () => {
    const { series, time } = await prepare();
    expect(await series.pass(signal)).toBe(10 * second);
    time.now += 4 * second;
    expect(await series.pass(signal)).toBe(6 * second);
    const [grain] = await series.read(key, 'Percentage Memory', noon, time.now, minute);
    expect(grain?.samples.map(({ count }) => count)).toEqual([1, 1]);
  });
});

describe('metrics of people', () => {
  it('are what they are at this moment, and are kept', async () => {
    const ground = await prepare();
    const { people, one, other, series, time } = ground;
    people.sessions = [session('alice', one), session('alice', one), session('bob', one)];
    people.waiting = 4;
    expect(series.current(key, 'Active Sessions')).toEqual(new Map([[one, 3], [other, 0]])); // prettier-ignore
    expect(series.current(key, 'Connected Users')).toEqual(new Map([[one, 2], [other, 0]])); // prettier-ignore
    expect(series.current(key, 'Users Per Instance')).toEqual(new Map([['', 1]]));
    expect(series.current(key, 'Waiting Users')).toEqual(new Map([['', 4]]));
    expect(series.current(key, 'Available Seats')).toEqual(new Map([['', 3]]));
    expect(series.current(key, 'Percentage CPU')).toBeUndefined();
    expect(series.current('/pools/none', 'Waiting Users')).toBeUndefined();
    await run(ground, minute);
    people.sessions = [];
    await run(ground, 10 * second);
    const grains = await series.read(key, 'Users Per Instance', noon, time.now, minute);
    expect(grains.map(({ samples }) => samples)).toEqual([
      [{ instance: '', count: 6, sum: 6, minimum: 1, maximum: 1, last: 1 }],
      [{ instance: '', count: 1, sum: 0, minimum: 0, maximum: 0, last: 0 }],
    ]);
  });

  it('are not known before the gateways have said who is there, but for those who wait', async () => {
    const { people, series } = await prepare();
    people.isComplete = false;
    expect(series.current(key, 'Active Sessions')).toBeUndefined();
    expect(series.current(key, 'Available Seats')).toBeUndefined();
    expect(series.current(key, 'Waiting Users')).toEqual(new Map([['', 0]]));
  });
});

describe('what was measured', () => {
  it('is there after a restart, but for the running minute', async () => {
    const ground = await prepare();
    await run(ground, 2 * minute + 30 * second);
    const again = { ...ground, series: ground.open() };
    await run(again, 40 * second);
    const grains = await again.series.read(key, 'Waiting Users', noon, ground.time.now, minute);
    expect(grains.map(({ samples }) => samples[0]?.count ?? 0)).toEqual([6, 6, 3, 1]);
  });

  it('is joined to longer grains, also of hours from what is kept of minutes and hours', async () => {
    const ground = await prepare();
    ground.people.waiting = 1;
    await run(ground, hour + 10 * minute);
    const counts = async (grain: number) =>
      (await ground.series.read(key, 'Waiting Users', noon, ground.time.now, grain)).map(
        ({ samples }) => samples[0]?.count,
      );
    expect(await counts(30 * minute)).toEqual([180, 180, 60]);
    expect(await counts(hour)).toEqual([360, 60]);
    // Grains begin at whole multiples of their length: 13:10 lies in the one that begins at 13:00, and it is asked from 12:01 on.
    expect(await ground.series.read(key, 'Waiting Users', noon + minute, ground.time.now, hour)).toHaveLength(1);
  });

  it('has no grains that have not begun', async () => {
    const ground = await prepare();
    await run(ground, minute);
    const grains = await ground.series.read(key, 'Waiting Users', noon - minute, noon + hour, minute);
    expect(grains.map(({ start, samples }) => [start - noon, samples.length])).toEqual([
      [-minute, 0],
      [0, 1],
      [minute, 0],
    ]);
  });

  it('is kept by minutes for a day, and by hours for 90 days', async () => {
    const ground = await prepare();
    const { time, series, store } = ground;
    const kept = async (from: number, grain: number) =>
      (await series.read(key, 'Waiting Users', from, from + hour, grain)).filter(({ samples }) => samples.length > 0);
    await run(ground, 2 * minute);
    time.now = noon + day + 5 * minute;
    await run(ground, 2 * minute);
    expect(await kept(noon, minute)).toEqual([]);
    expect(await kept(noon, hour)).toHaveLength(1);
    time.now = noon + 91 * day + hour;
    await run(ground, 2 * minute);
    expect(await kept(noon, hour)).toEqual([]);
    const rows = await store.db.selectFrom('metric_samples').select('start').distinct().execute();
    expect(Math.min(...rows.map(({ start }) => start))).toBeGreaterThanOrEqual(noon + day);
  });

  it('goes with its scale set: one of the same name begins with nothing', async () => {
    const ground = await prepare();
    const { store, series, time } = ground;
    await run(ground, 3 * minute);
    await store.db.deleteFrom('resources').execute();
    await run(ground, 2 * minute);
    expect(await store.db.selectFrom('metric_samples').selectAll().execute()).toEqual([]);
    expect(await store.db.selectFrom('metric_series').selectAll().execute()).toEqual([]);
    await saveSet(store);
    await run(ground, 2 * minute);
    const grains = await series.read(key, 'Percentage Memory', noon, time.now, minute);
    expect(grains.map(({ samples }) => samples.length > 0)).toEqual([false, false, false, false, false, true, true]);
  });

  it('waits in memory while the store cannot be written, and is written once', async () => {
    const ground = await prepare();
    const { store, time, series } = ground;
    await run(ground, minute);
    await store.db.schema.alterTable('metric_samples').renameTo('away').execute();
    await expect(series.pass(signal)).rejects.toThrow();
    await store.db.schema.alterTable('away').renameTo('metric_samples').execute();
    time.now += 10 * second;
    await series.pass(signal);
    const grains = await series.read(key, 'Waiting Users', noon, time.now, minute);
    expect(grains.map(({ samples }) => samples[0]?.count)).toEqual([6, 2]);
  });
});
