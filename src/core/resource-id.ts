/**
 * Azure resource ids. They compare without case and are shown as first written, so there are two forms: the `id`, for
 * people, and its `key` (lower case), for comparing and storing.
 * /subscriptions/S/resourceGroups/G/providers/NAMESPACE/TYPE/NAME/CHILDTYPE/CHILDNAME
 */
import { PoolhouseError } from './errors.ts';

/** A resource id as first written. */
export type ResourceId = string & { readonly brand: 'ResourceId' };
/** A resource id in lower case: equal exactly when the ids are. */
export type ResourceKey = string & { readonly brand: 'ResourceKey' };

export interface ResourcePath {
  subscriptionId: string;
  resourceGroup?: string;
  /** `Microsoft.Network/loadBalancers/frontendIPConfigurations`; `Microsoft.Resources/resourceGroups` for a group itself. */
  type: string;
  /** One name for each segment of the type after the namespace. */
  names: string[];
}

export function keyOf(id: string): ResourceKey {
  return id.replace(/\/+$/, '').toLowerCase() as ResourceKey;
}

export function groupId(subscriptionId: string, resourceGroup: string): ResourceId {
  return `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}` as ResourceId;
}

/** The id of a path; the inverse of `parseResourceId`. */
export function formatResourceId(path: ResourcePath): ResourceId {
  const root =
    path.resourceGroup === undefined
      ? `/subscriptions/${path.subscriptionId}`
      : groupId(path.subscriptionId, path.resourceGroup);
  if (path.type.toLowerCase() === 'microsoft.resources/resourcegroups') return root as ResourceId;
  const [namespace = '', ...types] = path.type.split('/');
  const segments = types.flatMap((type, index) => [type, path.names[index] ?? '']);
  return [root, 'providers', namespace, ...segments].join('/') as ResourceId;
}

/** What names of resources may be, everywhere; a type may be stricter. In words, for messages. */
export const resourceNameRule =
  'a name has 1 to 260 characters, holds none of < > % & \\ ? / # nor control characters, begins and ends with no space, and does not end with a period';

/** Whether a name follows `resourceNameRule`: no id that is made of such names can lead elsewhere. */
export function isResourceName(name: string): boolean {
  return (
    name.length > 0 &&
    name.length <= 260 &&
    !/[<>%&\\?/#\p{Cc}]/u.test(name) &&
    name.trim() === name &&
    !name.endsWith('.')
  );
}

/** A name for messages: not too long, and without control characters. */
export function shownName(name: string): string {
  const plain = name.replace(/\p{Cc}/gu, '�');
  return plain.length > 80 ? `${plain.slice(0, 80)}…` : plain;
}

/** Reads an id; undefined where the text is not one. */
export function tryParseResourceId(text: string): ResourcePath | undefined {
  const parts = text.replace(/\/+$/, '').split('/');
  if (parts[0] !== '' || parts.some((part, index) => index > 0 && part === '')) return undefined;
  if (parts[1]?.toLowerCase() !== 'subscriptions' || parts[2] === undefined) return undefined;
  const subscriptionId = parts[2];
  let rest = parts.slice(3);
  let resourceGroup: string | undefined;
  if (rest[0]?.toLowerCase() === 'resourcegroups' && rest[1] !== undefined) {
    resourceGroup = rest[1];
    rest = rest.slice(2);
  }
  if (rest.length === 0) {
    if (resourceGroup === undefined) return undefined;
    return { subscriptionId, resourceGroup, type: 'Microsoft.Resources/resourceGroups', names: [resourceGroup] };
  }
  const [providers, namespace, ...segments] = rest;
  if (providers?.toLowerCase() !== 'providers' || namespace === undefined) return undefined;
  if (segments.length === 0 || segments.length % 2 !== 0) return undefined;
  const types = segments.filter((_, index) => index % 2 === 0);
  const names = segments.filter((_, index) => index % 2 === 1);
  return {
    subscriptionId,
    ...(resourceGroup === undefined ? {} : { resourceGroup }),
    type: [namespace, ...types].join('/'),
    names,
  };
}

/** Reads an id, or says with `LinkedInvalidPropertyId` that the text is none. */
export function parseResourceId(text: string): ResourcePath {
  const path = tryParseResourceId(text);
  if (path === undefined) {
    throw new PoolhouseError(
      'LinkedInvalidPropertyId',
      `'${text}' is not a resource id. Expected /subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers/{resourceProviderNamespace}/{resourceType}/{resourceName}.`,
    );
  }
  return path;
}

/** The id one level up: of a child resource its parent, of a top-level resource undefined. */
export function parentId(path: ResourcePath): ResourceId | undefined {
  if (path.names.length < 2) return undefined;
  return formatResourceId({
    ...path,
    type: path.type.split('/').slice(0, -1).join('/'),
    names: path.names.slice(0, -1),
  });
}
