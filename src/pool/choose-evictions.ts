/**
 * How many instances of preemptible scale sets (Azure's spot) have to go, because the others need the memory. Pure.
 * https://learn.microsoft.com/azure/virtual-machine-scale-sets/use-spot
 */
export interface MemoryUse {
  key: string;
  /** Memory of one instance, in bytes. */
  size: number;
  /** Instances that are promised memory: those asked for, without those that are switched off. */
  count: number;
  isPreemptible: boolean;
}

/** By scale set; none where everything fits. What is promised to a regular set is never taken. */
export function chooseEvictions(sets: readonly MemoryUse[], hostBytes: number): Map<string, number> {
  let missing = sets.reduce((sum, { size, count }) => sum + size * count, 0) - hostBytes;
  const evictions = new Map<string, number>();
  for (const { key, size, count, isPreemptible } of sets.toSorted((a, b) => (a.key < b.key ? -1 : 1))) {
    if (missing <= 0) break;
    if (!isPreemptible || size === 0) continue;
    const taken = Math.min(count, Math.ceil(missing / size));
    evictions.set(key, taken);
    missing -= taken * size;
  }
  return evictions;
}
