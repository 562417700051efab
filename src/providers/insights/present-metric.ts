/**
 * A metric's grains in the shape of Azure's answers
 * (https://learn.microsoft.com/rest/api/monitor/metrics/list). Pure.
 */
import type { JsonObject } from '../../core/json.ts';
import { joinSamples } from '../../pool/fold-samples.ts';
import type { MetricGrain, MetricSample } from '../../pool/metrics.ts';
import type { Aggregation, MetricDefinition } from './metric-definitions.ts';
import type { MetricsQuery } from './read-metrics-query.ts';

/** @param nameFor an instance's name for clients, from its name in the engine */
export function presentMetric(
  resourceId: string,
  namespace: string,
  metric: MetricDefinition,
  grains: readonly MetricGrain[],
  { aggregations, split }: Pick<MetricsQuery, 'aggregations' | 'split'>,
  nameFor: (instance: string) => string,
): JsonObject {
  const shown = aggregations ?? [metric.primary];
  const seriesOf = (wanted: readonly MetricGrain[], metadatavalues: JsonObject[]): JsonObject => ({
    metadatavalues,
    data: wanted.map(({ start, samples }) => ({
      timeStamp: new Date(start).toISOString(),
      ...Object.fromEntries(valuesOf(samples, shown)),
    })),
  });
  const instances = [...new Set(grains.flatMap(({ samples }) => samples.map(({ instance }) => instance)))];
  const timeseries =
    split === undefined
      ? [seriesOf(grains, [])]
      : instances
          .map((instance) => ({ instance, name: nameFor(instance) }))
          .filter(({ name }) => split === '*' || split.has(name.toLowerCase()))
          .toSorted((one, other) => one.name.localeCompare(other.name, 'en', { numeric: true }))
          .map(({ instance, name }) =>
            seriesOf(
              grains.map((grain) => ({ ...grain, samples: grain.samples.filter((one) => one.instance === instance) })),
              [{ name: { value: 'vmname', localizedValue: 'vmname' }, value: name }],
            ),
          );
  return {
    id: `${resourceId}/providers/Microsoft.Insights/metrics/${metric.name}`,
    type: 'Microsoft.Insights/metrics',
    name: { value: metric.name, localizedValue: metric.name },
    displayDescription: metric.description,
    unit: metric.unit,
    timeseries,
    errorCode: 'Success',
    resourceType: namespace,
  };
}

/** Nothing where nothing was measured: a gap is not a zero. */
function valuesOf(samples: readonly MetricSample[], shown: readonly Aggregation[]): [string, number][] {
  const [first, ...others] = samples;
  if (first === undefined) return [];
  const { count, sum, minimum, maximum } = others.reduce(joinSamples, first);
  const values = { Average: sum / count, Minimum: minimum, Maximum: maximum, Total: sum, Count: count };
  return shown.map((one) => [one.toLowerCase(), values[one]]);
}
