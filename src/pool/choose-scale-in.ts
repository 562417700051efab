/**
 * Which instances a smaller capacity takes away: those that go already, then those where nobody is, then those where people are
 * idle, then Azure's policy. Pure.
 * https://learn.microsoft.com/azure/virtual-machine-scale-sets/virtual-machine-scale-sets-scale-in-policy
 */
export interface ScaleInCandidate {
  instanceId: number;
  /** Where it is; undefined where the scale set knows no zones. */
  zone: string | undefined;
  /** It is not taken: somebody protects it, or works on it while a rule scales. */
  isProtected: boolean;
  people: 'nobody' | 'idle' | 'active';
  alreadyDraining: boolean;
}

export const scaleInRules = ['Default', 'OldestVM', 'NewestVM'] as const;
/** Ids rise with age: the oldest is the lowest. `Default` takes the highest id, as `NewestVM` does. */
export type ScaleInRule = (typeof scaleInRules)[number];

/**
 * The ids to drain or remove, `count` of them at most; fewer where protection leaves fewer. Those that drain already
 * come first (so that a second look changes nothing), then those where nobody is. Among equals it is taken from the zone
 * that has most, and there by the rule.
 */
export function chooseScaleIn(candidates: readonly ScaleInCandidate[], count: number, rule: ScaleInRule): number[] {
  const chosen: number[] = [];
  if (count <= 0) return chosen;
  const sizes = new Map<string | undefined, number>();
  for (const { zone } of candidates) sizes.set(zone, (sizes.get(zone) ?? 0) + 1);
  const direction = rule === 'OldestVM' ? 1 : -1;
  const sizeOf = ({ zone }: ScaleInCandidate) => sizes.get(zone) ?? 0;
  const order = (a: ScaleInCandidate, b: ScaleInCandidate) =>
    sizeOf(b) - sizeOf(a) || direction * (a.instanceId - b.instanceId);

  const free = candidates.filter((one) => !one.isProtected);
  for (const [, tier] of [...Map.groupBy(free, tierOf)].toSorted(([a], [b]) => a - b)) {
    // Of each zone the last is the next to go: a choice looks at zones, and not at all instances.
    const zones = [...Map.groupBy(tier, ({ zone }) => zone).values()].map((some) =>
      some.sort((a, b) => direction * (b.instanceId - a.instanceId)),
    );
    while (chosen.length < count) {
      let next: ScaleInCandidate[] | undefined;
      for (const zone of zones) if (isBefore(zone.at(-1), next?.at(-1), order)) next = zone;
      const one = next?.pop();
      if (one === undefined) break;
      sizes.set(one.zone, sizeOf(one) - 1);
      chosen.push(one.instanceId);
    }
  }
  return chosen;
}

/** The less, the rather it goes. */
const tiers = { nobody: 1, idle: 2, active: 3 } as const;
const tierOf = ({ alreadyDraining, people }: ScaleInCandidate): number => (alreadyDraining ? 0 : tiers[people]);

function isBefore(
  one: ScaleInCandidate | undefined,
  other: ScaleInCandidate | undefined,
  order: (a: ScaleInCandidate, b: ScaleInCandidate) => number,
): boolean {
  return one !== undefined && (other === undefined || order(one, other) < 0);
}
