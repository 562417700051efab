/** Operations of a resource: how they begin, and how clients see them. */
import type { EpochMillis } from '../core/time.ts';
import { beginOperation, endOperation, openOperations, type OperationRecord } from '../store/operations.ts';
import type { ResourceRecord } from '../store/resource-records.ts';
import type { Queries } from '../store/store.ts';
import type { Operation } from './resource-service.ts';

export function operationOf(record: OperationRecord): Operation {
  return {
    id: record.id,
    resourceId: record.resourceId,
    status: record.status,
    ...(record.error === undefined ? {} : { error: record.error }),
    startedAt: record.startedAt,
    ...(record.endedAt === undefined ? {} : { endedAt: record.endedAt }),
  };
}

/** Begins an operation; an earlier one of the same resource has lost its purpose. */
export async function supersedeOperations(
  tx: Queries,
  record: ResourceRecord,
  action: string,
  { now, id }: { now: EpochMillis; id: string },
): Promise<OperationRecord> {
  for (const earlier of await openOperations(tx, record.key)) {
    await endOperation(tx, earlier.id, {
      status: 'Canceled',
      error: {
        code: 'OperationPreempted',
        message: 'The operation was preempted by a more recent operation on the same resource.',
      },
      at: now,
    });
  }
  return beginOperation(tx, {
    id,
    resourceKey: record.key,
    resourceId: record.id,
    action,
    generation: record.generation,
    startedAt: now,
  });
}
