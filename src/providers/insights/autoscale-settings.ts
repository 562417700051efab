import { PoolhouseError } from '../../core/errors.ts';
import { keyOf, type ResourceKey } from '../../core/resource-id.ts';
import type { AutoscaleSetting } from '../../pool/autoscale/setting.ts';
import { findResources, type ResourceRecord } from '../../store/resource-records.ts';
import type { Queries } from '../../store/store.ts';
import { optionalBoolean, requiredString } from '../read-body.ts';
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
    const other = (await findResources(queries, { type })).find(
      (one) => one.key !== keyOf(id) && targetOf(one) === target,
    );
    if (other === undefined) return body;
    throw new PoolhouseError(
      'Conflict',
      `'${readAutoscaleSetting(body).target}' has an autoscale setting already: '${other.id}'. A resource has one; change or delete that.`,
      { target: 'properties.targetResourceUri' },
    );
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

/** The keys of the scale sets whose capacity an autoscale setting sees to. */
export async function findAutoscaled(queries: Queries): Promise<ReadonlySet<ResourceKey>> {
  const enabled = (await findResources(queries, { type })).filter(
    ({ document }) => optionalBoolean(document, 'properties', 'enabled') === true,
  );
  return new Set(enabled.map(targetOf));
}

const targetOf = ({ document }: ResourceRecord): ResourceKey =>
  keyOf(requiredString(document, 'properties', 'targetResourceUri'));
