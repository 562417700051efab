/** What a path of the ARM API asks for. Pure. Clients write paths in any case, and some leave segments out. */
import { formatResourceId, groupId, tryParseResourceId, type ResourceId } from '../core/resource-id.ts';

export type Asked =
  | { asked: 'subscriptions' }
  | { asked: 'subscription'; subscriptionId: string }
  | { asked: 'tenants' }
  | { asked: 'locations'; subscriptionId: string }
  | { asked: 'providers'; subscriptionId: string; namespace?: string; action?: string }
  | { asked: 'identity'; kind: 'users' | 'groups'; name?: string }
  | { asked: 'operation'; subscriptionId: string; operationId: string; result: boolean }
  | { asked: 'metrics'; of: ResourceId; what: 'values' | 'definitions' }
  | { asked: 'activities'; subscriptionId: string }
  | { asked: 'nameAvailability'; subscriptionId: string }
  | { asked: 'collection'; subscriptionId: string; resourceGroup?: string; type?: string; parent?: ResourceId }
  | { asked: 'resource'; id: ResourceId; type: string }
  | { asked: 'action'; id: ResourceId; type: string; action: string };

/** Words after a resource that are views or actions of it, though they stand where a child type could. */
const views = new Set(['instanceview', 'operations', 'skus']);
const groupType = 'Microsoft.Resources/resourceGroups';

/** @returns undefined where the path is none of the API's */
export function classifyPath(path: string): Asked | undefined {
  const parts = path.split('/').filter((part) => part !== '');
  const lower = parts.map((part) => part.toLowerCase());
  if (lower[0] === 'tenants' && parts.length === 1) return { asked: 'tenants' };
  if (lower[0] === 'providers') return inTenant(lower, parts[3]);
  if (lower[0] !== 'subscriptions') return undefined;
  const subscriptionId = parts[1];
  if (subscriptionId === undefined) return { asked: 'subscriptions' };
  const measured = metricsOf(parts, lower);
  if (measured !== undefined) return measured;
  const word = lower[2];
  const rest = parts.slice(3);
  switch (word) {
    case undefined:
      return { asked: 'subscription', subscriptionId };
    case 'locations':
      return rest.length === 0 ? { asked: 'locations', subscriptionId } : undefined;
    case 'resources':
      return rest.length === 0 ? { asked: 'collection', subscriptionId } : undefined;
    case 'resourcegroups':
      return inGroup(subscriptionId, rest);
    case 'providers':
      return underSubscription(subscriptionId, rest);
    default:
      return undefined;
  }
}

const metricViews: Readonly<Record<string, 'values' | 'definitions'>> = {
  metrics: 'values',
  metricdefinitions: 'definitions',
};

/** `…/providers/Microsoft.Insights/metrics` behind a resource's id: what is measured of it. */
function metricsOf(parts: readonly string[], lower: readonly string[]): Asked | undefined {
  const [providers, namespace, view = ''] = lower.slice(-3);
  const what = Object.hasOwn(metricViews, view) ? metricViews[view] : undefined;
  if (providers !== 'providers' || namespace !== 'microsoft.insights' || what === undefined) return undefined;
  const path = tryParseResourceId(`/${parts.slice(0, -3).join('/')}`);
  return path === undefined ? undefined : { asked: 'metrics', of: formatResourceId(path), what };
}

/** People belong to no subscription. */
function inTenant(lower: readonly string[], name: string | undefined): Asked | undefined {
  const kind = lower[2];
  if (lower[1] !== 'poolhouse.identity' || lower.length > 4) return undefined;
  if (kind !== 'users' && kind !== 'groups') return undefined;
  return { asked: 'identity', kind, ...(name === undefined ? {} : { name }) };
}

