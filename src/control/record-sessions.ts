/**
 * Writes down who was in which pool from when to when. A session is written when it begins and when it ends, and every few
 * minutes between, so that a control that is killed has lost no more than these of it.
 */
import type { EpochMillis } from '../core/time.ts';
import type { Session } from '../link/people.ts';
import { forgetSessionHistory, historyKeptFor, saveSessions } from '../store/session-history.ts';
import type { World } from './world.ts';

const saveEvery = 5 * 60_000;
/** Every report wakes all loops; who comes and goes within this is written together. */
const settledDelay = 30_000;

export function createSessionRecorder({
  store,
  reports,
  clock,
}: Pick<World, 'store' | 'clock'> & { reports: Pick<World['reports'], 'sessions'> }): () => Promise<number> {
  /** Those that were there when it looked last, by id. */
  let open = new Map<string, Session>();
  let savedAt: EpochMillis = 0;

  return async function pass(): Promise<number> {
    const now = clock.now();
    const current = new Map(reports.sessions().map((session) => [session.id, session]));
    const ended = [...open.values()].filter(({ id }) => !current.has(id));
    const isDue = now - savedAt >= saveEvery;
    const begun = [...current.values()].filter(({ id }) => isDue || !open.has(id));
    const changed = [...ended, ...begun];
    if (changed.length > 0 || isDue)
      await store.transaction(async (tx) => {
        await saveSessions(
          tx,
          changed.map(({ id, pool, user, since, activeAt }) => {
            const end = Math.max(since, now);
            // A gateway of before says nothing of it: then they count as working all the time.
            return { id, pool, user, start: since, end, activeUntil: Math.max(since, Math.min(end, activeAt ?? end)) };
          }),
        );
        if (isDue) await forgetSessionHistory(tx, now - historyKeptFor);
      });
    if (isDue) savedAt = now;
    open = current;
    return settledDelay;
  };
}
