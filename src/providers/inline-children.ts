/**
 * Children that live inside their parent's document, as subnets do in a virtual network and rules in a load balancer:
 * an array of `{name, properties}` under the parent's properties. Azure addresses each by an id of its own.
 */
import { PoolhouseError } from '../core/errors.ts';
import { isObject, type JsonObject } from '../core/json.ts';
import type { ResourceRecord } from '../store/resource-records.ts';
import { objectAt, objects } from './read-body.ts';
import type { VirtualType } from './resource-type.ts';

export interface InlineChildren {
  /** Member of the parent's properties, and name of the child type: `subnets`. */
  member: string;
}

const sameName = (a: unknown, b: string) => typeof a === 'string' && a.toLowerCase() === b.toLowerCase();

/** The child as Azure shows it, with id, type and state. */
function presentChild(parent: ResourceRecord, parentType: string, member: string, child: JsonObject): JsonObject {
  const name = typeof child['name'] === 'string' ? child['name'] : '';
  return {
    ...child,
    name,
    id: `${parent.id}/${member}/${name}`,
    type: `${parentType}/${member}`,
    etag: `W/"${parent.etag}"`,
    properties: { ...objectAt(child, 'properties'), provisioningState: 'Succeeded' },
  };
}

/** The parent's properties with every child of the given members as Azure shows it. */
export function presentChildren(parent: ResourceRecord, parentType: string, members: readonly string[]): JsonObject {
  const properties = objectAt(parent.document, 'properties');
  const result: JsonObject = { ...properties };
  for (const member of members) {
    const key = Object.keys(result).find((name) => name.toLowerCase() === member.toLowerCase());
    if (key === undefined) result[member] = [];
    else result[key] = objects(properties, key).map((child) => presentChild(parent, parentType, member, child));
  }
  return result;
}

/** The type of one kind of inline child. */
export function inlineChildType(
  parentType: string,
  member: string,
  present: (parent: ResourceRecord, child: JsonObject) => JsonObject = (parent, child) =>
    presentChild(parent, parentType, member, child),
): VirtualType {
  const childrenOf = (parent: ResourceRecord) => objects(parent.document, 'properties', member);
  const withChildren = (parent: ResourceRecord, children: JsonObject[]): JsonObject => {
    const properties = objectAt(parent.document, 'properties');
    const key = Object.keys(properties).find((name) => name.toLowerCase() === member.toLowerCase()) ?? member;
    return { ...parent.document, properties: { ...properties, [key]: children } };
  };
  return {
    kind: 'virtual',
    type: `${parentType}/${member}`,
    get(parent, path) {
      const name = path.names.at(-1) ?? '';
      const child = childrenOf(parent).find((one) => sameName(one['name'], name));
      if (child === undefined) {
        return Promise.reject(
          new PoolhouseError(
            'ResourceNotFound',
            `The Resource '${path.type}/${path.names.join('/')}' under resource group '${path.resourceGroup ?? ''}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix`,
          ),
        );
      }
      return Promise.resolve(present(parent, child));
    },
    list: (parent) => Promise.resolve(childrenOf(parent).map((child) => present(parent, child))),
    put(parent, path, body) {
      const name = path.names.at(-1) ?? '';
      const others = childrenOf(parent).filter((one) => !sameName(one['name'], name));
      const { id: _id, type: _type, etag: _etag, apiVersion: _version, dependsOn: _depends, ...asked } = body;
      const child: JsonObject = {
        ...asked,
        name,
        properties: isObject(asked['properties']) ? asked['properties'] : {},
      };
      return Promise.resolve(withChildren(parent, [...others, child]));
    },
    remove(parent, path) {
      const name = path.names.at(-1) ?? '';
      const children = childrenOf(parent);
      const others = children.filter((one) => !sameName(one['name'], name));
      return Promise.resolve(others.length === children.length ? undefined : withChildren(parent, others));
    },
  };
}
