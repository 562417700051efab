/** Memory that scale sets have promised to their instances: it counts in full, and the host has no more of it. */
import { PoolhouseError } from '../../core/errors.ts';
import { findInstances, type InstanceRecord } from '../../store/instance-records.ts';
import { findResources, type ResourceRecord } from '../../store/resource-records.ts';
import type { TypeContext } from '../resource-type.ts';
import { readScaleSet, type ScaleSetModel } from './scale-set-model.ts';
import { sizeOf } from './sizes.ts';

/**
 * Instances of a preemptible scale set that are switched off have given their memory to whoever needs it.
 * `AllocationFailed` where it is not there any more; those of a regular set have kept it.
 */
export async function requireMemoryToStart(
  set: ResourceRecord,
  starting: readonly InstanceRecord[],
  { queries, surroundings }: Pick<TypeContext, 'queries' | 'surroundings'>,
): Promise<void> {
  const { sizeName, spot } = readScaleSet(set.document);
  const { real, memoryBytes } = surroundings.engine;
  const count = starting.filter(({ state }) => state.power === 'stopped').length;
  if (!real || spot === undefined || count === 0) return;
  const promised = await promisedMemory(queries);
  const needed = count * sizeOf(sizeName).memoryGiB;
  const host = Math.floor(memoryBytes / 2 ** 30);
  if (promised + needed <= host) return;
  throw new PoolhouseError(
    'AllocationFailed',
    `Allocation failed: these instances need ${needed} GiB of memory, ${promised} GiB are promised to others, and this host has ${host} GiB. They are preemptible: make another scale set smaller, or wait until one is.`,
    { target: 'sku.capacity' },
  );
}

/** In GiB, of all scale sets that stay. */
async function promisedMemory(queries: TypeContext['queries']): Promise<number> {
  let sum = 0;
  for (const set of await findResources(queries, { type: 'Microsoft.Compute/virtualMachineScaleSets' })) {
    if (set.deletingSince !== undefined) continue;
    const model = readScaleSet(set.document);
    sum += promisedInstances(model, await findInstances(queries, set.key)) * sizeOf(model.sizeName).memoryGiB;
  }
  return sum;
}

/** How many instances a scale set has promised memory to: all that are asked for, but preemptible ones only while they run. */
export function promisedInstances(
  { capacity, spot }: Pick<ScaleSetModel, 'capacity' | 'spot'>,
  instances: readonly InstanceRecord[],
): number {
  const off = instances.filter(({ state }) => state.standby === undefined && state.power === 'stopped').length;
  return spot === undefined ? capacity : Math.max(0, capacity - off);
}
