import type { JsonObject } from '../../core/json.ts';
import { PoolhouseError } from '../../core/errors.ts';
import { isObject } from '../../core/json.ts';
import type { StoredType } from '../resource-type.ts';

/** A group of resources that live and die together. Removing it removes all of them; a loop sees to the order. */
export const resourceGroups: StoredType = {
  kind: 'stored',
  type: 'Microsoft.Resources/resourceGroups',
  reconciled: false,
  removedByLoop: true,
  needsLocation: true,
  check(_body, _surroundings, path) {
    const name = path.resourceGroup ?? '';
    if (!/^[\p{L}\p{N}_\-().]{1,90}$/u.test(name) || name.endsWith('.')) {
      throw new PoolhouseError(
        'InvalidParameter',
        `The resource group name '${name.slice(0, 100)}' is not valid: 1 to 90 letters, digits, '_', '-', '(', ')' and '.', not ending with a period.`,
        { target: 'name' },
      );
    }
  },
  properties(record) {
    const properties = record.document['properties'];
    const result: JsonObject = isObject(properties) ? properties : {};
    return Promise.resolve(result);
  },
};
