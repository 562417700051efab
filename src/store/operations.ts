/** Operations: changes that take longer than a request, and how each ended. */
import type { ErrorBody } from '../core/errors.ts';
import { tryParseResourceId, type ResourceId, type ResourceKey } from '../core/resource-id.ts';
import type { EpochMillis } from '../core/time.ts';
import type { OperationRow } from './schema.ts';
import type { Queries } from './store.ts';

export type OperationStatus = 'InProgress' | 'Succeeded' | 'Failed' | 'Canceled';

export interface OperationRecord {
  id: string;
  resourceKey: ResourceKey;
  resourceId: ResourceId;
  /** `put`, `delete`, or the name of the POSTed action. */
  action: string;
  status: OperationStatus;
  generation: number;
  error: ErrorBody | undefined;
  startedAt: EpochMillis;
  endedAt: EpochMillis | undefined;
}

function operationOf(row: OperationRow): OperationRecord {
  return {
    id: row.id,
    resourceKey: row.resource_key as ResourceKey,
    resourceId: row.resource_id as ResourceId,
    action: row.action,
    status: row.status as OperationStatus,
    generation: row.generation,
    error: row.error_json === null ? undefined : (JSON.parse(row.error_json) as ErrorBody),
    startedAt: row.started_at,
    endedAt: row.ended_at ?? undefined,
  };
}

export async function findOperation(queries: Queries, id: string): Promise<OperationRecord | undefined> {
  const row = await queries.selectFrom('operations').selectAll().where('id', '=', id).executeTakeFirst();
  return row === undefined ? undefined : operationOf(row);
}

/** Operations of a resource that have not ended yet, oldest first. */
export async function openOperations(queries: Queries, resourceKey: string): Promise<OperationRecord[]> {
  const rows = await queries
    .selectFrom('operations')
    .selectAll()
    .where('resource_key', '=', resourceKey)
    .where('status', '=', 'InProgress')
    .orderBy('started_at')
    .execute();
  return rows.map(operationOf);
}

/** How many operations have not ended yet, by type of resource, and when the oldest was begun. */
export async function openOperationCounts(
  queries: Queries,
): Promise<{ type: string; open: number; oldestStartedAt: EpochMillis }[]> {
  const rows = await queries
    .selectFrom('operations')
    .select(['resource_key', 'started_at'])
    .where('status', '=', 'InProgress')
    .execute();
  const counts = new Map<string, { type: string; open: number; oldestStartedAt: EpochMillis }>();
  for (const { resource_key, started_at } of rows) {
    const type = tryParseResourceId(resource_key)?.type ?? 'unknown';
    const known = counts.get(type) ?? { type, open: 0, oldestStartedAt: started_at };
    counts.set(type, {
      type,
      open: known.open + 1,
      oldestStartedAt: Math.min(known.oldestStartedAt, started_at),
    });
  }
  return [...counts.values()];
}

export async function beginOperation(
  queries: Queries,
  operation: Pick<OperationRecord, 'id' | 'resourceKey' | 'resourceId' | 'action' | 'generation' | 'startedAt'>,
): Promise<OperationRecord> {
  const row: OperationRow = {
    id: operation.id,
    resource_key: operation.resourceKey,
    resource_id: operation.resourceId,
    action: operation.action,
    status: 'InProgress',
    generation: operation.generation,
    error_json: null,
    started_at: operation.startedAt,
    ended_at: null,
  };
  await queries.insertInto('operations').values(row).execute();
  return operationOf(row);
}

/** Ends an operation; one that has ended already keeps its end. */
export async function endOperation(
  queries: Queries,
  id: string,
  end: { status: Exclude<OperationStatus, 'InProgress'>; error?: ErrorBody; at: EpochMillis },
): Promise<void> {
  await queries
    .updateTable('operations')
    .set({
      status: end.status,
      error_json: end.error === undefined ? null : JSON.stringify(end.error),
      ended_at: end.at,
    })
    .where('id', '=', id)
    .where('status', '=', 'InProgress')
    .execute();
}

/**
 * Forgets operations that ended before `time`: their clients have long asked. Kept is what a deployment still tells of, and
 * what has not ended. Gives how many went.
 */
export async function forgetOperations(queries: Queries, time: EpochMillis): Promise<number> {
  const gone = await queries
    .deleteFrom('operations')
    .where('ended_at', '<', time)
    .where('id', 'not in', (steps) =>
      steps
        .selectFrom('deployment_steps')
        .select('operation_id')
        .where('operation_id', 'is not', null)
        .$castTo<string>(),
    )
    .executeTakeFirst();
  return Number(gone.numDeletedRows);
}
