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
  const left = new Set(candidates);
  const chosen: number[] = [];
  while (chosen.length < count) {
    const next = chooseOne([...left], rule);
    if (next === undefined) break;
    left.delete(next);
    chosen.push(next.instanceId);
  }
  return chosen;
}

/** The less, the rather it goes. */
const tiers = { nobody: 1, idle: 2, active: 3 } as const;
const tierOf = ({ alreadyDraining, people }: ScaleInCandidate): number => (alreadyDraining ? 0 : tiers[people]);

function chooseOne(left: readonly ScaleInCandidate[], rule: ScaleInRule): ScaleInCandidate | undefined {
  const free = left.filter((one) => !one.isProtected);
  const tier = Math.min(...free.map(tierOf));
  const sizes = new Map<string | undefined, number>();
  for (const { zone } of left) sizes.set(zone, (sizes.get(zone) ?? 0) + 1);
  const sizeOf = ({ zone }: ScaleInCandidate) => sizes.get(zone) ?? 0;
  const direction = rule === 'OldestVM' ? 1 : -1;
  return free
    .filter((one) => tierOf(one) === tier)
    .toSorted((a, b) => sizeOf(b) - sizeOf(a) || direction * (a.instanceId - b.instanceId))[0];
}
