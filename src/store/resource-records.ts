/** Resources as the rest of the house sees them, and the few queries that everybody needs. */
import type { ErrorBody } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { keyOf, tryParseResourceId, type ResourceId, type ResourceKey } from '../core/resource-id.ts';
import type { EpochMillis } from '../core/time.ts';
import type { ResourceRow } from './schema.ts';
import type { Queries } from './store.ts';

export type ProvisioningState =
  'Creating' | 'Updating' | 'Deleting' | 'Succeeded' | 'Failed' | 'Canceled' | 'Running' | 'Accepted';

export interface ResourceRecord {
  key: ResourceKey;
  id: ResourceId;
  /** In lower case: `microsoft.network/loadbalancers`. */
  typeKey: string;
  groupKey: ResourceKey;
  parentKey: ResourceKey | '';
  /** As asked for; secrets are replaced by references. */
  document: JsonObject;
  /** As found, by the loops. */
  found: JsonObject;
  provisioningState: ProvisioningState;
  error: ErrorBody | undefined;
  generation: number;
  etag: string;
  createdAt: EpochMillis;
  changedAt: EpochMillis;
  deletingSince: EpochMillis | undefined;
}

function recordOf(row: ResourceRow): ResourceRecord {
  return {
    key: row.key as ResourceKey,
    id: row.id as ResourceId,
    typeKey: row.type_key,
    groupKey: row.group_key as ResourceKey,
    parentKey: row.parent_key as ResourceKey | '',
    document: JSON.parse(row.document_json) as JsonObject,
    found: JSON.parse(row.found_json) as JsonObject,
    provisioningState: row.provisioning_state as ProvisioningState,
    error: row.error_json === null ? undefined : (JSON.parse(row.error_json) as ErrorBody),
    generation: row.generation,
    etag: row.etag,
    createdAt: row.created_at,
    changedAt: row.changed_at,
    deletingSince: row.deleting_since ?? undefined,
  };
}

function rowOf(record: ResourceRecord): ResourceRow {
  return {
    key: record.key,
    id: record.id,
    type_key: record.typeKey,
    group_key: record.groupKey,
    parent_key: record.parentKey,
    document_json: JSON.stringify(record.document),
    found_json: JSON.stringify(record.found),
    provisioning_state: record.provisioningState,
    error_json: record.error === undefined ? null : JSON.stringify(record.error),
    generation: record.generation,
    etag: record.etag,
    created_at: record.createdAt,
    changed_at: record.changedAt,
    deleting_since: record.deletingSince ?? null,
  };
}

/** The resource with this id; undefined where there is none. */
export async function findResource(queries: Queries, id: string): Promise<ResourceRecord | undefined> {
  const row = await queries.selectFrom('resources').selectAll().where('key', '=', keyOf(id)).executeTakeFirst();
  return row === undefined ? undefined : recordOf(row);
}

export interface ResourceFilter {
  type?: string;
  groupKey?: string;
  parentKey?: string;
}

/** All resources that fit, oldest first. */
export async function findResources(queries: Queries, filter: ResourceFilter): Promise<ResourceRecord[]> {
  let query = queries.selectFrom('resources').selectAll().orderBy('created_at').orderBy('key');
  if (filter.type !== undefined) query = query.where('type_key', '=', filter.type.toLowerCase());
  if (filter.groupKey !== undefined) query = query.where('group_key', '=', filter.groupKey);
  if (filter.parentKey !== undefined) query = query.where('parent_key', '=', filter.parentKey);
  return (await query.execute()).map(recordOf);
}

export async function saveResource(queries: Queries, record: ResourceRecord): Promise<void> {
  const row = rowOf(record);
  await queries
    .insertInto('resources')
    .values(row)
    .onConflict((conflict) => conflict.column('key').doUpdateSet(row))
    .execute();
}

/** The last name of an id: `lb1` of `…/loadBalancers/lb1`. */
export function nameOf(id: ResourceId): string {
  return tryParseResourceId(id)?.names.at(-1) ?? id;
}
