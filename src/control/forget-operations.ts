/** Keeps the lists of operations and activities from growing for ever. */
import { activityKeptFor, forgetActivities } from '../store/activity-log.ts';
import { forgetOperations } from '../store/operations.ts';
import type { World } from './world.ts';

const hour = 3_600_000;
/** Azure lets clients ask for a day; who looks for what went wrong last week finds it too. */
const keptFor = 7 * 24 * hour;

export function createForgetOperations({ store, clock, log }: Pick<World, 'store' | 'clock' | 'log'>) {
  let nextAt = 0;
  return async function pass(): Promise<number> {
    // Every change wakes all loops, and none of them makes a week pass.
    if (clock.now() < nextAt) return nextAt - clock.now();
    nextAt = clock.now() + hour;
    const gone = await store.transaction((tx) => forgetOperations(tx, clock.now() - keptFor));
    await store.transaction((tx) => forgetActivities(tx, clock.now() - activityKeptFor));
    if (gone > 0) log.debug({ gone }, 'operations that ended a week ago were forgotten');
    return hour;
  };
}
