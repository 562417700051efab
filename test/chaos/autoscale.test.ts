/** Autoscale on simulated instances, with a whole control, measurements that the test makes, and reports of a gateway. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { ControlParts } from '../../src/control/assemble.ts';
import type { MetricReader } from '../../src/control/metric-reader.ts';
import type { ScaleNotification } from '../../src/control/notification.ts';
import { automaticChange, operatorsCapacity } from '../../src/control/scale-automatically.ts';
import type { JsonObject } from '../../src/core/json.ts';
import type { ResourceId } from '../../src/core/resource-id.ts';
import { createSimEngine } from '../../src/engines/sim/sim-engine.ts';
import type { Session } from '../../src/link/people.ts';
import type { MetricGrain, MetricName } from '../../src/pool/metrics.ts';
import { readScaleSet } from '../../src/providers/compute/scale-set-model.ts';
import { findActivities } from '../../src/store/activity-log.ts';
import { findInstances } from '../../src/store/instance-records.ts';
import { findResource } from '../../src/store/resource-records.ts';
import { Life } from './mortal.ts';
import { createTestClock, startSimControl, subscriptionId, type SimControl } from './sim-control.ts';

const group = `/subscriptions/${subscriptionId}/resourceGroups/team` as ResourceId;
const thing = (type: string, name: string) => `${group}/providers/${type}/${name}` as ResourceId;
const set = thing('Microsoft.Compute/virtualMachineScaleSets', 'pool');
const setting = thing('Microsoft.Insights/autoscaleSettings', 'pool');
const minute = 60_000;

const rule = (direction: 'Increase' | 'Decrease', trigger: JsonObject, action: JsonObject = {}): JsonObject => ({
  metricTrigger: {
    ...{ metricName: 'Percentage CPU', metricResourceUri: set, timeGrain: 'PT1M', statistic: 'Average' },
    ...{ timeWindow: 'PT5M', timeAggregation: 'Average', ...trigger },
  },
  scaleAction: { direction, type: 'ChangeCount', value: '1', cooldown: 'PT5M', ...action },
});
const byUsers = [
  rule('Increase', { metricName: 'Users Per Instance', operator: 'GreaterThan', threshold: 4 }),
  rule('Decrease', { metricName: 'Users Per Instance', operator: 'LessThan', threshold: 1 }),
];
const byCpu = [
  rule('Increase', { operator: 'GreaterThanOrEqual', threshold: 80 }),
  rule('Decrease', { operator: 'LessThanOrEqual', threshold: 60 }),
];

/** A pool of some instances, and an autoscale setting over it. */
async function prepare(rules: JsonObject[], capacity = 2, bounds = { minimum: '0', maximum: '6', default: '0' }) {
  const folder = mkdtempSync(join(tmpdir(), 'poolhouse-autoscale-'));
  onTestFinished(() => {
    rmSync(folder, { recursive: true });
  });
  const clock = createTestClock();
  const engine = createSimEngine({ clock });
  let made = 0;
  const ids = () => `00000000-0000-4000-8000-${(made += 1).toString(16).padStart(12, '0')}`;
  /** What every instance is measured to be, always; nothing: it cannot be read. */
  const measured = new Map<MetricName, number>();
  const metrics: MetricReader = {
    read: (_set, metric, from, to, length) => {
      const value = measured.get(metric);
      const starts = Array.from({ length: Math.floor((to - from) / length) }, (_, index) => from + index * length);
      return Promise.resolve(
        starts.map((start): MetricGrain => {
          if (value === undefined) return { start, samples: [] };
          return {
            start,
            samples: [{ instance: '', count: 1, sum: value, minimum: value, maximum: value, last: value }],
          };
        }),
      );
    },
    current: (_set, metric) => {
      const value = measured.get(metric);
      return value === undefined ? undefined : new Map([['', value]]);
    },
  };
  const notified: ScaleNotification[] = [];
  const sessions: Session[] = [];
  const parts: Partial<ControlParts> = {
    ...{ metrics, notify: (event) => notified.push(event) },
    surroundings: { engine: { real: true, memoryBytes: 8 * 2 ** 30, cpus: 8 }, recipeOf: () => 'simulated' },
  };
  const start = (life: Life) =>
    startSimControl(join(folder, 'store.sqlite'), engine, clock, life, ids, () => Promise.resolve([]), parts);
  const control = await start(new Life());
  onTestFinished(() => control.close());

  const turn = async (turns = 1) => {
    for (let turned = 0; turned < turns; turned += 1) {
      const about = { gateway: 'g', pid: 1, phase: 'serving' as const, startedAt: 0, revision: 1 };
      const connections = sessions.map(({ instance }) => ({ route: 'r', instance, open: 1 }));
      control.reports.take({ ...about, probes: [], failures: [], connections, sessions: [...sessions] }, clock.now());
      await control.turn();
    }
  };
  const record = async (id: ResourceId = set) => {
    const found = await findResource(control.world.store.db, id);
    if (found === undefined) throw new Error(`${id} is not there`);
    return found;
  };
  const count = async () => readScaleSet((await record()).document).capacity;

  await control.service.put(group, { location: 'westeurope' }, {});
  const network = thing('Microsoft.Network/virtualNetworks', 'net');
  const subnets = [{ name: 'a', properties: { addressPrefix: '10.0.0.0/24' } }];
  const space = { addressSpace: { addressPrefixes: ['10.0.0.0/16'] }, subnets };
  await control.service.put(network, { location: 'westeurope', properties: space }, {});
  const address = { name: 'ip', properties: { subnet: { id: `${network}/subnets/a` } } };
  const card = { name: 'nic', properties: { primary: true, ipConfigurations: [address] } };
  const profile = {
    storageProfile: { imageReference: { publisher: 'Debian', offer: 'debian-12', sku: '12', version: 'latest' } },
    osProfile: { computerNamePrefix: 'pool', adminUsername: 'carol', adminPassword: 'Very-Secret-9' },
    networkProfile: { networkInterfaceConfigurations: [card] },
  };
  const properties = { upgradePolicy: { mode: 'Manual' }, virtualMachineProfile: profile };
  const asked = { location: 'westeurope', sku: { name: 'Standard_B1s', capacity }, properties };
  await control.service.put(set, asked, {});
  await turn(30);
  const putSetting = (more: JsonObject = {}) =>
    control.service.put(
      setting,
      {
        location: 'westeurope',
        properties: {
          ...{ enabled: true, targetResourceUri: set, profiles: [{ name: 'default', capacity: bounds, rules }] },
          notifications: [{ operation: 'Scale', webhooks: [{ serviceUri: 'https://example.org/hook' }] }],
          ...more,
        },
      },
      {},
    );
  await putSetting();
  return { control, clock, turn, record, count, measured, notified, sessions, start, putSetting };
}

