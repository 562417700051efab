/**
 * The people of a replay: who comes when, who is where and who waits. Where they go is decided by `pool/placement.ts`, as in
 * production: nobody moves, and who has a session already gets to the same instance.
 */
import type { EpochMillis } from '../core/time.ts';
import { place, type PlacementPolicy, type Seats } from '../pool/placement.ts';
import type { SimulatedClock } from './simulated-clock.ts';
import type { TraceSession } from './trace.ts';

/** One time on an instance. */
export interface Visit {
  user: string;
  instance: string;
  /** When they had come, which is earlier where they waited. */
  came: EpochMillis;
  from: EpochMillis;
  /** Undefined as long as it lasts. */
  to: EpochMillis | undefined;
  activeUntil: EpochMillis;
}

export interface Crowd {
  /** Gives places to those who wait, first come, first served. */
  serve(): void;
  waiting(): number;
  connected(): number;
  /** People on an instance, and those of them who are not idle. */
  usersOn(instance: string): number;
  activeOn(instance: string): number;
  sessionsOn(instance: string): number;
  /** People who work there at this moment. */
  workingOn(instance: string): number;
  connectedOn(instance: string): ReadonlySet<string>;
  /** It drains from now on: who works there may lose it. */
  noteDraining(instance: string): void;
  /** Everybody on it is out; who still worked comes back at once, and waits for another place. */
  endAll(instance: string): void;
  /** So far. */
  visits: readonly Visit[];
  /** How long each had to wait, who never got in included. */
  waits(): number[];
  /** Whose session was ended by a drain. */
  ended: ReadonlySet<string>;
  /** Who worked on an instance that drained. */
  atRisk: ReadonlySet<string>;
}

export interface CrowdOptions {
  clock: SimulatedClock;
  sessions: readonly TraceSession[];
  policy: PlacementPolicy;
  /** A person is idle when they have not worked for so long. */
  idleMilliseconds: number;
  /** The instances at this moment. */
  seats: () => readonly (Omit<Seats, 'users'> & { draining: boolean })[];
  /** Somebody has come, gone, or become idle. */
  onChange: () => void;
}

interface Waiter {
  session: TraceSession;
  came: EpochMillis;
}

interface Guest {
  visit: Visit;
  session: TraceSession;
}

/** Who is on one instance. */
interface Room {
  guests: Set<Guest>;
  users: Set<string>;
}

export function createCrowd({ clock, sessions, policy, idleMilliseconds, seats, onChange }: CrowdOptions): Crowd {
  const queue = new Set<Waiter>();
  const visits: Visit[] = [];
  const rooms = new Map<string, Room>();
  const boundTo = new Map<string, { instance: string; sessions: number }>();
  const waited: number[] = [];
  const [ended, atRisk] = [new Set<string>(), new Set<string>()];
  const empty: Room = { guests: new Set(), users: new Set() };

  const roomOf = (instance: string): Room => rooms.get(instance) ?? empty;
  const usersOn = (instance: string) => roomOf(instance).users.size;

  /** People who have worked within this time, or do. */
  function workersOn(instance: string, within: number): Set<string> {
    const workers = new Set<string>();
    for (const { visit } of roomOf(instance).guests)
      if (clock.now() < visit.activeUntil + within) workers.add(visit.user);
    return workers;
  }

  function come(session: TraceSession): void {
    const waiter = { session, came: clock.now() };
    queue.add(waiter);
    clock.at(session.end, () => {
      if (!queue.delete(waiter)) return; // they got in
      waited.push(clock.now() - waiter.came);
      onChange();
    });
    serve();
    onChange();
  }

  function serve(): void {
    if (queue.size === 0) return;
    const free = seats();
    const pool = free.map((one) => ({ ...one, users: usersOn(one.instance) }));
    for (const waiter of queue) {
      const { user } = waiter.session;
      const bound = boundTo.get(user);
      const placement = place({ boundTo: bound?.instance, sessions: bound?.sessions ?? 0 }, pool, policy);
      if (placement.outcome !== 'placed') continue;
      queue.delete(waiter);
      enter(waiter, placement.instance);
      const seat = pool.find(({ instance }) => instance === placement.instance);
      if (seat === undefined) continue;
      seat.users = usersOn(seat.instance);
      if (seat.draining) atRisk.add(user);
    }
  }

  function enter({ session, came }: Waiter, instance: string): void {
    const { user, activeUntil, end } = session;
    const now = clock.now();
    waited.push(now - came);
    const visit: Visit = { user, instance, came, from: now, to: undefined, activeUntil };
    visits.push(visit);
    const guest = { visit, session };
    const room = rooms.get(instance) ?? { guests: new Set(), users: new Set() };
    rooms.set(instance, room);
    room.guests.add(guest);
    room.users.add(user);
    const bound = boundTo.get(user);
    boundTo.set(user, { instance, sessions: (bound?.sessions ?? 0) + 1 });
    clock.at(end, () => {
      if (leave(guest)) onChange();
    });
    if (activeUntil + idleMilliseconds < end) clock.at(activeUntil + idleMilliseconds, onChange);
  }

  /** False where they have left already. */
  function leave(guest: Guest): boolean {
    const { visit } = guest;
    const room = roomOf(visit.instance);
    if (!room.guests.delete(guest)) return false;
    visit.to = clock.now();
    const bound = boundTo.get(visit.user);
    if (bound !== undefined && bound.sessions > 1) boundTo.set(visit.user, { ...bound, sessions: bound.sessions - 1 });
    else {
      boundTo.delete(visit.user);
      room.users.delete(visit.user);
    }
    return true;
  }

  for (const session of sessions)
    clock.at(session.start, () => {
      come(session);
    });

  return {
    serve,
    waiting: () => queue.size,
    connected: () => boundTo.size,
    usersOn,
    activeOn: (instance) => workersOn(instance, idleMilliseconds).size,
    sessionsOn: (instance) => roomOf(instance).guests.size,
    workingOn: (instance) => workersOn(instance, 0).size,
    connectedOn: (instance) => roomOf(instance).users,
    noteDraining(instance) {
      for (const user of workersOn(instance, 0)) atRisk.add(user);
    },
    endAll(instance) {
      for (const guest of [...roomOf(instance).guests]) {
        leave(guest);
        ended.add(guest.visit.user);
        if (clock.now() < guest.session.activeUntil) come(guest.session);
      }
    },
    visits,
    waits: () => [...waited, ...[...queue].map(({ came }) => clock.now() - came)],
    ended,
    atRisk,
  };
}
