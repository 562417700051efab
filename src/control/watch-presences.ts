/**
 * Sessions and what people left running, looked at together so that there is no moment between the two: who has just ended
 * their last session counts as there until the processes have been looked at since.
 */
import type { Clock, EpochMillis } from '../core/time.ts';
import type { Session } from '../link/people.ts';
import type { Presence } from './bindings.ts';

export interface Seen {
  sessions: readonly Session[];
  presences: readonly Presence[];
}

/** Between two looks at the processes, at least. */
const lookEvery = 2_000;

/**
 * Each call sees what there is now; processes as they were up to two seconds ago.
 *
 * @param sessions those that gateways report
 * @param look at the processes; where it fails, the last look counts and the failure is told
 */
export function createPresenceWatch({
  clock,
  sessions,
  look,
  onError,
}: {
  clock: Pick<Clock, 'now'>;
  sessions: () => readonly Session[];
  look: () => Promise<readonly Presence[]>;
  onError: (error: unknown) => void;
}): () => Promise<Seen> {
  let lookedAt: EpochMillis | undefined;
  let presences: readonly Presence[] = [];
  /** Since the last look, by id. */
  let seen = new Map<string, Session>();

  return async function watch() {
    const now = clock.now();
    const current = sessions();
    if (lookedAt === undefined || now - lookedAt >= lookEvery) {
      // After the sessions were read: what one of them has started is there by now.
      lookedAt = now;
      try {
        presences = await look();
        seen = new Map();
      } catch (error) {
        onError(error);
      }
    }
    for (const session of current) seen.set(session.id, session);
    const living = new Set(current.map(({ id }) => id));
    const justEnded = [...seen.values()].filter(({ id }) => !living.has(id));
    return {
      sessions: current,
      presences: [
        ...presences,
        ...justEnded.map(({ pool, user, instance, activeAt = now }) => ({ pool, user, instance, activeAt })),
      ],
    };
  };
}
