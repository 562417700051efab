/** Extensions addressed by themselves: children inside the scale set's profile. */
import { PoolhouseError } from '../../core/errors.ts';
import type { JsonObject } from '../../core/json.ts';
import type { ResourceRecord } from '../../store/resource-records.ts';
import { objectAt, objects } from '../read-body.ts';
import type { VirtualType } from '../resource-type.ts';
import { presentExtension } from './scale-set-instances.ts';

const childrenOf = (parent: ResourceRecord) =>
  objects(parent.document, 'properties', 'virtualMachineProfile', 'extensionProfile', 'extensions');
const hasName = (child: JsonObject, name: string) =>
  typeof child['name'] === 'string' && child['name'].toLowerCase() === name.toLowerCase();

function withExtensions(parent: ResourceRecord, extensions: JsonObject[]): JsonObject {
  const document = structuredClone(parent.document);
  const profile = objectAt(document, 'properties', 'virtualMachineProfile');
  profile['extensionProfile'] = { ...objectAt(profile, 'extensionProfile'), extensions };
  return document;
}

export const scaleSetExtensions: VirtualType = {
  kind: 'virtual',
  type: 'Microsoft.Compute/virtualMachineScaleSets/extensions',
  get(parent, path) {
    const name = path.names.at(-1) ?? '';
    const child = childrenOf(parent).find((one) => hasName(one, name));
    return child === undefined
      ? Promise.reject(
          new PoolhouseError(
            'ResourceNotFound',
            `The entity was not found: the scale set '${path.names[0] ?? ''}' has no extension '${name}'.`,
          ),
        )
      : Promise.resolve(presentExtension(parent, child));
  },
  list: (parent) => Promise.resolve(childrenOf(parent).map((child) => presentExtension(parent, child))),
  put(parent, path, body) {
    const name = path.names.at(-1) ?? '';
    const others = childrenOf(parent).filter((one) => !hasName(one, name));
    return Promise.resolve(withExtensions(parent, [...others, { name, properties: objectAt(body, 'properties') }]));
  },
  remove(parent, path) {
    const children = childrenOf(parent);
    const others = children.filter((one) => !hasName(one, path.names.at(-1) ?? ''));
    return Promise.resolve(others.length === children.length ? undefined : withExtensions(parent, others));
  },
};
