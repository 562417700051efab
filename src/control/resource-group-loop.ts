/** Takes down resource groups that are to be deleted: what uses others first, the group itself last. */
import { PoolhouseError } from '../core/errors.ts';
import { eraseResource } from '../providers/erase-resource.ts';
import type { TypeContext } from '../providers/resource-type.ts';
import { endOperation, openOperations } from '../store/operations.ts';
import { findResources, type ResourceRecord } from '../store/resource-records.ts';
import type { Queries } from '../store/store.ts';
import { endedOperations } from './ended-operations.ts';
import type { World } from './world.ts';

/** Lower goes first; types that are not listed go in the middle. */
const order: Readonly<Record<string, number>> = {
  'microsoft.resources/deployments': 0,
  'microsoft.insights/autoscalesettings': 0,
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
  /** Why a member cannot go yet, as it was logged: looked at twice a second, told once. */
  const told = new Map<string, string>();

  async function takeDown(group: ResourceRecord): Promise<void> {
    const members = (await findResources(store.db, { groupKey: group.key })).filter(
      (one) => one.key !== group.key && one.parentKey === '',
    );
    if (members.length === 0) {
      const ended = endedOperations(world);
      await store.transaction(async (tx) => {
        for (const operation of await openOperations(tx, group.key)) {
          await endOperation(tx, operation.id, { status: 'Succeeded', at: clock.now() });
          ended.note(group, operation, 'Succeeded', clock.now());
        }
        await eraseResource(tx, group, world.registry, typeContext(tx));
      });
      ended.tell();
      log.info({ group: group.key }, 'resource group removed');
      world.changed();
      return;
    }
    const rank = (record: ResourceRecord) => order[record.typeKey] ?? 3;
    const first = Math.min(...members.map(rank));
    for (const member of members.filter((one) => rank(one) === first && one.deletingSince === undefined)) {
      try {
        await service.remove(member.id);
        told.delete(member.key);
      } catch (error) {
        // Something outside the group still needs it: the next pass tries again.
        if (!(error instanceof PoolhouseError)) throw error;
        if (told.get(member.key) === error.message) continue;
        told.set(member.key, error.message);
        log.warn({ resource: member.key, code: error.code }, `cannot be removed yet: ${error.message}`);
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
