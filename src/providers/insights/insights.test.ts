/** Metrics and the activity log in the shapes that Azure's clients read. */
import { describe, expect, it } from 'vitest';
import { PoolhouseError } from '../../core/errors.ts';
import { keyOf, type ResourceId } from '../../core/resource-id.ts';
import { sampleOf } from '../../pool/fold-samples.ts';
import type { MetricGrain, MetricName } from '../../pool/metrics.ts';
import { noteActivity, type Activity } from '../../store/activity-log.ts';
import { allocateInstances } from '../../store/instance-records.ts';
import { openStore } from '../../store/store.ts';
import { createInsights } from './insights.ts';

const minute = 60_000;
const noon = Date.UTC(2026, 2, 3, 12);
const set =
  '/subscriptions/S/resourceGroups/lab/providers/Microsoft.Compute/virtualMachineScaleSets/team' as ResourceId; // written as one
const balancer = '/subscriptions/S/resourceGroups/lab/providers/Microsoft.Network/loadBalancers/lb' as ResourceId; // written as one

async function prepare() {
  const store = await openStore(':memory:');
  await allocateInstances(store.db, {
    ...{ scaleSetKey: keyOf(set), count: 2, nameStem: 'p', hostnamePrefix: 'team', modelVersion: 'm' },
    ...{ addresses: ['10.0.0.2', '10.0.0.3'], taken: new Set<string>(), natPools: [], zones: [], now: 0 },
  });
  const [one = '', other = ''] = (
    await store.db.selectFrom('instances').select('name').orderBy('instance_id').execute()
  ).map(({ name }) => name);
  const asked: [MetricName, number, number, number][] = [];
  const grains: MetricGrain[] = [
    {
      start: noon - 2 * minute,
      samples: [{ ...sampleOf(one, 10), count: 2, sum: 30, maximum: 20 }, sampleOf(other, 60)],
    },
    { start: noon - minute, samples: [] },
  ];
  const insights = createInsights({
    store,
    service: {
      subscription: () => ({ subscriptionId: 'S', tenantId: 'T', displayName: 'Poolhouse' }),
      get: (id) => {
        if (id.includes('/none')) throw new PoolhouseError('ResourceNotFound', 'It is not there.');
        return Promise.resolve({ location: 'local' });
      },
    },
    series: {
      read: (key, metric, from, to, grain) => {
        expect(key).toBe(keyOf(set));
        asked.push([metric, from - noon, to - noon, grain]);
        return Promise.resolve(grains);
      },
    },
    now: () => noon,
  });
  const metrics = (parameters: Record<string, string>, id: ResourceId = set) =>
    insights.metrics(id, (name) => parameters[name]);
  return { store, insights, metrics, asked };
}

const badRequest = (text: RegExp): unknown =>
  expect.objectContaining({ code: 'BadRequest', message: expect.stringMatching(text) as unknown });

