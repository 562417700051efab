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
  /** When they were active last, as far as is seen. */
  activeAt: EpochMillis;
  /** A lease keeps it for them. */
  kept: boolean;
  /** A place was just given to them: they come by the front door. */
  given?: true;
  runs: Programs;
}

/** How many processes somebody has. */
export interface Programs {
  kernels: number;
  others: number;
}

export interface Bindings {
  of(pool: string, user: string): Binding | undefined;
  /** How many people are bound to an instance. */
  usersOn(instance: string): number;
  /** Everybody who has anything on an instance, also beside another one that they are bound to. */
  on(instance: string): Iterable<Binding>;
  all(): Iterable<Binding>;
  /** A place just given: it counts until the session is reported, and not for ever. */
  reserve(place: Presence, until: EpochMillis): void;
  /** Everything that is seen now, in place of what was seen before. Reservations that have ended go. */
  see(sessions: readonly Session[], presences: readonly Presence[], now: EpochMillis): void;
}

/** What a user has on an instance beside sessions: processes (a kernel, a job, a shell that was left behind), or a lease. */
export interface Presence {
  pool: string;
  user: string;
  instance: string;
  /** When it showed last that they work; 0 where it shows nothing of that. */
  activeAt: EpochMillis;
  /** It is a lease. */
  kept?: true;
  /** A place was just given to them. */
  given?: true;
  runs?: Programs;
}

export function createBindings(): Bindings {
  let bindings = new Map<string, Binding>();
  let users = new Map<string, number>();
  /** By instance, then pool and user. */
  let there = new Map<string, Map<string, Binding>>();
  let reservations: (Presence & { until: EpochMillis })[] = [];
  const keyOf = (pool: string, user: string) => `${pool}\n${user}`;

  /** The first who says where somebody is decides: two instances for one person are what nobody wants. */
  function bind(presence: Presence, sessions: number): void {
    const { pool, user, instance } = presence;
    const key = keyOf(pool, user);
    const known = bindings.get(key);
    if (known === undefined) {
      bindings.set(key, bindingOf(presence, sessions));
      users.set(instance, (users.get(instance) ?? 0) + 1);
    } else add(known, presence, sessions);
  }

  /** What is seen of somebody stands with its instance, wherever they are bound to. */
  function find(presence: Presence, sessions: number): void {
    bind(presence, sessions);
    standThere(presence, sessions);
  }

  function standThere(presence: Presence, sessions: number): void {
    const { pool, user, instance } = presence;
    const people = there.get(instance) ?? new Map<string, Binding>();
    there.set(instance, people);
    const known = people.get(keyOf(pool, user));
    if (known === undefined) people.set(keyOf(pool, user), bindingOf(presence, sessions));
    else add(known, presence, sessions);
  }

  /** A place that was given counts where they are bound to it, and not where they are elsewhere. */
  function keepPlace(presence: Presence): void {
    const bound = bindings.get(keyOf(presence.pool, presence.user));
    if (bound === undefined || bound.instance === presence.instance) find({ ...presence, given: true }, 0);
    // They come there all the same, as when what they were bound to is gone.
    else standThere({ ...presence, given: true }, 0);
  }

  return {
    of: (pool, user) => bindings.get(keyOf(pool, user)),
    usersOn: (instance) => users.get(instance) ?? 0,
    on: (instance) => there.get(instance)?.values() ?? [],
    all: () => bindings.values(),
    reserve(place, until) {
      const { pool, user } = place;
      reservations = reservations.filter((one) => one.pool !== pool || one.user !== user);
      reservations.push({ ...place, until });
      keepPlace(place);
    },
    see(sessions, presences, now) {
      bindings = new Map();
      users = new Map();
      there = new Map();
      reservations = reservations.filter(({ until }) => until > now);
      for (const session of sessions.toSorted((a, b) => a.since - b.since))
        find({ ...session, activeAt: session.activeAt ?? now }, 1);
      for (const presence of presences) find(presence, 0);
      for (const reservation of reservations) keepPlace(reservation);
    },
  };
}

const bindingOf = ({ pool, user, instance, activeAt, kept, given, runs }: Presence, sessions: number): Binding => ({
  ...{ pool, user, instance, sessions, activeAt },
  kept: kept === true,
  ...(given === undefined ? {} : { given }),
  runs: runs ?? { kernels: 0, others: 0 },
});

function add(known: Binding, { activeAt, kept, given, runs }: Presence, sessions: number): void {
  known.sessions += sessions;
  known.activeAt = Math.max(known.activeAt, activeAt);
  known.kept ||= kept === true;
  if (given !== undefined) known.given = given;
  if (runs !== undefined)
    known.runs = { kernels: known.runs.kernels + runs.kernels, others: known.runs.others + runs.others };
}
