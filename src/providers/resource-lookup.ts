/** Finds what a path names: its type, its group, its row, or the row that it is part of. Each miss has Azure's words. */
import { PoolhouseError } from '../core/errors.ts';
import {
  formatResourceId,
  groupId,
  parentId,
  parseResourceId,
  type ResourceId,
  type ResourcePath,
} from '../core/resource-id.ts';
import { findResource, type ResourceRecord } from '../store/resource-records.ts';
import type { Queries } from '../store/store.ts';
import type { Subscription } from './resource-service.ts';
import type { Registry, ResourceType } from './resource-type.ts';

export interface ResourceLookup {
  /** `SubscriptionNotFound` for an id of another subscription. */
  parse: (id: ResourceId) => ResourcePath;
  /** `NoRegisteredProviderFound`, with what there is. */
  typeOf: (path: ResourcePath) => ResourceType;
  requireGroup: (queries: Queries, path: ResourcePath) => Promise<ResourceRecord>;
  /** The stored resource at a path; the error tells whether its group is missing or itself. */
  requireStored: (queries: Queries, path: ResourcePath) => Promise<ResourceRecord>;
  /** The nearest stored resource above a path: its parent, or its group. */
  storedAbove: (queries: Queries, path: ResourcePath) => Promise<ResourceRecord>;
  notFound: (path: ResourcePath) => PoolhouseError;
  groupNotFound: (name: string) => PoolhouseError;
}

export const groupType = 'microsoft.resources/resourcegroups';

export function createResourceLookup(registry: Registry, subscription: Subscription): ResourceLookup {
  function typeOf(path: ResourcePath): ResourceType {
    const type = registry.find(path.type);
    if (type !== undefined) return type;
    const namespace = path.type.split('/')[0] ?? '';
    const known = registry.all().filter((one) => one.type.toLowerCase().startsWith(`${namespace.toLowerCase()}/`));
    throw new PoolhouseError(
      'NoRegisteredProviderFound',
      known.length === 0
        ? `The resource namespace '${namespace}' is not supported here: the resource type '${path.type}' cannot be deployed. Supported namespaces: ${[...new Set(registry.all().map((one) => one.type.split('/')[0]))].join(', ')}.`
        : `The resource type '${path.type}' is not supported here. Supported types of '${namespace}': ${known.map((one) => one.type.slice(namespace.length + 1)).join(', ')}.`,
      { target: path.type },
    );
  }

  function parse(id: ResourceId): ResourcePath {
    const path = parseResourceId(id);
    if (path.subscriptionId.toLowerCase() !== subscription.subscriptionId.toLowerCase()) {
      throw new PoolhouseError('SubscriptionNotFound', `The subscription '${path.subscriptionId}' could not be found.`);
    }
    return path;
  }

  function notFound(path: ResourcePath): PoolhouseError {
    if (path.type.toLowerCase() === groupType) return groupNotFound(path.resourceGroup ?? '');
    if (path.type.toLowerCase() === 'microsoft.resources/deployments') {
      return new PoolhouseError('DeploymentNotFound', `Deployment '${path.names.join('/')}' could not be found.`);
    }
    return new PoolhouseError(
      'ResourceNotFound',
      `The Resource '${path.type}/${path.names.join('/')}' under resource group '${path.resourceGroup ?? ''}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix`,
    );
  }

  function groupNotFound(name: string): PoolhouseError {
    return new PoolhouseError('ResourceGroupNotFound', `Resource group '${name}' could not be found.`);
  }

  async function requireGroup(queries: Queries, path: ResourcePath): Promise<ResourceRecord> {
    const name = path.resourceGroup;
    if (name === undefined) {
      throw new PoolhouseError('InvalidRequestContent', `'${path.type}' lives in a resource group; the id names none.`);
    }
    const group = await findResource(queries, groupId(path.subscriptionId, name));
    if (group === undefined) throw groupNotFound(name);
    return group;
  }

  async function requireStored(queries: Queries, path: ResourcePath): Promise<ResourceRecord> {
    const record = await findResource(queries, formatResourceId(path));
    if (record !== undefined) return record;
    if (path.type.toLowerCase() !== groupType) await requireGroup(queries, path);
    throw notFound(path);
  }

  async function storedAbove(queries: Queries, path: ResourcePath): Promise<ResourceRecord> {
    let id = parentId(path);
    while (id !== undefined) {
      const parent = parseResourceId(id);
      const type = typeOf(parent);
      if (type.kind === 'stored') {
        const record = await findResource(queries, id);
        if (record !== undefined) return record;
        await requireGroup(queries, path);
        throw new PoolhouseError(
          'ParentResourceNotFound',
          `Can not perform requested operation on nested resource. Parent resource '${parent.names.join('/')}' not found.`,
        );
      }
      id = parentId(parent);
    }
    return requireGroup(queries, path);
  }

  return { parse, typeOf, requireGroup, requireStored, storedAbove, notFound, groupNotFound };
}