const activities = async (control: SimControl) =>
  (await findActivities(control.world.store.db, { resourceId: set }))
    .map(({ operation, status, message }) => `${operation.split('/').at(-2) ?? ''} ${status}: ${message}`)
    .toReversed();
const autoscalePass = (control: SimControl) =>
  control.loops.find(({ name }) => name === 'autoscale')?.pass(new AbortController().signal);

describe('autoscale', { timeout: 60_000 }, () => {
  it('makes more instances as soon as people come, and fewer when they have gone, and tells of it', async () => {
    const { control, clock, turn, count, measured, notified, record } = await prepare(byUsers);
    measured.set('Users Per Instance', 5);
    await turn();
    expect(await count()).toBe(3);
    await turn(20);
    expect(await count()).toBe(3); // the cooldown
    expect(await findInstances(control.world.store.db)).toHaveLength(3);
    measured.set('Users Per Instance', 0);
    clock.advance(4 * minute);
    await turn();
    expect(await count()).toBe(3);
    clock.advance(minute);
    await turn();
    expect(await count()).toBe(2);
    expect(automaticChange(await record())).toMatchObject({ by: 'autoscale', from: 3, to: 2, operators: 2 });
    expect(await activities(control)).toEqual([
      "Scaleup Succeeded: Scaled out from 2 to 3 instances: Users Per Instance was 5 (> 4) (profile 'default').",
      "Scaledown Succeeded: Scaled in from 3 to 2 instances: Users Per Instance was 0 (< 1) (profile 'default').",
    ]);
    expect(notified.map(({ operation, oldCapacity, newCapacity }) => [operation, oldCapacity, newCapacity])).toEqual([
      ['Scale Out', 2, 3],
      ['Scale In', 3, 2],
    ]);
    expect(notified[0]).toMatchObject({ settingId: setting, settingName: 'pool', resourceId: set });
    expect(notified[0]?.notifications).toEqual([expect.objectContaining({ operation: 'Scale' })]);
  });

  it('looks every second where people count, and now and then where they do not', async () => {
    const { control, measured } = await prepare(byUsers);
    measured.set('Users Per Instance', 2);
    expect(await autoscalePass(control)).toBe(1_000);
    const other = await prepare(byCpu);
    other.measured.set('Percentage CPU', 70);
    expect(await autoscalePass(other.control)).toBe(5_000);
  });

  it("brings an operator's number inside the bounds, and remembers it", async () => {
    const { control, turn, count, record } = await prepare([], 2, { minimum: '1', maximum: '4', default: '1' });
    await control.service.patch(set, { sku: { capacity: 6 } }, {});
    await turn();
    expect(await count()).toBe(4);
    expect(operatorsCapacity(await record())).toBe(6);
    await control.service.patch(set, { sku: { capacity: 0 } }, {});
    await turn(3);
    expect(await count()).toBe(1);
    expect(operatorsCapacity(await record())).toBe(0);
    await control.service.patch(set, { sku: { capacity: 3 } }, {});
    await turn(3);
    expect(await count()).toBe(3);
    expect(automaticChange(await record())).toBeUndefined();
  });

  it('keeps its cooldown when an operator changes the number meanwhile', async () => {
    const { control, clock, turn, count, measured } = await prepare(byUsers);
    measured.set('Users Per Instance', 5);
    await turn();
    await control.service.patch(set, { sku: { capacity: 1 } }, {});
    await turn(5);
    expect(await count()).toBe(1);
    clock.advance(5 * minute);
    await turn();
    expect(await count()).toBe(2);
  });

  it('keeps the machines on which people work', async () => {
    const { control, clock, turn, count, measured, sessions } = await prepare(byCpu, 3, {
      ...{ minimum: '0', maximum: '6', default: '0' },
    });
    measured.set('Percentage CPU', 1);
    const [first] = await findInstances(control.world.store.db);
    const about = { protocol: 'ssh' as const, since: 0, client: '127.0.0.1' };
    sessions.push({ ...about, id: 'a', user: 'ada', instance: first?.name ?? '', pool: first?.scaleSetKey ?? '' });
    for (let rounds = 0; rounds < 5; rounds += 1) {
      clock.advance(6 * minute);
      await turn(10);
    }
    expect(await count()).toBe(1);
    expect((await findInstances(control.world.store.db)).map(({ name }) => name)).toEqual([first?.name]);
    sessions.length = 0;
    clock.advance(6 * minute);
    await turn(10);
    expect(await count()).toBe(0);
  });

  it('goes to the default when what instances do cannot be read, once they have run for a while', async () => {
    const { clock, turn, count } = await prepare(byCpu, 1, { minimum: '0', maximum: '6', default: '3' });
    await turn(5);
    expect(await count()).toBe(1);
    clock.advance(3 * minute);
    await turn(2);
    expect(await count()).toBe(3);
  });

  it('does nothing where it is off, and to what its operator has switched off', async () => {
    const { control, turn, count, measured, putSetting } = await prepare(byUsers);
    measured.set('Users Per Instance', 5);
    await putSetting({ enabled: false });
    await turn(3);
    expect(await count()).toBe(2);
    await control.service.act(set, 'deallocate', {});
    await putSetting();
    await turn(3);
    expect(await count()).toBe(2);
  });

  it('tells once of flapping that it avoids, and again when it comes again', async () => {
    const { control, turn, measured } = await prepare(byCpu, 3);
    measured.set('Percentage CPU', 60);
    await turn(5);
    const [told, ...more] = await activities(control);
    expect(told).toMatch(/^Flapping Succeeded: Did not scale in from 3 to 2 instances/);
    expect(more).toEqual([]);
    measured.set('Percentage CPU', 70);
    await turn();
    measured.set('Percentage CPU', 60);
    await turn();
    expect(await activities(control)).toHaveLength(2);
  });

  it('says why it cannot have more, once, and goes on trying', async () => {
    const { control, clock, turn, count, measured, record } = await prepare(
      [rule('Increase', { metricName: 'Users Per Instance', operator: 'GreaterThan', threshold: 4 }, { value: '9' })],
      2,
      { minimum: '0', maximum: '20', default: '0' },
    );
    measured.set('Users Per Instance', 5);
    await turn(3);
    clock.advance(minute);
    await turn(3);
    expect(await count()).toBe(2);
    const [told, ...more] = await activities(control);
    expect(told).toMatch(
      /^Scaleup Failed: Could not scale out from 2 to 11 instances, and tries again: Allocation failed/,
    );
    expect(more).toEqual([]);
    expect((await record(setting)).found['$lastScale']).toEqual([]);
    await control.service.patch(set, { sku: { name: 'Standard_B1ls' } }, {}); // half a GiB each
    clock.advance(minute);
    await turn(2);
    expect(await count()).toBe(11);
  });

  it('leaves an empty pool to who wakes it, and keeps what was woken for a cooldown', async () => {
    const { control, clock, turn, count, measured } = await prepare(byUsers, 0);
    measured.set('Users Per Instance', 0);
    const over = new AbortController();
    const question = { ticket: 't', pool: set.toLowerCase(), user: 'ada', unusable: [] };
    const answer = control.placements.answer(question, over.signal);
    await turn();
    over.abort();
    await answer;
    expect(await count()).toBe(1);
    await turn(10);
    expect(await count()).toBe(1);
    clock.advance(5 * minute);
    await turn(2);
    expect(await count()).toBe(0);
    expect(await activities(control)).toEqual([expect.stringMatching(/^Scaledown Succeeded/)]);
  });

  it('alone decides about what was woken, where it is on', async () => {
    const { control, clock, turn, count, measured, putSetting } = await prepare(byUsers, 0);
    measured.set('Users Per Instance', 2);
    const over = new AbortController();
    const answer = control.placements.answer(
      { ticket: 't', pool: set.toLowerCase(), user: 'ada', unusable: [] },
      over.signal,
    );
    await turn();
    over.abort();
    await answer;
    clock.advance(40 * minute);
    await turn(3);
    expect(await count()).toBe(1);
    await putSetting({ enabled: false });
    await turn(2);
    clock.advance(40 * minute);
    await turn(3);
    expect(await count()).toBe(0);
  });

  it('scales once and tells once, wherever it is killed', async () => {
    const { control, clock, count, measured, start, putSetting, record } = await prepare(byUsers);
    measured.set('Users Per Instance', 5);
    /** A control that dies after so many steps of its pass, and one that goes on after it. */
    const round = async (steps: number): Promise<boolean> => {
      await control.service.remove(setting);
      await control.service.patch(set, { sku: { capacity: 2 } }, {});
      await putSetting();
      await control.world.store.db.deleteFrom('activity_log').execute();
      const counting = new Life();
      await (await start(counting)).close();
      const life = new Life(counting.steps + steps);
      const mortal = await start(life);
      clock.advance(30_000);
      await autoscalePass(mortal)?.catch(() => undefined);
      const wasKilled = life.isOver;
      if (!wasKilled) await mortal.close();
      const next = await start(new Life());
      clock.advance(30_000);
      for (let passes = 0; passes < 3; passes += 1) await autoscalePass(next);
      expect(await count()).toBe(3);
      expect(await activities(next)).toEqual([expect.stringMatching(/^Scaleup Succeeded: .* from 2 to 3 /)]);
      expect((await record(setting)).found['$lastScale']).toEqual([expect.objectContaining({ to: 3, told: true })]);
      await next.close();
      return wasKilled;
    };
    let steps = 1;
    while (await round(steps)) steps += 1;
    expect(steps).toBeGreaterThan(15);
  });
});
