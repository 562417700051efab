import { PoolhouseError } from '../../core/errors.ts';
import { keyOf } from '../../core/resource-id.ts';
import { findResources } from '../../store/resource-records.ts';
import { objectAt, optionalChoice, optionalInteger, optionalString } from '../read-body.ts';
import type { StoredType } from '../resource-type.ts';
import { invalid } from '../read-body.ts';

/** What hands out public addresses; the composition root knows which there are. */
export interface PublicAddresses {
  /** In order of preference: the operator's own first, then the installation's loopback block. */
  candidates: readonly string[];
  /** Suffix of DNS names made of labels: `NAME.LOCATION.cloudapp.poolhouse.internal`. */
  domain: string;
}

/** A public address: an address of this machine where front ends listen. It is given when the resource is made, and stays. */
export function publicIpAddresses(addresses: PublicAddresses): StoredType {
  return {
    kind: 'stored',
    type: 'Microsoft.Network/publicIPAddresses',
    reconciled: false,
    removedByLoop: false,
    needsLocation: true,
    check(body) {
      optionalChoice(body, ['Dynamic', 'Static'], 'properties', 'publicIPAllocationMethod');
      optionalChoice(body, ['IPv4', 'IPv6'], 'properties', 'publicIPAddressVersion');
      optionalInteger(body, { minimum: 1, maximum: 1440 }, 'properties', 'idleTimeoutInMinutes');
      const label = optionalString(body, 'properties', 'dnsSettings', 'domainNameLabel');
      if (label !== undefined && !/^[a-z][a-z0-9-]{1,61}[a-z0-9]$/.test(label)) {
        throw invalid(
          'properties.dnsSettings.domainNameLabel',
          `The domain name label ${label} is invalid. It must conform to the following regular expression: ^[a-z][a-z0-9-]{1,61}[a-z0-9]$.`,
        );
      }
    },
    async accept(body, { queries, id }) {
      const owner = keyOf(id);
      const rows = await queries.selectFrom('public_addresses').selectAll().execute();
      if (!rows.some((row) => row.owner_key === owner)) {
        const taken = new Set(rows.map((row) => row.address));
        const address = addresses.candidates.find((candidate) => !taken.has(candidate));
        if (address === undefined) {
          throw new PoolhouseError(
            'QuotaExceeded',
            `All ${addresses.candidates.length} public addresses are taken. Delete one that is not needed, or add addresses to 'publicAddresses' in config.json.`,
          );
        }
        await queries.insertInto('public_addresses').values({ address, owner_key: owner }).execute();
      }
      return body;
    },
    async properties(record, { queries }) {
      const row = await queries
        .selectFrom('public_addresses')
        .select('address')
        .where('owner_key', '=', record.key)
        .executeTakeFirst();
      const properties = objectAt(record.document, 'properties');
      const label = optionalString(properties, 'dnsSettings', 'domainNameLabel');
      const location = optionalString(record.document, 'location') ?? 'local';
      return {
        publicIPAllocationMethod: 'Dynamic',
        publicIPAddressVersion: 'IPv4',
        idleTimeoutInMinutes: 4,
        ...properties,
        ...(label === undefined
          ? {}
          : {
              dnsSettings: {
                ...objectAt(properties, 'dnsSettings'),
                fqdn: `${label}.${location.replaceAll(' ', '').toLowerCase()}.${addresses.domain}`,
              },
            }),
        ...(row === undefined ? {} : { ipAddress: row.address }),
      };
    },
    async checkRemoval(record, { queries }) {
      for (const balancer of await findResources(queries, { type: 'Microsoft.Network/loadBalancers' })) {
        if (JSON.stringify(balancer.document).toLowerCase().includes(`"${record.key}"`)) {
          throw new PoolhouseError(
            'PublicIPAddressCannotBeDeleted',
            `Public IP address ${record.id} can not be deleted since it is still allocated to resource ${balancer.id}. Delete that load balancer, or the front end in it, first.`,
          );
        }
      }
    },
    async cleanUp(record, { queries }) {
      await queries.deleteFrom('public_addresses').where('owner_key', '=', record.key).execute();
    },
  };
}
