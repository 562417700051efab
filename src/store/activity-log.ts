/**
 * The activity log: what was done to a scale set and its instances, by whom and why. It answers `poolhouse why`, and clients
 * that ask Azure's activity log (https://learn.microsoft.com/azure/azure-monitor/platform/activity-log-schema).
 */
import { sql } from 'kysely';
import type { JsonObject } from '../core/json.ts';
import type { EpochMillis } from '../core/time.ts';
import type { ActivityRow } from './schema.ts';
import type { Queries } from './store.ts';

export interface Activity {
  id: string;
  at: EpochMillis;
  /** The scale set that it was done to, or the autoscale setting. */
  resourceId: string;
  /** Of one instance of it. */
  instanceId: number | undefined;
  /** As Azure names operations: `Microsoft.Insights/AutoscaleSettings/Scaleup/Action`. */
  operation: string;
  status: 'Started' | 'Succeeded' | 'Failed';
  level: 'Informational' | 'Warning' | 'Error';
  /** Who did it: `autoscale`, `wake`, `poolhouse`, or a client's name. */
  caller: string;
  /** One sentence for people: what, and why. */
  message: string;
  properties: JsonObject;
}

/** Azure keeps it so long. */
export const activityKeptFor = 90 * 24 * 3_600_000;

export async function noteActivity(queries: Queries, activity: Activity): Promise<void> {
  const row: ActivityRow = {
    id: activity.id,
    at: activity.at,
    resource_key: activity.resourceId.toLowerCase(),
    resource_id: activity.resourceId,
    instance_id: activity.instanceId ?? null,
    operation: activity.operation,
    status: activity.status,
    level: activity.level,
    caller: activity.caller,
    message: activity.message,
    properties_json: JSON.stringify(activity.properties),
  };
  await queries.insertInto('activity_log').values(row).execute();
}

export interface ActivityFilter {
  resourceId?: string;
  /** What lies beneath this id: a resource group's. */
  under?: string;
  instanceId?: number;
  from?: EpochMillis;
  to?: EpochMillis;
  /** Default 1,000. */
  most?: number;
}

/** The newest first. */
export async function findActivities(queries: Queries, filter: ActivityFilter): Promise<Activity[]> {
  let query = queries
    .selectFrom('activity_log')
    .selectAll()
    .orderBy('at', 'desc')
    .limit(filter.most ?? 1_000);
  if (filter.resourceId !== undefined) query = query.where('resource_key', '=', filter.resourceId.toLowerCase());
  if (filter.under !== undefined) {
    // '0' comes next after '/': the index finds what begins so.
    const key = filter.under.toLowerCase();
    query = query.where('resource_key', '>', `${key}/`).where('resource_key', '<', `${key}0`);
  }
  if (filter.instanceId !== undefined) query = query.where('instance_id', '=', filter.instanceId);
  if (filter.from !== undefined) query = query.where('at', '>=', filter.from);
  if (filter.to !== undefined) query = query.where('at', '<=', filter.to);
  return (await query.execute()).map(activityOf);
}

const activityOf = (row: ActivityRow): Activity => ({
  id: row.id,
  at: row.at,
  resourceId: row.resource_id,
  instanceId: row.instance_id ?? undefined,
  operation: row.operation,
  status: row.status,
  level: row.level,
  caller: row.caller,
  message: row.message,
  properties: JSON.parse(row.properties_json) as JsonObject,
});

/** Forgets what is older than Azure keeps it. */
export async function forgetActivities(queries: Queries, before: EpochMillis): Promise<void> {
  await queries.deleteFrom('activity_log').where('at', '<', before).execute();
}

/** Of one instance, by its name in the engine or its hostname, also of one that is gone; the newest first. */
export async function findInstanceActivities(queries: Queries, name: string, most: number): Promise<Activity[]> {
  return (await selectInstanceActivities(queries, name, most).execute()).map(activityOf);
}

/** Both names have an index, on these very expressions. */
export function selectInstanceActivities(queries: Queries, name: string, most: number) {
  return queries
    .selectFrom('activity_log')
    .selectAll()
    .where(sql<boolean>`(properties_json ->> '$.instance' = ${name} or properties_json ->> '$.hostname' = ${name})`)
    .orderBy('at', 'desc')
    .orderBy(sql`rowid`, 'desc')
    .limit(most);
}
