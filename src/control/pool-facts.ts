/** The pools in numbers, as metrics show them: read from the store and the moment when somebody asks. */
import { tryParseResourceId } from '../core/resource-id.ts';
import { sessionProtocols, type SessionProtocol } from '../link/people.ts';
import { instanceCondition, instanceConditions, type InstanceCondition } from '../pool/instance-condition.ts';
import { readScaleSet } from '../providers/compute/scale-set-model.ts';
import { sizeOf } from '../providers/compute/sizes.ts';
import { findInstances } from '../store/instance-records.ts';
import { findResources, nameOf } from '../store/resource-records.ts';
import type { Placements } from './placements.ts';
import type { World } from './world.ts';

export interface PoolFacts {
  /** Of its scale set. */
  key: string;
  resourceGroup: string;
  pool: string;
  /** Instances asked for. */
  capacity: number;
  /** Memory that the capacity promises. */
  memoryBytes: number;
  instances: Record<InstanceCondition, number>;
  /** Of those, how many have a mount that is bad. */
  badMounts: number;
  /** Connections through the gateway. */
  sessions: number;
  peopleSessions: Record<SessionProtocol, number>;
  /** People who wait for a place. */
  waiting: number;
  /** People who are bound to an instance, by its name for people. */
  users: ReadonlyMap<string, number>;
  /** Its last change ended badly. */
  failed: boolean;
}

export async function readPoolFacts(
  { store, live, reports }: Pick<World, 'store' | 'live' | 'reports'>,
  placements: Pick<Placements, 'waiting' | 'usersOn'>,
): Promise<PoolFacts[]> {
  const sets = await findResources(store.db, { type: 'Microsoft.Compute/virtualMachineScaleSets' });
  const facts = new Map(
    sets.map((set): [string, PoolFacts & { users: Map<string, number> }] => {
      const model = readScaleSet(set.document);
      return [
        set.key,
        {
          key: set.key,
          resourceGroup: tryParseResourceId(set.id)?.resourceGroup ?? '',
          pool: nameOf(set.id),
          capacity: model.capacity,
          memoryBytes: Math.round(model.capacity * sizeOf(model.sizeName).memoryGiB * 2 ** 30),
          instances: Object.fromEntries(instanceConditions.map((one) => [one, 0])) as Record<InstanceCondition, number>, // all of them
          badMounts: 0,
          sessions: 0,
          peopleSessions: Object.fromEntries(sessionProtocols.map((one) => [one, 0])) as Record<
            SessionProtocol,
            number
          >, // all of them
          waiting: placements.waiting(set.key),
          users: new Map(),
          failed: set.provisioningState === 'Failed',
        },
      ];
    }),
  );
  for (const instance of await findInstances(store.db)) {
    const pool = facts.get(instance.scaleSetKey);
    if (pool === undefined) continue;
    pool.instances[instanceCondition(instance.state, live.rotation(instance.name).inRotation)] += 1;
    if (live.mounts(instance.name) !== undefined) pool.badMounts += 1;
    pool.sessions += reports.connections(instance.name);
    pool.users.set(instance.hostname, placements.usersOn(instance.name) ?? 0);
  }
  for (const { pool, protocol } of reports.sessions()) {
    const known = facts.get(pool);
    if (known !== undefined) known.peopleSessions[protocol] += 1;
  }
  return [...facts.values()];
}
