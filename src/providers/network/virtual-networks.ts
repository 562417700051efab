import { isIPv4 } from 'node:net';
import { PoolhouseError } from '../../core/errors.ts';
import { dig, type JsonObject } from '../../core/json.ts';
import { keyOf } from '../../core/resource-id.ts';
import { findResources } from '../../store/resource-records.ts';
import { inlineChildType, presentChildren } from '../inline-children.ts';
import { invalid, objects, optionalString, requiredString } from '../read-body.ts';
import type { StoredType } from '../resource-type.ts';

const type = 'Microsoft.Network/virtualNetworks';

/**
 * A virtual network. Its prefixes stay in the document only: instances get addresses of the installation's own
 * network, which overlaps with nothing of the host (most templates say 10.0.0.0/16).
 */
export const virtualNetworks: StoredType = {
  kind: 'stored',
  type,
  reconciled: false,
  removedByLoop: false,
  needsLocation: true,
  check(body) {
    const prefixes = prefixesOf(body);
    if (prefixes.length === 0)
      throw invalid(
        'properties.addressSpace',
        `A virtual network needs at least one entry in 'properties.addressSpace.addressPrefixes'.`,
      );
    for (const prefix of prefixes) checkPrefix(prefix, 'properties.addressSpace.addressPrefixes');
    for (const [index, subnet] of objects(body, 'properties', 'subnets').entries()) {
      requiredString(subnet, 'name');
      const prefix = optionalString(subnet, 'properties', 'addressPrefix');
      if (prefix !== undefined) checkPrefix(prefix, `properties.subnets[${index}].properties.addressPrefix`);
    }
  },
  properties: (record) => Promise.resolve(presentChildren(record, type, ['subnets'])),
  async checkRemoval(record, { queries }) {
    for (const other of await findResources(queries, { type: 'Microsoft.Compute/virtualMachineScaleSets' })) {
      if (
        JSON.stringify(other.document)
          .toLowerCase()
          .includes(`${keyOf(record.id)}/subnets/`)
      ) {
        throw new PoolhouseError(
          'InUseSubnetCannotBeDeleted',
          `A subnet of '${record.id}' is in use by '${other.id}' and cannot be deleted. Delete that scale set first.`,
        );
      }
    }
  },
};

export const subnets = inlineChildType(type, 'subnets');

function prefixesOf(body: JsonObject): string[] {
  const prefixes = dig(body, 'properties', 'addressSpace', 'addressPrefixes');
  return Array.isArray(prefixes) ? prefixes.filter((prefix) => typeof prefix === 'string') : [];
}

function checkPrefix(prefix: string, target: string): void {
  const [address = '', length = '', rest] = prefix.split('/');
  const bits = Number(length);
  const ok =
    rest === undefined &&
    (isIPv4(address)
      ? /^\d{1,2}$/.test(length) && bits <= 32
      : address.includes(':') && /^\d{1,3}$/.test(length) && bits <= 128);
  if (!ok) {
    throw new PoolhouseError(
      'InvalidParameter',
      `The address prefix '${prefix}' is not valid. Expected CIDR notation such as 10.0.0.0/16.`,
      { target },
    );
  }
}
