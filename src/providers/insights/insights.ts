/** `Microsoft.Insights` for clients that look: metrics of scale sets and their instances, and the activity log. */
import { PoolhouseError } from '../../core/errors.ts';
import { textOf, type JsonObject } from '../../core/json.ts';
import { formatResourceId, keyOf, parseResourceId, type ResourceId } from '../../core/resource-id.ts';
import type { EpochMillis } from '../../core/time.ts';
import type { MetricGrain, MetricName } from '../../pool/metrics.ts';
import { findActivities } from '../../store/activity-log.ts';
import { findInstances, type InstanceRecord } from '../../store/instance-records.ts';
import { nameOf } from '../../store/resource-records.ts';
import type { Store } from '../../store/store.ts';
import type { ResourceService, Subscription } from '../resource-service.ts';
import { presentActivity, readActivityFilter } from './activities.ts';
import { metricDefinitions, presentDefinition } from './metric-definitions.ts';
import { presentMetric } from './present-metric.ts';
import { readMetricsQuery } from './read-metrics-query.ts';
import { intervals } from './read-time.ts';

export interface Insights {
  /** What was measured of a scale set or of one instance; `parameter` gives a parameter of the query by its name in lower case. */
  metrics(id: ResourceId, parameter: (name: string) => string | undefined): Promise<JsonObject>;
  metricDefinitions(id: ResourceId): Promise<JsonObject>;
  /** The newest events first, at most 1,000; `filter` is `$filter` as Azure's. */
  activities(filter: string | undefined): Promise<JsonObject>;
}

/** Where what was measured is read. */
export interface MetricSource {
  /**
   * The grains that begin in [from, to), oldest first; the one that is not over yet comes last and holds what was measured so
   * far. A grain in which nothing was measured has no samples. `grainMilliseconds` is a whole number of minutes.
   */
  read(
    scaleSetKey: string,
    metric: MetricName,
    from: EpochMillis,
    to: EpochMillis,
    grainMilliseconds: number,
  ): Promise<readonly MetricGrain[]>;
}

export interface InsightsParts {
  store: Pick<Store, 'db'>;
  service: Pick<ResourceService, 'get' | 'subscription'>;
  series: MetricSource;
  now: () => EpochMillis;
}

const setType = 'microsoft.compute/virtualmachinescalesets';
const day = 24 * 3_600_000;
/** Minutes are kept for a day; whole hours for longer. */
const retentionOf = (milliseconds: number) => (milliseconds % 3_600_000 === 0 ? 'P90D' : 'P1D');

export function createInsights({ store, service, series, now }: InsightsParts): Insights {
  /** The scale set, and the one instance of it that was named. Fails as a GET of it does. */
  async function subject(id: ResourceId) {
    const path = parseResourceId(id);
    const type = path.type.toLowerCase();
    if (type !== setType && type !== `${setType}/virtualmachines`)
      throw new PoolhouseError(
        'BadRequest',
        `Nothing is measured of resources of the type '${path.type}': only of scale sets and their instances.`,
      );
    const document = await service.get(id);
    const [namespace = '', setWord = ''] = path.type.split('/');
    const set = formatResourceId({ ...path, type: `${namespace}/${setWord}`, names: path.names.slice(0, 1) });
    const instances = await findInstances(store.db, keyOf(set));
    const [, instanceId] = path.names;
    return {
      ...{ set, instances, namespace: path.type, location: textOf(document['location']) },
      of: instanceId === undefined ? ('scale set' as const) : ('instance' as const),
      instance: instances.find((one) => instanceId !== undefined && String(one.instanceId) === instanceId),
    };
  }

  return {
    async metrics(id, parameter) {
      const { set, instances, namespace, location, of, instance } = await subject(id);
      const asked = readMetricsQuery(parameter, of, now());
      const { from, to, interval } = asked;
      const nameFor = vmNames(set, instances);
      const value: JsonObject[] = [];
      for (const metric of asked.metrics) {
        const grains = await series.read(keyOf(set), metric.name, from, to, interval.milliseconds);
        const only = of === 'instance' ? onlyOf(grains, instance?.name ?? '') : grains;
        value.push(presentMetric(id, namespace, metric, only, asked, nameFor));
      }
      return {
        cost: Math.max(0, Math.round((to - from) / 60_000) - 1),
        timespan: `${new Date(from).toISOString()}/${new Date(to).toISOString()}`,
        interval: interval.name,
        namespace,
        resourceregion: location,
        value,
      };
    },

    async metricDefinitions(id) {
      const { namespace, of } = await subject(id);
      const grains = [...intervals].map(([timeGrain, length]) => ({ timeGrain, retention: retentionOf(length) }));
      return { value: metricDefinitions(of).map((one) => presentDefinition(one, id, namespace, grains)) };
    },

    async activities(filter) {
      const { subscriptionId, tenantId }: Subscription = service.subscription();
      const { fits, ...where } = readActivityFilter(filter, subscriptionId, now() - day);
      const found = await findActivities(store.db, where);
      return { value: found.filter(fits).map((activity) => presentActivity(activity, { subscriptionId, tenantId })) };
    },
  };
}

/** Names of instances as Azure's dimension VMName has them: `pool_0`. Of one that is gone there is only the engine's. */
function vmNames(set: ResourceId, instances: readonly InstanceRecord[]): (name: string) => string {
  const names = new Map(instances.map(({ name, instanceId }) => [name, `${nameOf(set)}_${instanceId}`]));
  return (name) => names.get(name) ?? name;
}

const onlyOf = (grains: readonly MetricGrain[], name: string): MetricGrain[] =>
  grains.map((grain) => ({ ...grain, samples: grain.samples.filter(({ instance }) => instance === name) }));
