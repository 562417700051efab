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

export function createAttachmentLoop(world: World, folders: InstanceFolders, places: SeenPlaces) {
  const { store, live, clock, log } = world;
  const retryAt = new Map<string, EpochMillis>();
  /** Looked at since control began: a start of the host leaves folders configured that are not seen. */
  const confirmed = new Set<string>();

  async function settle(name: string, signal: AbortSignal): Promise<void> {
    try {
      if (!confirmed.has(name)) await folders.confirm(name, signal);
      confirmed.add(name);
      const failures = await folders.settle(name, signal);
      for (const [of, error] of failures)
        log.warn({ err: error, instance: name, of }, `what an instance shows could not be changed: ${error.message}`);
      if (failures.size > 0) retryAt.set(name, clock.now() + retryDelay);
      else retryAt.delete(name);
    } catch (error) {
      signal.throwIfAborted();
      retryAt.set(name, clock.now() + retryDelay);
      log.warn(
        { err: error, instance: name },
        `what an instance shows could not be looked at: ${errorBodyOf(error).message}`,
      );
    }
  }

  return async function pass(signal: AbortSignal): Promise<number> {
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
    const work: Promise<void>[] = [];
    for (const instance of instances) {
      const found = engine.get(instance.name);
      const pool = tags.get(instance.scaleSetKey);
      if (found?.made !== true || pool === undefined || isPlain(instance, pool, found.attachments)) continue;
      isAny = true;
      const isGoing = instance.state.removal !== undefined || instance.state.remake !== undefined;
      if (isGoing || folders.isBusy(instance.name) || (retryAt.get(instance.name) ?? 0) > clock.now()) continue;
      const snapshot = await readFolderSnapshot(world, places, instance, found.attachments);
      if (snapshot === undefined || (confirmed.has(instance.name) && planAttachments(snapshot).length === 0)) continue;
      work.push(settle(instance.name, signal));
    }
    await Promise.all(work);
    return isAny ? settledDelay : idleDelay;
  };
}
