/**
 * People on an instance keep it for themselves by `poolhouse keep`. Inside, sudo says who asks (images/recipes/base/files/
 * keep); here the door says from which instance. Whoever is root there could name another user: but only one who is on that
 * instance anyway, and for that instance alone, which they could keep busy as well.
 */
import { z } from 'zod';
import type { KeepAnswer } from '../link/people.ts';
import { findInstances } from '../store/instance-records.ts';
import { instanceUsers } from './instance-users.ts';
import type { Leases } from './leases.ts';
import type { Placements } from './placements.ts';
import type { World } from './world.ts';

export const keepRequestSchema = z.strictObject({
  uid: z.int().positive(),
  /** As they typed it. */
  until: z.string().max(40).optional(),
});

export type KeepHere = (instanceName: string, asked: z.infer<typeof keepRequestSchema>) => Promise<KeepAnswer>;

export function createKeepHere(
  world: World,
  leases: Pick<Leases, 'keep'>,
  placements: Pick<Placements, 'bindings'>,
): KeepHere {
  return async (instanceName, { uid, until }) => {
    const instance = (await findInstances(world.store.db)).find(({ name }) => name === instanceName);
    const user =
      instance === undefined ? undefined : (await instanceUsers(world, instance)).find((one) => one.uid === uid);
    if (instance === undefined || user === undefined)
      return { outcome: 'refused', message: 'This is for people of this pool.' };
    const pool = instance.scaleSetKey;
    const bound = [...placements.bindings()].find((one) => one.pool === pool && one.user === user.name);
    if (bound !== undefined && bound.instance !== instanceName)
      return { outcome: 'refused', message: `Your place is on another machine. Keep that one: 'ssh POOL keep 2h'.` };
    return leases.keep({ pool, user: user.name, ...(until === undefined ? {} : { until }) });
  };
}
