import { PoolhouseError } from '../../core/errors.ts';
import { keyOf, type ResourceKey } from '../../core/resource-id.ts';
import type { AutoscaleSetting } from '../../pool/autoscale/setting.ts';
import { findResources, type ResourceRecord } from '../../store/resource-records.ts';
import type { Queries } from '../../store/store.ts';
import type { StoredType } from '../resource-type.ts';
import { readAutoscaleSetting } from './autoscale-setting-model.ts';

const type = 'Microsoft.Insights/autoscaleSettings';

/** An autoscale setting: how a scale set's capacity follows what is measured. A loop in control acts on it. */
export const autoscaleSettings: StoredType = {
  kind: 'stored',
  type,
  reconciled: false,
  removedByLoop: false,
  needsLocation: true,
  check(body) {
    readAutoscaleSetting(body);
  },
  references: (body) => [readAutoscaleSetting(body).target],
  async accept(body, { queries, id }) {
    const target = keyOf(readAutoscaleSetting(body).target);
    for (const other of await findAutoscaleSettings(queries)) {
      if (other.record.key === keyOf(id) || other.target !== target) continue;
      throw new PoolhouseError(
        'Conflict',
        `'${readAutoscaleSetting(body).target}' has an autoscale setting already: '${other.record.id}'. A resource has one; change or delete that.`,
        { target: 'properties.targetResourceUri' },
      );
    }
    return body;
  },
};

export interface StoredAutoscaleSetting {
  record: ResourceRecord;
  setting: AutoscaleSetting;
  /** The scale set's key. */
  target: ResourceKey;
}

/** All autoscale settings that there are, those that are switched off with them. */
export async function findAutoscaleSettings(queries: Queries): Promise<StoredAutoscaleSetting[]> {
  return (await findResources(queries, { type })).map((record) => {
    const setting = readAutoscaleSetting(record.document);
    return { record, setting, target: keyOf(setting.target) };
  });
}
