/**
 * Who is bound to which instance: (pool, user) → instance, as long as the user has anything there. It is computed from
 * what is seen (sessions that gateways report, places just given, processes), so a control that begins anew knows it
 * again as soon as it has looked.
 */
import type { EpochMillis } from '../core/time.ts';
import type { Session } from '../link/people.ts';

export interface Binding {
  pool: string;
  user: string;
  instance: string;
  sessions: number;
}

export interface Bindings {
  of(pool: string, user: string): Binding | undefined;
  /** How many people are bound to an instance. */
  usersOn(instance: string): number;
  all(): Iterable<Binding>;
  /** A place just given: it counts until the session is reported, and not for ever. */
  reserve(place: { pool: string; user: string; instance: string }, until: EpochMillis): void;
  /** Everything that is seen now, in place of what was seen before. Reservations that have ended go. */
  see(sessions: readonly Session[], presences: readonly Presence[], now: EpochMillis): void;
}

/** A user's processes on an instance: a kernel, a job, a shell that was left behind. */
export interface Presence {
  pool: string;
  user: string;
  instance: string;
}

export function createBindings(): Bindings {
  let bindings = new Map<string, Binding>();
  let users = new Map<string, number>();
  let reservations: (Presence & { until: EpochMillis })[] = [];
  const keyOf = (pool: string, user: string) => `${pool}\n${user}`;

  /** The first who says where somebody is decides: two instances for one person are what nobody wants. */
  function bind({ pool, user, instance }: Presence, sessions: number): void {
    const key = keyOf(pool, user);
    const known = bindings.get(key);
    if (known === undefined) {
      bindings.set(key, { pool, user, instance, sessions });
      users.set(instance, (users.get(instance) ?? 0) + 1);
    } else known.sessions += sessions;
  }

  return {
    of: (pool, user) => bindings.get(keyOf(pool, user)),
    usersOn: (instance) => users.get(instance) ?? 0,
    all: () => bindings.values(),
    reserve(place, until) {
      const { pool, user } = place;
      reservations = reservations.filter((one) => one.pool !== pool || one.user !== user);
      reservations.push({ ...place, until });
      bind(place, 0);
    },
    see(sessions, presences, now) {
      bindings = new Map();
      users = new Map();
      reservations = reservations.filter(({ until }) => until > now);
      for (const session of sessions.toSorted((a, b) => a.since - b.since)) bind(session, 1);
      for (const presence of presences) bind(presence, 0);
      for (const reservation of reservations) bind(reservation, 0);
    },
  };
}