describe('metrics', () => {
  it('are answered in the shape of Azure, all instances together, and a gap is no zero', async () => {
    const { metrics, asked } = await prepare();
    const answer = await metrics({
      metricnames: 'percentage cpu',
      timespan: '2026-03-03T11:58:00Z/2026-03-03T12:00:00Z',
      aggregation: 'Average,Minimum,maximum,Total,Count',
    });
    expect(answer).toEqual({
      cost: 1,
      timespan: '2026-03-03T11:58:00.000Z/2026-03-03T12:00:00.000Z',
      interval: 'PT1M',
      namespace: 'Microsoft.Compute/virtualMachineScaleSets',
      resourceregion: 'local',
      value: [
        expect.objectContaining({
          id: `${set}/providers/Microsoft.Insights/metrics/Percentage CPU`,
          type: 'Microsoft.Insights/metrics',
          name: { value: 'Percentage CPU', localizedValue: 'Percentage CPU' },
          unit: 'Percent',
          errorCode: 'Success',
          timeseries: [
            {
              metadatavalues: [],
              data: [
                { timeStamp: '2026-03-03T11:58:00.000Z', average: 30, minimum: 10, maximum: 60, total: 90, count: 3 },
                { timeStamp: '2026-03-03T11:59:00.000Z' },
              ],
            },
          ],
        }),
      ],
    });
    expect(asked).toEqual([['Percentage CPU', -2 * minute, 0, minute]]);
  });

  it('are of the last hour by minutes, and taken together as each is meant, where nothing else is asked for', async () => {
    const { metrics, asked } = await prepare();
    const answer = await metrics({ metricnames: 'Network In Total,Waiting Users' });
    expect(asked).toEqual([
      ['Network In Total', -60 * minute, 0, minute],
      ['Waiting Users', -60 * minute, 0, minute],
    ]);
    const [total, most] = answer['value'] as { timeseries: { data: object[] }[] }[]; // as above
    expect(total?.timeseries[0]?.data[0]).toEqual({ timeStamp: '2026-03-03T11:58:00.000Z', total: 90 });
    expect(most?.timeseries[0]?.data[0]).toEqual({ timeStamp: '2026-03-03T11:58:00.000Z', maximum: 60 });
  });

  it.each([
    ['without a zone, encoded twice', '2026-03-03T11%3A30%3A00.123456%2F2026-03-03T11%3A40%3A00.123456'],
    ['with a zone whose plus was not encoded', '2026-03-03T12:30:00.123 01:00/2026-03-03T12:40:00.123 01:00'],
  ])('take a timespan as clients write it: %s', async (_what, timespan) => {
    const { metrics, asked } = await prepare();
    await metrics({ timespan, interval: 'PT5M' });
    expect(asked).toEqual([['Percentage CPU', -30 * minute, -20 * minute + 123, 5 * minute]]);
  });

  it('are split by instance', async () => {
    const { metrics } = await prepare();
    const named = async (filter: string) => {
      const [metric] = (await metrics({ $filter: filter }))['value'] as {
        timeseries: { metadatavalues: { value: string }[]; data: { average?: number }[] }[];
      }[]; // as above
      return metric?.timeseries.map(({ metadatavalues, data }) => [metadatavalues[0]?.value, data[0]?.average]);
    };
    expect(await named("VMName eq '*'")).toEqual([['team_0', 15], ['team_1', 60]]); // prettier-ignore
    expect(await named("vmname eq 'TEAM_1' or VMName eq 'team_7'")).toEqual([['team_1', 60]]);
    await expect(named("zone eq '1'")).rejects.toEqual(badRequest(/VMName eq/));
  });

  it('are those of one instance', async () => {
    const { metrics } = await prepare();
    const id = `${set}/virtualMachines/1` as ResourceId; // written as one
    const answer = await metrics({ aggregation: 'count,average' }, id);
    expect(answer['namespace']).toBe('Microsoft.Compute/virtualMachineScaleSets/virtualMachines');
    const [metric] = answer['value'] as { timeseries: { data: object[] }[] }[]; // as above
    expect(metric?.timeseries[0]?.data[0]).toEqual({ timeStamp: '2026-03-03T11:58:00.000Z', count: 1, average: 60 });
    await expect(metrics({ metricnames: 'Waiting Users' }, id)).rejects.toEqual(badRequest(/Valid metrics: Per/));
  });

  it.each<[string, Record<string, string>, RegExp]>([
    ['an unknown name', { metricnames: 'CPU' }, /metric: CPU, Valid metrics: Percentage CPU,.*Available Seats$/],
    ['an unknown interval', { interval: 'PT2M' }, /PT1M, PT5M/],
    ['an unknown aggregation', { aggregation: 'Median' }, /'median'.*Average, Minimum/],
    ['a time that is none', { timespan: 'yesterday/today' }, /start of the timespan 'yesterday'/],
    ['a timespan that ends before it begins', { timespan: '2026-03-03T12:00Z/2026-03-03T11:00Z' }, /START before END/],
    ['more than can be answered', { timespan: '2025-01-01T00:00Z/2026-03-03T11:00Z' }, /more than 10000 intervals/],
  ])('refuse %s with what there is', async (_what, parameters, text) => {
    const { metrics } = await prepare();
    await expect(metrics(parameters)).rejects.toEqual(badRequest(text));
  });

  it('are of scale sets only, and of those that there are', async () => {
    const { metrics, insights } = await prepare();
    await expect(metrics({}, balancer)).rejects.toEqual(badRequest(/loadBalancers/));
    const none = set.replace('team', 'none') as ResourceId; // written as one
    await expect(insights.metricDefinitions(none)).rejects.toMatchObject({ code: 'ResourceNotFound' });
  });

  it('are defined with unit, aggregations and how long they are kept', async () => {
    const { insights } = await prepare();
    const { value } = (await insights.metricDefinitions(set)) as { value: { name: { value: string } }[] }; // as its name says
    expect(value).toHaveLength(12);
    expect(value[0]).toMatchObject({
      ...{ resourceId: set, name: { value: 'Percentage CPU' }, unit: 'Percent', primaryAggregationType: 'Average' },
      supportedAggregationTypes: ['Average', 'Minimum', 'Maximum', 'Total', 'Count'],
      dimensions: [{ value: 'VMName' }],
    });
    expect(value[0]).toHaveProperty('metricAvailabilities.0', { timeGrain: 'PT1M', retention: 'P1D' });
    expect(value[0]).toHaveProperty('metricAvailabilities.4', { timeGrain: 'PT1H', retention: 'P90D' });
  });
});

