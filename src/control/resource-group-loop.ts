/** Takes down resource groups that are to be deleted: what uses others first, the group itself last. */
import { errorBodyOf, PoolhouseError } from '../core/errors.ts';
import { eraseResource } from '../providers/erase-resource.ts';
import type { TypeContext } from '../providers/resource-type.ts';
import { endOperation, openOperations } from '../store/operations.ts';
import { findResources, type ResourceRecord } from '../store/resource-records.ts';
import type { Queries } from '../store/store.ts';
import type { World } from './world.ts';

/** Lower goes first; types that are not listed go in the middle. */
const order: Readonly<Record<string, number>> = {
  'microsoft.resources/deployments': 0,
  'microsoft.compute/virtualmachinescalesets': 1,
  'microsoft.network/loadbalancers': 2,
  'microsoft.network/publicipaddresses': 4,
  'microsoft.network/virtualnetworks': 4,
  'microsoft.storage/storageaccounts': 5,
};

const settledDelay = 10_000;
const waitingDelay = 500;

export function createResourceGroupLoop(world: World, typeContext: (queries: Queries) => TypeContext) {
  const { store, service, clock, log } = world;

  async function takeDown(group: ResourceRecord): Promise<void> {
    const members = (await findResources(store.db, { groupKey: group.key })).filter(
      (one) => one.key !== group.key && one.parentKey === '',
    );
    if (members.length === 0) {
      await store.transaction(async (tx) => {
        for (const operation of await openOperations(tx, group.key)) {
          await endOperation(tx, operation.id, { status: 'Succeeded', at: clock.now() });
        }
        await eraseResource(tx, group, world.registry, typeContext(tx));
      });
      log.info({ group: group.key }, 'resource group removed');
      world.changed();
      return;
    }
    const rank = (record: ResourceRecord) => order[record.typeKey] ?? 3;
    const first = Math.min(...members.map(rank));
    for (const member of members.filter((one) => rank(one) === first && one.deletingSince === undefined)) {
      try {
        await service.remove(member.id);
      } catch (error) {
        // Something outside the group still needs it: said once more at the next pass, and in the log.
        if (!(error instanceof PoolhouseError)) throw error;
        log.warn({ resource: member.key, code: error.code }, `cannot be removed yet: ${errorBodyOf(error).message}`);
      }
    }
  }

  return async function pass(): Promise<number> {
    const groups = await findResources(store.db, { type: 'Microsoft.Resources/resourceGroups' });
    const dying = groups.filter((group) => group.deletingSince !== undefined);
    for (const group of dying) await takeDown(group);
    return dying.length > 0 ? waitingDelay : settledDelay;
  };
}
