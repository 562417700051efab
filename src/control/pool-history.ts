/** What a dry run wants to know of a pool: its settings that matter to it, and the sessions it has recorded. */
import { PoolhouseError } from '../core/errors.ts';
import { readPoolTags, type PoolTags } from '../providers/compute/pool-tags.ts';
import { poolNameOf, readPoolAccess } from '../providers/identity/pool-names.ts';
import { findResources } from '../store/resource-records.ts';
import { findSessionHistory, type RecordedSession } from '../store/session-history.ts';
import type { Store } from '../store/store.ts';

export interface PoolHistory {
  /** `group/name`. */
  pool: string;
  settings: Pick<PoolTags, 'placement' | 'standby' | 'drainMilliseconds'> & {
    /** null: nobody is ever idle. */
    idleMilliseconds: number | null;
  };
  sessions: RecordedSession[];
}

/** @param asked NAME or GROUP/NAME of a scale set  @throws PoolhouseError where there is none */
export async function poolHistory({ db }: Pick<Store, 'db'>, asked: string): Promise<PoolHistory> {
  const access = await readPoolAccess(db, [asked]);
  const sets = await findResources(db, { type: 'Microsoft.Compute/virtualMachineScaleSets' });
  const set = sets.find(({ id }) => access !== 'all' && access.includes(poolNameOf(id)));
  if (set === undefined)
    throw new PoolhouseError('ResourceNotFound', `There is no pool '${asked}'. 'poolhouse status' lists them.`);
  const { placement, standby, drainMilliseconds, idleMilliseconds } = readPoolTags(set.document);
  return {
    pool: poolNameOf(set.id),
    settings: { placement, standby, drainMilliseconds, idleMilliseconds: idleMilliseconds ?? null },
    sessions: await findSessionHistory(db, set.key),
  };
}
