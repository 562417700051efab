/**
 * Has every instance shown what it is to be shown of its shares: by who comes and goes, by what was mounted, and by the pool's
 * tags. Only those are looked at where that is anything but the shares that they have mounted themselves.
 */
import { errorBodyOf } from '../core/errors.ts';
import type { EpochMillis } from '../core/time.ts';
import { planAttachments } from '../pool/plan-attachments.ts';
import { readPoolTags } from '../providers/compute/pool-tags.ts';
import { findInstances } from '../store/instance-records.ts';
import { findResources } from '../store/resource-records.ts';
import { isPlain, readFolderSnapshot, type SeenPlaces } from './folder-snapshot.ts';
import type { InstanceFolders } from './instance-folders.ts';
import type { World } from './world.ts';

const settledDelay = 2_000;
const idleDelay = 10_000;
/** What failed is tried again after this; who signs in meanwhile does not wait for it. */
const retryDelay = 10_000;
/** Instances that something is changed on at a time: one that is slow keeps no other waiting. */
const mostAtOnce = 8;

export interface AttachmentLoop {
  pass(signal: AbortSignal): Promise<number>;
  /** Waits until nothing is being changed. */
  idle(): Promise<void>;
}

export function createAttachmentLoop(world: World, folders: InstanceFolders, places: SeenPlaces): AttachmentLoop {
  const { store, live, clock, log } = world;
  const underWay = new Map<string, Promise<void>>();
  const retryAt = new Map<string, EpochMillis>();
  /** Looked at since control began: a start of the host leaves folders configured that are not seen. */
  const confirmed = new Set<string>();

  async function settle(name: string, signal: AbortSignal): Promise<void> {
    try {
      const failures = new Map(confirmed.has(name) ? [] : await folders.confirm(name, signal));
      if (failures.size === 0) confirmed.add(name);
      for (const [of, error] of await folders.settle(name, signal)) failures.set(of, error);
      for (const [of, error] of failures)
        log.warn({ err: error, instance: name, of }, `what an instance shows could not be changed: ${error.message}`);
      if (failures.size > 0) retryAt.set(name, clock.now() + retryDelay);
      else retryAt.delete(name);
    } catch (error) {
      if (signal.aborted) return;
      retryAt.set(name, clock.now() + retryDelay);
      log.warn(
        { err: error, instance: name },
        `what an instance shows could not be looked at: ${errorBodyOf(error).message}`,
      );
    }
  }

  async function pass(signal: AbortSignal): Promise<number> {
    const sets = await findResources(store.db, { type: 'Microsoft.Compute/virtualMachineScaleSets' });
    const tags = new Map<string, ReturnType<typeof readPoolTags>>(
      sets.flatMap((set) => (set.deletingSince === undefined ? [[set.key, readPoolTags(set.document)]] : [])),
    );
    const engine = new Map(live.engineInstances().map((one) => [one.name, one]));
    const instances = await findInstances(store.db);
    const names = new Set(instances.map(({ name }) => name));
    for (const name of retryAt.keys()) if (!names.has(name)) retryAt.delete(name);
    for (const name of confirmed) if (!names.has(name)) confirmed.delete(name);
    let isAny = false;
    for (const instance of instances) {
      const { name } = instance;
      const found = engine.get(name);
      const pool = tags.get(instance.scaleSetKey);
      if (found?.made !== true || pool === undefined || isPlain(instance, pool, found.attachments)) continue;
      isAny = true;
      const isGoing = instance.state.removal !== undefined || instance.state.remake !== undefined;
      if (isGoing || underWay.has(name) || folders.isBusy(name) || (retryAt.get(name) ?? 0) > clock.now()) continue;
      if (underWay.size >= mostAtOnce) continue;
      const snapshot = await readFolderSnapshot(world, places, instance, found.attachments);
      if (snapshot === undefined || (confirmed.has(name) && planAttachments(snapshot).length === 0)) continue;
      underWay.set(
        name,
        settle(name, signal).finally(() => underWay.delete(name)),
      );
    }
    return isAny ? settledDelay : idleDelay;
  }

  return {
    pass,
    async idle() {
      await Promise.all(underWay.values());
    },
  };
}
