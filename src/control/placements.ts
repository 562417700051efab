/**
 * Answers where people go, and keeps those who have to wait in a queue, first come, first served. The world is told to it
 * by the loops (`setPools`, `setSeen`); it asks nobody, so an answer takes no longer than its decision.
 */
import type { Clock, EpochMillis } from '../core/time.ts';
import { PoolhouseError } from '../core/errors.ts';
import { waitingText, type PlacementAnswer, type PlacementQuestion, type Session } from '../link/people.ts';
import { isIdle } from '../pool/idle.ts';
import { place, type Placement, type PlacementPolicy } from '../pool/placement.ts';
import { createBindings, type Binding, type Presence } from './bindings.ts';
import type { PlacementResult } from './observer.ts';

/** A pool as its loop saw it last. */
export interface PoolSeats {
  policy: PlacementPolicy;
  /** Who has done nothing for so long is idle; undefined: nobody ever is. */
  idleMilliseconds: number | undefined;
  instances: readonly { instance: string; reachable: boolean; inRotation: boolean }[];
  /** One line for who waits, of what is happening; `never`: nothing will. */
  describe(because: 'nobody in rotation' | 'full'): { message: string; never: boolean };
}

export interface Placements {
  /**
   * Placed as soon as there is an instance; told again when what can be said of it changes, or when `pollMs` are over.
   * `ResourceNotFound` where there is no such pool, `TooManyRequests` where too many wait.
   */
  answer: (question: PlacementQuestion, signal: AbortSignal) => Promise<PlacementAnswer>;
  setPools(pools: ReadonlyMap<string, PoolSeats>): void;
  /** A pool as it was told last. */
  pool(key: string): PoolSeats | undefined;
  setSeen(seen: { sessions: readonly Session[]; presences: readonly Presence[] }): void;
  /** How many wait in a pool. */
  waiting(pool: string): number;
  bindings(): Iterable<Binding>;
  /** The instance that somebody is bound to. */
  boundTo(pool: string, user: string): string | undefined;
  /** Everybody who has anything on an instance; a person may have it on several. */
  on(instance: string): Iterable<Binding>;
  /** Not idle, or it is kept for them. */
  isActive(binding: Binding): boolean;
  /** How many people are bound to an instance; undefined before the first `setSeen`. */
  usersOn(instance: string): number | undefined;
  /** How many of them are not idle, or keep it by a lease; undefined before the first `setSeen`. */
  activeUsersOn(instance: string): number | undefined;
}

export interface PlacementsOptions {
  clock: Clock;
  /** Somebody has begun to wait: loops should look. */
  onWaiting: () => void;
  /** Somebody waits no more. */
  onEnd?: (pool: string, result: PlacementResult, milliseconds: number) => void;
  pollMs?: number;
  /** People who may wait in one pool. */
  maxWaiting?: number;
}

/** A place is kept for so long for who was told of it and has not come yet. */
const reservedFor = 30_000;
/** Who has not asked again for so long has gone away. */
const patience = 40_000;

interface Waiter {
  question: PlacementQuestion;
  /** When they asked for the first time. */
  since: EpochMillis;
  askedAt: EpochMillis;
  /** Of the question that is open now. */
  settle: ((answer: PlacementAnswer) => void) | undefined;
  /** What there was to say when it was looked at last. */
  answer: PlacementAnswer | undefined;
}

