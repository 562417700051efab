/**
 * Writes down what instances are used for. Each minute the time since the last look is added, for what is seen now: whose an
 * instance is at the end of a minute, theirs is the minute. Only time that control has seen counts: it bridges gaps of up to two
 * minutes, also those of a restart; what was while it was away for longer is not known, and not in the ledger.
 */
import type { EpochMillis } from '../core/time.ts';
import { dayOf, splitTime, type InstanceTime } from '../pool/split-time.ts';
import { poolNameOf } from '../providers/identity/pool-names.ts';
import { findInstances, findSizeNames, type InstanceRecord } from '../store/instance-records.ts';
import { addToLedger, forgetOldLedger, ledgerSeenUntil } from '../store/ledger.ts';
import type { Binding } from './bindings.ts';
import type { Placements } from './placements.ts';
import type { World } from './world.ts';

const addEvery = 60_000;
const lookAgain = 1_000;
const longestGap = 120_000;

export interface LedgerParts {
  world: Pick<World, 'store' | 'live' | 'reports' | 'clock' | 'log'>;
  placements: Pick<Placements, 'bindings' | 'isActive' | 'activeUsersOn'>;
}

/** The pass of the ledger's loop. */
export function createLedger({ world, placements }: LedgerParts): () => Promise<number> {
  const { store, live, reports, clock, log } = world;
  let nextAt = 0;

  /** Names of those who are active, '' for somebody whom nobody knows. */
  function activeOn(name: string, bound: readonly Binding[]): string[] {
    const users = bound.filter((binding) => placements.isActive(binding)).map(({ user }) => user);
    return users.length === 0 && reports.strangersOn(name) > 0 ? [''] : users.toSorted();
  }

  /** Control has begun anew, and its first looks at the engine and at people are still to come. */
  function hasLooked(instances: readonly InstanceRecord[]): boolean {
    if (instances.some(({ name }) => placements.activeUsersOn(name) === undefined)) return false;
    return live.engineInstances().length > 0 || !instances.some(({ state }) => state.created);
  }

  /** What an instance was since then; nothing where it was not there, or switched off. */
  function timesOf(
    instance: InstanceRecord,
    size: string,
    bound: readonly Binding[],
    since: EpochMillis,
    now: EpochMillis,
  ): InstanceTime[] {
    const power = live.instance(instance.name)?.power ?? 'absent';
    // They count whether they are frozen or stopped.
    const standby = instance.state.standby !== undefined;
    if (power === 'absent' || (!standby && power !== 'running')) return [];
    const active = standby ? [] : activeOn(instance.name, bound);
    const from = Math.max(since, Math.min(now, instance.createdAt));
    return [{ pool: poolNameOf(instance.scaleSetKey), size, from, to: now, standby, active }];
  }

  return async function pass() {
    // Every change wakes all loops, and none of them makes a minute pass.
    const now = clock.now();
    if (now < nextAt && nextAt - now <= addEvery) return nextAt - now;
    const instances = await findInstances(store.db);
    if (!hasLooked(instances)) return lookAgain;
    nextAt = now + addEvery;
    const since = (await ledgerSeenUntil(store.db)) ?? now;
    const gap = now - since;
    if (gap > longestGap)
      log.info({ minutes: Math.round(gap / 60_000) }, 'time that control was away for is not in the ledger');
    const sizes = await findSizeNames(store.db);
    const bound = Map.groupBy(placements.bindings(), ({ instance }) => instance);
    const times = instances.flatMap((instance) =>
      gap > longestGap
        ? []
        : timesOf(instance, sizes.get(instance.name) ?? '', bound.get(instance.name) ?? [], since, now),
    );
    await store.transaction(async (tx) => {
      await addToLedger(tx, splitTime(times), now);
      if (dayOf(since) !== dayOf(now)) await forgetOldLedger(tx, now);
    });
    return addEvery;
  };
}