describe('the activity log', () => {
  const setting = '/subscriptions/S/resourceGroups/lab2/providers/Microsoft.Insights/autoscaleSettings/a';
  const activity = (id: string, at: number, changes: Partial<Activity> = {}): Activity => ({
    ...{ id, at, resourceId: set, instanceId: undefined, operation: 'Microsoft.Compute/virtualMachineScaleSets/write' },
    ...{ status: 'Succeeded', level: 'Informational', caller: 'wake', message: `about ${id}`, properties: {} },
    ...changes,
  });

  async function log() {
    const ground = await prepare();
    for (const one of [
      activity('old', noon - 50 * 60 * minute),
      activity('whole', noon - 30 * minute),
      activity('part', noon - 20 * minute, { instanceId: 1, status: 'Failed', level: 'Error' }),
      activity('scaled', noon - 10 * minute, {
        ...{ resourceId: setting, operation: 'Microsoft.Insights/AutoscaleSettings/Scaleup/Action' },
        ...{ caller: 'autoscale', properties: { OldInstancesCount: 1, Rules: ['a'], Note: 'x' } },
      }),
    ])
      await noteActivity(ground.store.db, one);
    const ids = async (filter?: string) =>
      ((await ground.insights.activities(filter))['value'] as { eventDataId: string }[]).map((one) => one.eventDataId); // as its name says
    return { ...ground, ids };
  }

  it.each([
    [undefined, ['scaled', 'part', 'whole']],
    [`eventTimestamp ge '2026-03-01T00:00:00Z'`, ['scaled', 'part', 'whole', 'old']],
    // As az writes it: without quotes and without a zone.
    ['eventTimestamp ge 2026-03-03T11:00:00.123456 and eventTimestamp le 2026-03-03T11:45:00', ['part', 'whole']],
    [`eventTimestamp ge '2026-03-03T00:00Z' and resourceGroupName eq 'LAB'`, ['part', 'whole']],
    [`eventTimestamp ge '2026-03-03T00:00Z' and eventChannels eq 'Admin, Operation' and resourceUri eq '${set.toUpperCase()}'`, ['part', 'whole']], // prettier-ignore
    [`resourceId eq '${set}/virtualMachines/1'`, ['part']],
    [`resourceProvider eq 'microsoft.insights'`, ['scaled']],
    [`caller eq 'Wake' and status eq 'succeeded'`, ['whole']],
    [`correlationId eq 'whole'`, ['whole']],
  ])('gives what fits %s, the newest first', async (filter, expected) => {
    expect(await (await log()).ids(filter)).toEqual(expected);
  });

  it.each([
    `resourceColour eq 'red'`,
    `caller ge 'a'`,
    `eventTimestamp eq '2026-03-03T00:00Z'`,
    'caller',
    `caller eq 'a' or`,
  ])('refuses %s, which it does not understand', async (filter) => {
    await expect((await log()).ids(filter)).rejects.toEqual(badRequest(/is not understood/));
  });

  it('has the shape of Azure', async () => {
    const { insights } = await log();
    const { value } = (await insights.activities(undefined)) as { value: object[] }; // as its name says
    expect(value[0]).toMatchObject({
      ...{ caller: 'autoscale', description: 'about scaled', level: 'Informational', channels: 'Operation' },
      ...{ eventTimestamp: '2026-03-03T11:50:00.000Z', subscriptionId: 'S', tenantId: 'T', resourceId: setting },
      ...{ resourceGroupName: 'lab2', category: { value: 'Autoscale' }, status: { value: 'Succeeded' } },
      operationName: { value: 'Microsoft.Insights/AutoscaleSettings/Scaleup/Action' },
      resourceProviderName: { value: 'Microsoft.Insights' },
      resourceType: { value: 'Microsoft.Insights/autoscaleSettings' },
      properties: { OldInstancesCount: '1', Rules: '["a"]', Note: 'x' },
      id: `${setting}/events/scaled/ticks/639081354000000000`,
    });
    expect(value[1]).toMatchObject({
      resourceId: `${set}/virtualMachines/1`,
      resourceType: { value: 'Microsoft.Compute/virtualMachineScaleSets/virtualMachines' },
    });
  });
});
