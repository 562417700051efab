/** Operations that a transaction ends: noted as they do, and told when the transaction was kept. */
import type { EpochMillis } from '../core/time.ts';
import type { OperationRecord } from '../store/operations.ts';
import type { ResourceRecord } from '../store/resource-records.ts';
import type { EndedOperation } from './observer.ts';
import type { World } from './world.ts';

export function endedOperations(world: Pick<World, 'observer'>) {
  const ended: EndedOperation[] = [];
  return {
    note(record: ResourceRecord, operation: OperationRecord, state: EndedOperation['state'], at: EpochMillis): void {
      ended.push({ type: record.typeKey, action: operation.action, state, milliseconds: at - operation.startedAt });
    },
    tell(): void {
      for (const operation of ended) world.observer.operationEnded(operation);
    },
  };
}
