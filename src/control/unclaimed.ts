/**
 * Finds instances that the engine has and the store does not know, and carries out what `pool/claim` decides about them. One
 * that is seen once may be just going: it counts from the second look on.
 */
import type { EpochMillis } from '../core/time.ts';
import type { EngineInstance } from '../engines/engine.ts';
import { claimInstances, orphansToRemove } from '../pool/claim.ts';
import { findInstances } from '../store/instance-records.ts';
import type { ResourceRecord } from '../store/resource-records.ts';
import type { InstanceDoors } from './instance-doors.ts';
import { nameStem, type ScaleSetSteps } from './scale-set-steps.ts';
import { isService } from './service-instances.ts';
import type { World } from './world.ts';

export interface Unclaimed {
  /**
   * @param found what the engine had before `records` were read from the store
   * @returns scale sets that are about to get an instance back: they must not make others meanwhile
   */
  settle(
    records: readonly ResourceRecord[],
    found: readonly EngineInstance[],
    signal: AbortSignal,
  ): Promise<Set<string>>;
}

export function createUnclaimed(world: World, steps: ScaleSetSteps, doors: InstanceDoors): Unclaimed {
  const { store, engine, clock, log } = world;
  let seenBefore = new Set<string>();
  const orphanSince = new Map<string, EpochMillis>();

  return {
    async settle(records, found, signal) {
      const claims = claimInstances(
        records.map((record) => ({ key: record.key, nameStem: nameStem(record) })),
        await findInstances(store.db),
        found.filter((instance) => !isService(instance)),
      );
      const waiting = new Set<string>();
      for (const adoption of claims.adopt) {
        const record = records.find((one) => one.key === adoption.scaleSetKey);
        if (record === undefined) continue;
        waiting.add(record.key);
        if (!seenBefore.has(adoption.instance.name)) continue;
        log.warn(
          { scaleSet: record.key, instance: adoption.instance.name },
          'an instance that the store did not know is taken back',
        );
        await steps.adopt(record, adoption);
      }
      for (const name of orphanSince.keys()) if (!claims.orphans.includes(name)) orphanSince.delete(name);
      for (const name of claims.orphans) {
        if (!seenBefore.has(name) || orphanSince.has(name)) continue;
        orphanSince.set(name, clock.now());
        log.warn(
          { instance: name },
          'an instance belongs to no scale set that the store knows; it is removed in a minute',
        );
      }
      for (const name of orphansToRemove(orphanSince, clock.now())) {
        await engine.delete(name, signal);
        await doors.close(name);
        orphanSince.delete(name);
        log.warn({ instance: name }, 'an instance that belonged to no scale set was removed');
      }
      seenBefore = new Set([...claims.adopt.map(({ instance }) => instance.name), ...claims.orphans]);
      return waiting;
    },
  };
}
