/** Sessions that were: who was in which pool from when to when, so that a setting can be tried on real days. */
import type { EpochMillis } from '../core/time.ts';
import type { SessionHistoryRow } from './schema.ts';
import type { Queries } from './store.ts';

export interface RecordedSession {
  user: string;
  start: EpochMillis;
  end: EpochMillis;
  /** Until when they worked, as far as that is known. */
  activeUntil: EpochMillis;
}

/** For so long sessions are remembered after their end. */
export const historyKeptFor = 90 * 24 * 3_600_000;

/** SQLite takes no more than some ten thousand values at a time. */
const rowsAtATime = 1_000;

/** What is known of sessions now, in place of what was known of them before. */
export async function saveSessions(
  tx: Queries,
  sessions: readonly (RecordedSession & { id: string; pool: string })[],
): Promise<void> {
  for (let begin = 0; begin < sessions.length; begin += rowsAtATime)
    await tx
      .insertInto('session_history')
      .values(sessions.slice(begin, begin + rowsAtATime).map(rowOf))
      .onConflict((conflict) =>
        conflict.column('id').doUpdateSet((row) => ({
          ended_at: row.ref('excluded.ended_at'),
          active_until: row.ref('excluded.active_until'),
        })),
      )
      .execute();
}

/** Of a pool (the key of its scale set), by their beginning. */
export async function findSessionHistory(queries: Queries, pool: string): Promise<RecordedSession[]> {
  const rows = await queries
    .selectFrom('session_history')
    .selectAll()
    .where('pool_key', '=', pool)
    .orderBy('started_at')
    .orderBy('id')
    .execute();
  return rows.map(({ user_name, started_at, ended_at, active_until }) => ({
    ...{ user: user_name, start: started_at, end: ended_at, activeUntil: active_until },
  }));
}

/** Those that had ended by then. */
export async function forgetSessionHistory(tx: Queries, before: EpochMillis): Promise<void> {
  await tx.deleteFrom('session_history').where('ended_at', '<', before).execute();
}

const rowOf = (session: RecordedSession & { id: string; pool: string }): SessionHistoryRow => ({
  ...{ id: session.id, pool_key: session.pool, user_name: session.user },
  ...{ started_at: session.start, ended_at: session.end, active_until: session.activeUntil },
});
