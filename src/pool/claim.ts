/**
 * What becomes of instances that the engine has and the store does not know: after a store was restored from a copy, the
 * engine is newer than it. Labels say whose they are. Pure.
 */
import type { EpochMillis } from '../core/time.ts';

/** A scale set as the store knows it. */
export interface ClaimingSet {
  key: string;
  /** How the engine's names of its instances begin. */
  nameStem: string;
}

/** An instance as the engine tells of it. */
export interface FoundInstance {
  name: string;
  hostname: string;
  address: string;
  labels: Readonly<Record<string, string>>;
}

/** An instance as the store knows it. */
export interface KnownInstance {
  scaleSetKey: string;
  instanceId: number;
  name: string;
  address: string;
}

export interface Adoption {
  scaleSetKey: string;
  instanceId: number;
  modelVersion: string;
  instance: FoundInstance;
}

export interface Claims {
  /** Instances of a scale set that is known: written down as they are; where they are too many, they drain as others do. */
  adopt: Adoption[];
  /** Names of instances that nobody wants: of a scale set that is not known, or in the place of another. */
  orphans: string[];
}

export function claimInstances(
  sets: readonly ClaimingSet[],
  known: readonly KnownInstance[],
  found: readonly FoundInstance[],
): Claims {
  const setOf = new Map(sets.map((set) => [set.key, set]));
  const names = new Set(known.map((instance) => instance.name));
  const addresses = new Set(known.map((instance) => instance.address));
  const slots = new Set(known.map((instance) => `${instance.scaleSetKey}\n${instance.instanceId}`));
  const claims: Claims = { adopt: [], orphans: [] };
  for (const instance of found) {
    if (names.has(instance.name)) continue;
    const set = setOf.get((instance.labels['scale-set'] ?? '').toLowerCase());
    const instanceId = idOf(instance.labels['instance-id']);
    // A set that was deleted and made again since has another stem: its instances are not these.
    const isOurs =
      set !== undefined && instanceId !== undefined && instance.name === engineName(set.nameStem, instanceId);
    const slot = `${set?.key ?? ''}\n${instanceId ?? ''}`;
    if (!isOurs || slots.has(slot) || addresses.has(instance.address)) {
      claims.orphans.push(instance.name);
      continue;
    }
    slots.add(slot);
    addresses.add(instance.address);
    const modelVersion = instance.labels['model-version'] ?? '';
    claims.adopt.push({ scaleSetKey: set.key, instanceId, modelVersion, instance });
  }
  return claims;
}

/** An instance's name in the engine. */
export function engineName(nameStem: string, instanceId: number): string {
  return `${nameStem}-${instanceSuffix(instanceId)}`;
}

/** Azure's six digits of base 36. */
export function instanceSuffix(instanceId: number): string {
  return instanceId.toString(36).padStart(6, '0');
}

/** An orphan is kept for a minute: who restored the wrong copy has that long to stop control. */
const orphanGrace = 60_000;

/** Which orphans go now, given since when each is one. */
export function orphansToRemove(since: ReadonlyMap<string, EpochMillis>, now: EpochMillis): string[] {
  return [...since].filter(([, at]) => now - at >= orphanGrace).map(([name]) => name);
}

function idOf(label: string | undefined): number | undefined {
  return label !== undefined && /^\d{1,9}$/.test(label) ? Number(label) : undefined;
}
