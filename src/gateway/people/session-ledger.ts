/** The sessions of people that this gateway carries, and the one place that can speak to them or end them. */
import { randomUUID } from 'node:crypto';
import type { EpochMillis } from '../../core/time.ts';
import type { Session } from '../../link/people.ts';
import type { ActivityNote } from './activity-note.ts';

/** What a protocol can do with a session of its own. */
export interface LiveSession extends Omit<Session, 'id' | 'since' | 'activeAt'> {
  /** When it moved bytes last. */
  activity: Pick<ActivityNote, 'at'>;
  /** Shows a line where the person sees it; nil where there is no such place. */
  tell(words: string): void;
  /** Ends it; the person is told why. Who `comes again` need not sign in anew. */
  end(reason: string, then?: 'comes again'): void;
}

export interface SessionLedger {
  readonly size: number;
  /** Counts a session until the returned function is called. */
  add(session: LiveSession): () => void;
  report(): Session[];
  /** The instance where somebody has a session. */
  whereIs(pool: string, user: string): string | undefined;
  /** How many people have one on an instance, by instance. */
  users(): Record<string, number>;
  /** Those that fit, to be told something or ended. */
  find(fits: (session: Session) => boolean): readonly (Session & Pick<LiveSession, 'tell' | 'end'>)[];
}

export function createSessionLedger(now: () => EpochMillis, onChange: () => void): SessionLedger {
  const sessions = new Map<string, { shown: Session; live: LiveSession }>();
  return {
    get size() {
      return sessions.size;
    },
    add(live) {
      const { pool, user, instance, protocol, client } = live;
      const id = randomUUID();
      sessions.set(id, { shown: { id, pool, user, instance, protocol, client, since: now() }, live });
      onChange();
      return () => {
        if (sessions.delete(id)) onChange();
      };
    },
    // No change of its own: it goes with the next report, which comes within seconds.
    report: () => [...sessions.values()].map(({ shown, live }) => ({ ...shown, activeAt: live.activity.at() })),
    whereIs(pool, user) {
      for (const { shown } of sessions.values()) if (shown.user === user && shown.pool === pool) return shown.instance;
      return undefined;
    },
    users() {
      const people = new Map<string, Set<string>>();
      for (const { shown } of sessions.values()) {
        const users = people.get(shown.instance);
        if (users === undefined) people.set(shown.instance, new Set([shown.user]));
        else users.add(shown.user);
      }
      return Object.fromEntries([...people].map(([instance, users]) => [instance, users.size]));
    },
    find: (fits) =>
      [...sessions.values()].flatMap(({ shown, live }) =>
        fits(shown)
          ? [
              {
                ...shown,
                tell: (words: string) => {
                  live.tell(words);
                },
                end: (...said) => {
                  live.end(...said);
                },
              },
            ]
          : [],
      ),
  };
}
