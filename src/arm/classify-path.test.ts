import { describe, expect, it } from 'vitest';
import { asAction, classifyPath } from './classify-path.ts';

const inGroup = '/subscriptions/S/resourceGroups/G';
const set = `${inGroup}/providers/Microsoft.Compute/virtualMachineScaleSets/pool`;
const setType = 'Microsoft.Compute/virtualMachineScaleSets';

describe('classifyPath', () => {
  it.each<[string, object | undefined]>([
    ['/subscriptions', { asked: 'subscriptions' }],
    ['/Subscriptions/S/', { asked: 'subscription', subscriptionId: 'S' }],
    ['/tenants', { asked: 'tenants' }],
    ['/providers/Poolhouse.Identity/users', { asked: 'identity', kind: 'users' }],
    ['/Providers/poolhouse.identity/Groups/Team', { asked: 'identity', kind: 'groups', name: 'Team' }],
    ['/providers/Poolhouse.Identity/users/alice/keys', undefined],
    ['/providers/Poolhouse.Identity/robots', undefined],
    ['/providers/Poolhouse.Identity', undefined],
    ['/providers/Microsoft.Compute/users', undefined],
    ['/subscriptions/S/locations', { asked: 'locations', subscriptionId: 'S' }],
    ['/subscriptions/S/resources', { asked: 'collection', subscriptionId: 'S' }],
    ['/subscriptions/S/providers', { asked: 'providers', subscriptionId: 'S' }],
    ['/subscriptions/S/providers/N', { asked: 'providers', subscriptionId: 'S', namespace: 'N' }],
    [
      '/subscriptions/S/providers/N/register',
      { asked: 'providers', subscriptionId: 'S', namespace: 'N', action: 'register' },
    ],
    ['/subscriptions/S/providers/N/things', { asked: 'collection', subscriptionId: 'S', type: 'N/things' }],
    [
      '/subscriptions/S/resourcegroups',
      { asked: 'collection', subscriptionId: 'S', type: 'Microsoft.Resources/resourceGroups' },
    ],
    [
      '/subscriptions/S/RESOURCEGROUPS/G',
      { asked: 'resource', id: inGroup, type: 'Microsoft.Resources/resourceGroups' },
    ],
    [`${inGroup}/resources`, { asked: 'collection', subscriptionId: 'S', resourceGroup: 'G' }],
    [
      `${inGroup}/exportTemplate`,
      { asked: 'action', id: inGroup, type: 'Microsoft.Resources/resourceGroups', action: 'exportTemplate' },
    ],
    [
      `${inGroup}/providers/Microsoft.Compute/virtualMachineScaleSets`,
      { asked: 'collection', subscriptionId: 'S', resourceGroup: 'G', type: setType },
    ],
    [set, { asked: 'resource', id: set, type: setType }],
    [`${set}/providers/microsoft.insights/Metrics`, { asked: 'metrics', of: set, what: 'values' }],
    [`${set}/providers/Microsoft.Insights/metricDefinitions`, { asked: 'metrics', of: set, what: 'definitions' }],
    [
      `${set}/virtualMachines/0/providers/Microsoft.Insights/metrics`,
      { asked: 'metrics', of: `${set}/virtualMachines/0`, what: 'values' },
    ],
    [
      '/subscriptions/S/providers/Microsoft.Insights/eventtypes/management/values',
      { asked: 'activities', subscriptionId: 'S' },
    ],
    ['/subscriptions/S/providers/Microsoft.Insights/eventtypes/management', undefined],
    [
      '/subscriptions/S/providers/Microsoft.Storage/checkNameAvailability',
      { asked: 'nameAvailability', subscriptionId: 'S' },
    ],
    [`${set}/instanceView`, { asked: 'action', id: set, type: setType, action: 'instanceView' }],
    [
      `${set}/virtualMachines`,
      { asked: 'collection', subscriptionId: 'S', resourceGroup: 'G', type: `${setType}/virtualMachines`, parent: set },
    ],
    [
      `${set}/virtualMachines/0/instanceView`,
      { asked: 'action', id: `${set}/virtualMachines/0`, type: `${setType}/virtualMachines`, action: 'instanceView' },
    ],
    [
      `${inGroup}/deployments/D/operations/O`,
      {
        asked: 'action',
        id: `${inGroup}/providers/Microsoft.Resources/deployments/D`,
        type: 'Microsoft.Resources/deployments',
        action: 'operations/O',
      },
    ],
    [
      '/subscriptions/S/providers/Microsoft.Resources/operations/O',
      { asked: 'operation', subscriptionId: 'S', operationId: 'O', result: false },
    ],
    [
      '/subscriptions/S/providers/Microsoft.Resources/operationresults/O',
      { asked: 'operation', subscriptionId: 'S', operationId: 'O', result: true },
    ],
    ['/', undefined],
    ['/elsewhere', undefined],
    ['/subscriptions/S/things', undefined],
    [`${inGroup}/things`, undefined],
    [`${inGroup}/providers`, undefined],
    [`${inGroup}/providers/N`, undefined],
  ])('%s', (path, expected) => {
    expect(classifyPath(path)).toEqual(expected);
  });

  it('takes a POST to what reads like a collection of children as an action', () => {
    const asked = classifyPath(`${set}/deallocate`);
    expect(asked === undefined ? undefined : asAction(asked)).toMatchObject({
      id: set,
      type: setType,
      action: 'deallocate',
    });
  });

  it('takes a POST to where a rolling upgrade ends for an action, and a GET of one for a part', () => {
    const asked = classifyPath(`${set}/rollingUpgrades/cancel`);
    expect(asked === undefined ? undefined : asAction(asked)).toEqual({
      ...{ asked: 'action', id: set, type: setType, action: 'cancelRollingUpgrade' },
    });
    const latest = classifyPath(`${set}/rollingUpgrades/latest`);
    expect(latest === undefined ? undefined : asAction(latest)).toBeUndefined();
  });
});
