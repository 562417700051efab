import { inlineChildType, presentChildren } from '../inline-children.ts';
import { objects, optionalChoice, requiredInteger, requiredString } from '../read-body.ts';
import type { StoredType } from '../resource-type.ts';

const type = 'Microsoft.Network/networkSecurityGroups';

/** Rules for traffic, kept as a document. Instances are shut off from each other and from the host without them. */
export const networkSecurityGroups: StoredType = {
  kind: 'stored',
  type,
  reconciled: false,
  removedByLoop: false,
  needsLocation: true,
  check(body) {
    for (const rule of objects(body, 'properties', 'securityRules')) {
      requiredString(rule, 'name');
      requiredInteger(rule, { minimum: 100, maximum: 4096 }, 'properties', 'priority');
      optionalChoice(rule, ['Allow', 'Deny'], 'properties', 'access');
      optionalChoice(rule, ['Inbound', 'Outbound'], 'properties', 'direction');
    }
  },
  properties: (record) => Promise.resolve(presentChildren(record, type, ['securityRules'])),
};

export const securityRules = inlineChildType(type, 'securityRules');