export function createPlacements({
  clock,
  onWaiting,
  onEnd = () => undefined,
  pollMs = 20_000,
  maxWaiting = 1_000,
}: PlacementsOptions): Placements {
  const bindings = createBindings();
  /** By ticket, in the order in which they came; a Map keeps it when a value is replaced. */
  const queue = new Map<string, Waiter>();
  let pools: ReadonlyMap<string, PoolSeats> = new Map();
  let hasSeen = false;

  function decide({ pool, user, unusable }: PlacementQuestion, seats: PoolSeats): Placement {
    const bound = bindings.of(pool, user);
    return place(
      { boundTo: bound?.instance, sessions: bound?.sessions ?? 0 },
      seats.instances.map(({ instance, reachable, inRotation }) => {
        const isUsable = !unusable.includes(instance);
        return {
          instance,
          reachable: reachable && isUsable,
          inRotation: inRotation && isUsable,
          users: bindings.usersOn(instance),
        };
      }),
      seats.policy,
    );
  }

  /** Gives places to those who wait, in their order; to the others their answer, where it is another than before. */
  function serve(): void {
    const now = clock.now();
    for (const [ticket, waiter] of queue)
      if (waiter.settle === undefined && now - waiter.askedAt > patience) leave(ticket, waiter);
    const positions = new Map<string, number>();
    for (const [ticket, waiter] of [...queue]) {
      const { question, settle } = waiter;
      const seats = pools.get(question.pool);
      const answer =
        seats === undefined ? refused('This pool is being removed.') : answerOf(question, seats, positions, now);
      waiter.answer = answer;
      if (settle === undefined) continue;
      if (answer.outcome !== 'waiting') queue.delete(ticket);
      if (answer.outcome !== 'waiting' || waitingText(answer) !== question.told) settle(answer);
    }
  }

  function leave(ticket: string, { question, since }: Waiter): void {
    queue.delete(ticket);
    onEnd(question.pool, 'left', clock.now() - since);
  }

  function answerOf(
    question: PlacementQuestion,
    seats: PoolSeats,
    positions: Map<string, number>,
    now: EpochMillis,
  ): PlacementAnswer {
    const { pool, user } = question;
    const decision = decide(question, seats);
    switch (decision.outcome) {
      case 'placed':
        bindings.reserve({ pool, user, instance: decision.instance, activeAt: now }, now + reservedFor);
        return { outcome: 'placed', instance: decision.instance };
      case 'refused':
        return refused('You have as many sessions in this pool as are allowed. End one of them first.');
      case 'wait': {
        const { message, never } = seats.describe(decision.because);
        if (never) return refused(message);
        const position = (positions.get(pool) ?? 0) + 1;
        positions.set(pool, position);
        return { outcome: 'waiting', message, position, waiting: waitingIn(pool) };
      }
    }
  }

  function waitingIn(pool: string): number {
    let count = 0;
    for (const { question } of queue.values()) if (question.pool === pool) count += 1;
    return count;
  }

  const isActive = ({ pool, activeAt, kept }: Binding): boolean =>
    kept || !isIdle(activeAt, clock.now(), pools.get(pool)?.idleMilliseconds);

  return {
    async answer(question, signal) {
      const { ticket, pool } = question;
      if (!pools.has(pool)) throw new PoolhouseError('ResourceNotFound', `There is no pool '${pool}'.`);
      if (!queue.has(ticket) && waitingIn(pool) >= maxWaiting)
        throw new PoolhouseError(
          'TooManyRequests',
          `${String(maxWaiting)} people wait for this pool already. Try again later.`,
        );
      const { promise, resolve } = Promise.withResolvers<PlacementAnswer>();
      const now = clock.now();
      const since = queue.get(ticket)?.since ?? now;
      const waiter: Waiter = { question, since, askedAt: now, settle: resolve, answer: undefined };
      queue.set(ticket, waiter);
      serve();
      const isWaiting = queue.get(ticket) === waiter;
      if (isWaiting) onWaiting();
      const over = new AbortController();
      const limit = clock.sleep(pollMs, AbortSignal.any([signal, over.signal])).catch(() => undefined);
      try {
        await Promise.race([promise, limit]);
        const answer = waiter.answer ?? refused('This pool is being removed.'); // it was looked at when the question came
        if (!signal.aborted && answer.outcome !== 'waiting') onEnd(pool, answer.outcome, clock.now() - since);
        return answer;
      } finally {
        over.abort();
        waiter.settle = undefined;
        waiter.askedAt = clock.now();
        if (signal.aborted && queue.get(ticket) === waiter) leave(ticket, waiter); // they hung up
      }
    },
    setPools(next) {
      pools = next;
      serve();
    },
    pool: (key) => pools.get(key),
    setSeen({ sessions, presences }) {
      hasSeen = true;
      bindings.see(sessions, presences, clock.now());
      serve();
    },
    waiting: waitingIn,
    bindings: () => bindings.all(),
    boundTo: (pool, user) => bindings.of(pool, user)?.instance,
    on: (instance) => bindings.on(instance),
    isActive,
    usersOn: (instance) => (hasSeen ? bindings.usersOn(instance) : undefined),
    activeUsersOn: (instance) => (hasSeen ? [...bindings.on(instance)].filter(isActive).length : undefined),
  };
}

const refused = (message: string): PlacementAnswer => ({ outcome: 'refused', message });
