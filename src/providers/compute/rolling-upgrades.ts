/**
 * `…/virtualMachineScaleSets/NAME/rollingUpgrades/latest`: how far the upgrade to the latest model is. Derived from its instances.
 * https://learn.microsoft.com/rest/api/compute/virtual-machine-scale-set-rolling-upgrades/get-latest
 */
import { PoolhouseError } from '../../core/errors.ts';
import type { JsonObject } from '../../core/json.ts';
import { isGivenUp } from '../../pool/instance-state.ts';
import { findInstances, type InstanceRecord } from '../../store/instance-records.ts';
import type { ResourceRecord } from '../../store/resource-records.ts';
import type { LiveFacts } from '../live-facts.ts';
import type { TypeContext, VirtualType } from '../resource-type.ts';
import { modelVersion } from './model-version.ts';
import { readScaleSet } from './scale-set-model.ts';
import { upgradeCanceled } from './scale-sets.ts';

const type = 'Microsoft.Compute/virtualMachineScaleSets/rollingUpgrades';

/** In percent. */
const share = (part: number, of: number) => (of === 0 ? 0 : (part * 100) / of);

export function rollingUpgrades(live: LiveFacts): VirtualType {
  async function latest(parent: ResourceRecord, { queries }: TypeContext): Promise<JsonObject> {
    const { upgrade } = readScaleSet(parent.document);
    const version = modelVersion(parent.document);
    const members = (await findInstances(queries, parent.key)).filter(
      ({ state }) => state.removal === undefined && state.standby === undefined,
    );
    const pending = members.filter((one) => one.modelVersion !== version);
    const upgraded = members.filter((one) => one.modelVersion === version && one.state.upgradedAt !== undefined);
    const failed = upgraded.filter(({ state }) => isGivenUp(state));
    const isServing = (name: string) => live.instance(name)?.inRotation === true;
    const underWay = upgraded.filter((one) => !failed.includes(one) && !isServing(one.name));
    const begunAt = Math.min(...upgraded.map(({ state }) => state.upgradedAt ?? Infinity));
    const canceled = upgradeCanceled(parent);
    const isIll = ({ name, state }: InstanceRecord) =>
      live.instance(name)?.power === 'running' &&
      live.instance(name)?.healthy === false &&
      state.provisioned !== undefined;
    const isFaulted =
      share(members.filter(isIll).length, members.length) > upgrade.maxUnhealthyPercent ||
      share(upgraded.filter(isIll).length, upgraded.length) > upgrade.maxUnhealthyUpgradedPercent;
    const isOver = pending.length === 0 && underWay.length === 0;
    const code = isOver ? 'Completed' : canceled ? 'Cancelled' : isFaulted ? 'Faulted' : 'RollingForward';
    return {
      id: `${parent.id}/rollingUpgrades/latest`,
      name: 'latest',
      type,
      ...(typeof parent.document['location'] === 'string' ? { location: parent.document['location'] } : {}),
      properties: {
        policy: {
          maxBatchInstancePercent: upgrade.maxBatchPercent,
          maxUnhealthyInstancePercent: upgrade.maxUnhealthyPercent,
          maxUnhealthyUpgradedInstancePercent: upgrade.maxUnhealthyUpgradedPercent,
          pauseTimeBetweenBatches: `PT${String(upgrade.pauseMilliseconds / 1_000)}S`,
        },
        runningStatus: {
          code,
          ...(Number.isFinite(begunAt) ? { startTime: new Date(begunAt).toISOString() } : {}),
          lastAction: canceled ? 'Cancel' : 'Start',
        },
        progress: {
          successfulInstanceCount: members.length - pending.length - underWay.length - failed.length,
          failedInstanceCount: failed.length,
          inProgressInstanceCount: underWay.length,
          pendingInstanceCount: pending.length,
        },
      },
    };
  }

  return {
    kind: 'virtual',
    type,
    async get(parent, path, context) {
      const name = path.names.at(-1) ?? '';
      if (name.toLowerCase() !== 'latest')
        throw new PoolhouseError('ResourceNotFound', `The entity was not found: there is only rollingUpgrades/latest.`);
      return latest(parent, context);
    },
    list: async (parent, context) => [await latest(parent, context)],
  };
}
