import { PoolhouseError } from '../../core/errors.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import { keyOf } from '../../core/resource-id.ts';
import { findResources } from '../../store/resource-records.ts';
import { inlineChildType, presentChildren } from '../inline-children.ts';
import { invalid, objects } from '../read-body.ts';
import type { StoredType } from '../resource-type.ts';
import { readLoadBalancer } from './load-balancer-model.ts';

const type = 'Microsoft.Network/loadBalancers';
const members = [
  'frontendIPConfigurations',
  'backendAddressPools',
  'loadBalancingRules',
  'probes',
  'inboundNatRules',
  'inboundNatPools',
  'outboundRules',
];

/** A load balancer: which public ports lead to which ports of a pool's instances, and how their health is probed. */
export const loadBalancers: StoredType = {
  kind: 'stored',
  type,
  reconciled: false,
  removedByLoop: false,
  needsLocation: true,
  check(body, _surroundings, path) {
    for (const member of members) {
      const names = objects(body, 'properties', member).map((child) => child['name']);
      for (const name of names) {
        if (typeof name !== 'string' || name === '')
          throw invalid(`properties.${member}`, `Every entry of 'properties.${member}' needs a name.`);
        if (
          names.filter((other) => typeof other === 'string' && other.toLowerCase() === name.toLowerCase()).length > 1
        ) {
          throw invalid(`properties.${member}`, `The name '${name}' stands more than once in 'properties.${member}'.`);
        }
      }
    }
    const model = readLoadBalancer(body);
    const ownPart = (id: string, member: string, target: string) => {
      // Ids point into this same load balancer, whatever its own id is: compare from its type on.
      const tail = `/loadbalancers/${(path.names[0] ?? '').toLowerCase()}/${member.toLowerCase()}/`;
      const key = keyOf(id);
      const at = key.lastIndexOf(tail);
      const name = at < 0 ? undefined : key.slice(at + tail.length);
      const there = objects(body, 'properties', member).some(
        (child) => typeof child['name'] === 'string' && child['name'].toLowerCase() === name,
      );
      if (!there) {
        throw new PoolhouseError(
          'InvalidResourceReference',
          `Resource ${id} referenced by load balancer '${path.names[0] ?? ''}' was not found. Please make sure that the referenced resource exists, and that both resources are in the same region.`,
          { target },
        );
      }
    };
    const ports = new Map<string, string>();
    for (const rule of model.rules) {
      ownPart(rule.frontEndId, 'frontendIPConfigurations', `loadBalancingRules.${rule.name}`);
      if (rule.backendPoolId !== undefined)
        ownPart(rule.backendPoolId, 'backendAddressPools', `loadBalancingRules.${rule.name}`);
      if (rule.probeId !== undefined) ownPart(rule.probeId, 'probes', `loadBalancingRules.${rule.name}`);
      const port = `${keyOf(rule.frontEndId)} ${rule.protocol} ${rule.frontendPort}`;
      const other = ports.get(port);
      if (other !== undefined) {
        throw new PoolhouseError(
          'RulesUseSameFrontendPortProtocolAndIPConfig',
          `The rules '${other}' and '${rule.name}' use the same front end, protocol and port ${rule.frontendPort}. Give one of them another port.`,
          { target: `loadBalancingRules.${rule.name}` },
        );
      }
      ports.set(port, rule.name);
    }
    for (const pool of model.natPools)
      ownPart(pool.frontEndId, 'frontendIPConfigurations', `inboundNatPools.${pool.name}`);
  },
  references: (body) =>
    readLoadBalancer(body).frontEnds.flatMap((frontEnd) =>
      frontEnd.publicAddressId === undefined ? [] : [frontEnd.publicAddressId],
    ),
  extra: (record) =>
    Promise.resolve(
      isObject(record.document['sku']) ? {} : ({ sku: { name: 'Basic', tier: 'Regional' } } satisfies JsonObject),
    ),
  properties: (record) => Promise.resolve(presentChildren(record, type, members)),
  async checkRemoval(record, { queries }) {
    for (const scaleSet of await findResources(queries, { type: 'Microsoft.Compute/virtualMachineScaleSets' })) {
      if (JSON.stringify(scaleSet.document).toLowerCase().includes(`${record.key}/`)) {
        throw new PoolhouseError(
          'OperationNotAllowed',
          `Load balancer ${record.id} cannot be deleted: it is in use by ${scaleSet.id}. Delete that scale set first.`,
        );
      }
    }
  },
};

export const loadBalancerChildren = members.map((member) => inlineChildType(type, member));
