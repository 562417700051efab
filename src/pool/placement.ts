/**
 * Placement: which instance a person lands on. Pure: the same pool and person give the same answer.
 *
 * Who is bound to an instance comes back to it, also while it drains: their kernel and their shells are there. Everybody
 * else goes to an instance that is in rotation and has room, chosen as the pool's policy says.
 */

/** Settings of a pool, from tags of its scale set. */
export interface PlacementPolicy {
  /** `fewest-users` spreads people out; `most-users` fills instances one after the other, so that others may go. */
  prefer: 'fewest-users' | 'most-users';
  /** People that an instance takes at most; undefined: any number. */
  usersPerInstance?: number | undefined;
  /** Sessions that one person may have at a time; undefined: any number. */
  sessionsPerUser?: number | undefined;
}

/** An instance as placement sees it. */
export interface Seats {
  instance: string;
  /** It runs, and a front end leads to it: who is bound to it may come back. */
  reachable: boolean;
  /** It is in rotation: it may receive new users. */
  inRotation: boolean;
  /** People who are bound to it. */
  users: number;
}

export interface Person {
  /** The instance that they are bound to. */
  boundTo: string | undefined;
  /** Sessions that they have in this pool. */
  sessions: number;
}

export type Placement =
  /** `isNew`: they were not bound to it before. */
  | { outcome: 'placed'; instance: string; isNew: boolean }
  /** `full`: every instance in rotation has as many people as it takes. */
  | { outcome: 'wait'; because: 'nobody in rotation' | 'full' }
  | { outcome: 'refused'; because: 'too many sessions' };

/** Where a person goes now. */
export function place(person: Person, pool: readonly Seats[], policy: PlacementPolicy): Placement {
  if (policy.sessionsPerUser !== undefined && person.sessions >= policy.sessionsPerUser)
    return { outcome: 'refused', because: 'too many sessions' };
  if (person.boundTo !== undefined && pool.some((seats) => seats.instance === person.boundTo && seats.reachable))
    return { outcome: 'placed', instance: person.boundTo, isNew: false };

  const { prefer, usersPerInstance = Infinity } = policy;
  let best: Seats | undefined;
  let anyInRotation = false;
  for (const seats of pool) {
    if (!seats.inRotation) continue;
    anyInRotation = true;
    if (seats.users < usersPerInstance && (best === undefined || isBetter(seats, best, prefer))) best = seats;
  }
  if (best !== undefined) return { outcome: 'placed', instance: best.instance, isNew: true };
  return { outcome: 'wait', because: anyInRotation ? 'full' : 'nobody in rotation' };
}

/** Among equals the name decides: two who ask at the same time about the same pool agree. */
function isBetter(a: Seats, b: Seats, prefer: PlacementPolicy['prefer']): boolean {
  if (a.users !== b.users) return prefer === 'fewest-users' ? a.users < b.users : a.users > b.users;
  return a.instance < b.instance;
}