function underSubscription(subscriptionId: string, rest: string[]): Asked | undefined {
  const [namespace, ...segments] = rest;
  if (namespace === undefined) return { asked: 'providers', subscriptionId };
  const lower = segments.map((segment) => segment.toLowerCase());
  if (segments.length === 0) return { asked: 'providers', subscriptionId, namespace };
  if (lower.length === 1 && ['register', 'unregister'].includes(lower[0] ?? ''))
    return { asked: 'providers', subscriptionId, namespace, action: lower[0] ?? '' };
  if (
    namespace.toLowerCase() === 'microsoft.resources' &&
    (lower[0] === 'operations' || lower[0] === 'operationresults') &&
    segments[1] !== undefined
  ) {
    return { asked: 'operation', subscriptionId, operationId: segments[1], result: lower[0] === 'operationresults' };
  }
  if (namespace.toLowerCase() === 'microsoft.insights' && lower.join('/') === 'eventtypes/management/values')
    return { asked: 'activities', subscriptionId };
  if (namespace.toLowerCase() === 'microsoft.storage' && lower.join('/') === 'checknameavailability')
    return { asked: 'nameAvailability', subscriptionId };
  if (segments.length === 1) return { asked: 'collection', subscriptionId, type: `${namespace}/${segments[0] ?? ''}` };
  return undefined;
}

function inGroup(subscriptionId: string, rest: string[]): Asked | undefined {
  const [resourceGroup, word, ...segments] = rest;
  if (resourceGroup === undefined) return { asked: 'collection', subscriptionId, type: groupType };
  const id = groupId(subscriptionId, resourceGroup);
  if (word === undefined) return { asked: 'resource', id, type: groupType };
  switch (word.toLowerCase()) {
    case 'resources':
      return segments.length === 0 ? { asked: 'collection', subscriptionId, resourceGroup } : undefined;
    case 'exporttemplate':
      return segments.length === 0 ? { asked: 'action', id, type: groupType, action: word } : undefined;
    // az writes /resourcegroups/G/deployments/D/operations, without /providers/Microsoft.Resources.
    case 'deployments':
      return inProvider(subscriptionId, resourceGroup, ['Microsoft.Resources', word, ...segments]);
    case 'providers':
      return inProvider(subscriptionId, resourceGroup, segments);
    default:
      return undefined;
  }
}

function inProvider(subscriptionId: string, resourceGroup: string, segments: string[]): Asked | undefined {
  const [namespace, ...path] = segments;
  if (namespace === undefined || path.length === 0) return undefined;
  const types = path.filter((_, index) => index % 2 === 0);
  const names = path.filter((_, index) => index % 2 === 1);
  const idOf = (count: number) =>
    formatResourceId({
      subscriptionId,
      resourceGroup,
      type: [namespace, ...types.slice(0, count)].join('/'),
      names: names.slice(0, count),
    });
  const typeOf = (count: number) => [namespace, ...types.slice(0, count)].join('/');
  if (path.length % 2 === 0) {
    // …/deployments/D/operations/ID: one of the operations, which the view lists.
    const before = types.at(-1)?.toLowerCase();
    if (before === 'operations' && types.length > 1)
      return {
        asked: 'action',
        id: idOf(types.length - 1),
        type: typeOf(types.length - 1),
        action: `operations/${names.at(-1) ?? ''}`,
      };
    return { asked: 'resource', id: idOf(types.length), type: typeOf(types.length) };
  }
  const last = types.at(-1) ?? '';
  const parents = types.length - 1;
  if (parents > 0 && views.has(last.toLowerCase()))
    return { asked: 'action', id: idOf(parents), type: typeOf(parents), action: last };
  const type = typeOf(types.length);
  return parents === 0
    ? { asked: 'collection', subscriptionId, resourceGroup, type }
    : { asked: 'collection', subscriptionId, resourceGroup, type, parent: idOf(parents) };
}

/** A POST to a path that reads like a collection of children is an action on the resource above: `…/NAME/listKeys`. */
export function asAction(asked: Asked): Extract<Asked, { asked: 'action' }> | undefined {
  if (asked.asked === 'action') return asked;
  // …/NAME/rollingUpgrades/cancel: a verb where a name would stand.
  const upgraded = asked.asked === 'resource' ? /^(.*)\/rollingUpgrades\/cancel$/i.exec(asked.id)?.[1] : undefined;
  if (upgraded !== undefined && asked.asked === 'resource') {
    const type = asked.type.slice(0, asked.type.lastIndexOf('/'));
    return { asked: 'action', id: upgraded as ResourceId, type, action: 'cancelRollingUpgrade' }; // the beginning of an id is one
  }
  if (asked.asked !== 'collection' || asked.parent === undefined || asked.type === undefined) return undefined;
  const at = asked.type.lastIndexOf('/');
  return { asked: 'action', id: asked.parent, type: asked.type.slice(0, at), action: asked.type.slice(at + 1) };
}
