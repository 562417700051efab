/** Which instances a smaller capacity takes away. Azure's `Default` policy: the highest instance id first. */
export interface ScaleInCandidate {
  instanceId: number;
  protectFromScaleIn: boolean;
  /** People or their connections. */
  connections: number;
  alreadyDraining: boolean;
}

/**
 * The ids to drain or remove, `count` of them at most; fewer where protection leaves fewer. Those that drain already
 * come first (so that a second look changes nothing), then those where nobody is, then Azure's order.
 */
export function chooseScaleIn(candidates: readonly ScaleInCandidate[], count: number): number[] {
  return candidates
    .filter((candidate) => !candidate.protectFromScaleIn)
    .toSorted(
      (a, b) =>
        Number(b.alreadyDraining) - Number(a.alreadyDraining) ||
        Number(a.connections > 0) - Number(b.connections > 0) ||
        b.instanceId - a.instanceId,
    )
    .slice(0, Math.max(0, count))
    .map((candidate) => candidate.instanceId);
}
