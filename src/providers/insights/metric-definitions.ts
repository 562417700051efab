/**
 * The metrics as clients of Azure's know metrics: unit, and how measurements are taken together where nobody says so
 * (https://learn.microsoft.com/azure/azure-monitor/reference/supported-metrics/microsoft-compute-virtualmachinescalesets-metrics).
 */
import { PoolhouseError } from '../../core/errors.ts';
import type { JsonObject } from '../../core/json.ts';
import { instanceMetrics, sessionMetrics, type MetricName } from '../../pool/metrics.ts';

export const aggregations = ['Average', 'Minimum', 'Maximum', 'Total', 'Count'] as const;
export type Aggregation = (typeof aggregations)[number];

export interface MetricDefinition {
  name: MetricName;
  unit: 'Percent' | 'Bytes' | 'Count';
  primary: Aggregation;
  description: string;
  /** It is measured of each instance; otherwise it is one number of the whole pool. */
  ofInstances: boolean;
}

const facts: Readonly<Record<MetricName, Pick<MetricDefinition, 'unit' | 'primary' | 'description'>>> = {
  'Percentage CPU': { unit: 'Percent', primary: 'Average', description: 'What an instance uses of its CPUs.' },
  'Available Memory Bytes': {
    unit: 'Bytes',
    primary: 'Average',
    description: 'Memory that an instance may still use.',
  },
  'Percentage Memory': { unit: 'Percent', primary: 'Average', description: 'What an instance uses of its memory.' },
  'Network In Total': { unit: 'Bytes', primary: 'Total', description: 'Bytes that an instance received.' },
  'Network Out Total': { unit: 'Bytes', primary: 'Total', description: 'Bytes that an instance sent.' },
  'Disk Read Bytes': { unit: 'Bytes', primary: 'Total', description: 'Bytes that an instance read from disks.' },
  'Disk Write Bytes': { unit: 'Bytes', primary: 'Total', description: 'Bytes that an instance wrote to disks.' },
  'Active Sessions': { unit: 'Count', primary: 'Average', description: 'Sessions on an instance.' },
  'Connected Users': { unit: 'Count', primary: 'Average', description: 'People with a session on an instance.' },
  'Users Per Instance': { unit: 'Count', primary: 'Average', description: 'People by instances in rotation.' },
  'Waiting Users': { unit: 'Count', primary: 'Maximum', description: 'People who wait for an instance.' },
  'Available Seats': { unit: 'Count', primary: 'Minimum', description: 'Free places on instances in rotation.' },
};

const perInstance: ReadonlySet<MetricName> = new Set([...instanceMetrics, 'Active Sessions', 'Connected Users']);

const all: readonly MetricDefinition[] = [...instanceMetrics, ...sessionMetrics].map((name) => ({
  ...{ name, ofInstances: perInstance.has(name) },
  ...facts[name],
}));

/** Those of a scale set, or of one instance. */
export function metricDefinitions(of: 'scale set' | 'instance'): readonly MetricDefinition[] {
  return of === 'scale set' ? all : all.filter(({ ofInstances }) => ofInstances);
}

/** The metric of that name, in any case. `BadRequest` with those that there are, in Azure's words. */
export function definitionOf(name: string, of: 'scale set' | 'instance'): MetricDefinition {
  const known = metricDefinitions(of);
  const found = known.find((one) => one.name.toLowerCase() === name.trim().toLowerCase());
  if (found !== undefined) return found;
  throw new PoolhouseError(
    'BadRequest',
    `Failed to find metric configuration for provider: Microsoft.Compute, resource Type: ${of === 'scale set' ? 'virtualMachineScaleSets' : 'virtualMachineScaleSets/virtualMachines'}, metric: ${name.slice(0, 80)}, Valid metrics: ${known.map((one) => one.name).join(',')}`,
  );
}

/** As `metricDefinitions` of Azure's API shows it. */
export function presentDefinition(
  { name, unit, primary, description, ofInstances }: MetricDefinition,
  resourceId: string,
  namespace: string,
  grains: readonly { timeGrain: string; retention: string }[],
): JsonObject {
  return {
    id: `${resourceId}/providers/microsoft.insights/metricdefinitions/${name}`,
    resourceId,
    namespace,
    name: { value: name, localizedValue: name },
    displayDescription: description,
    isDimensionRequired: false,
    unit,
    primaryAggregationType: primary,
    supportedAggregationTypes: [...aggregations],
    metricAvailabilities: grains.map((grain) => ({ ...grain })),
    ...(ofInstances ? { dimensions: [{ value: 'VMName', localizedValue: 'VMName' }] } : {}),
  };
}
