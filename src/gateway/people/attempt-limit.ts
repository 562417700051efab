/**
 * How long a sign-in that fails keeps the next one waiting. What counts is who tries from where: a person who mistypes
 * waits seconds, somebody who guesses waits ever longer, and neither locks out colleagues behind the same router, nor
 * the person whose name is tried from elsewhere.
 *
 * Several gateways share who comes, and each counts for itself what it sees: so each counts a failure as many times as
 * there are gateways. Over many attempts that is the same; over a few it may be a little more or less.
 */
import type { Clock, EpochMillis } from '../../core/time.ts';

export interface AttemptLimit {
  /** Milliseconds until this attempt may be looked at; 0: now. */
  delay(address: string, user: string): number;
  failed(address: string, user: string): void;
  succeeded(address: string, user: string): void;
}

interface Count {
  failures: number;
  /** The last of them. */
  at: EpochMillis;
}

/** Forgotten after so long without another failure. */
const memory = 15 * 60_000;
const longest = 30_000;
/** Mistyped twice costs nothing. */
const freeForPair = 2;
/** A whole office, or a person with a machine that tries on and on. */
const freeForOne = 20;
const remembered = 20_000;

/** @param gateways how many there are at this moment */
export function createAttemptLimit(clock: Clock, gateways: () => number = () => 1): AttemptLimit {
  const pairs = createCounts(clock);
  const addresses = createCounts(clock);
  const users = createCounts(clock);
  /** Pairs that have signed in well: what others do with the address or the name is not held against them. */
  const known = new Map<string, EpochMillis>();
  const pairOf = (address: string, user: string) => `${address}\n${user}`;

  return {
    delay(address, user) {
      const pair = pairOf(address, user);
      const own = waitFor(pairs.get(pair), freeForPair, clock.now());
      if (known.has(pair)) return own;
      return Math.max(
        own,
        waitFor(addresses.get(address), freeForOne, clock.now()),
        waitFor(users.get(user), freeForOne, clock.now()),
      );
    },
    failed(address, user) {
      const times = gateways();
      pairs.add(pairOf(address, user), times);
      addresses.add(address, times);
      users.add(user, times);
    },
    succeeded(address, user) {
      const pair = pairOf(address, user);
      pairs.forget(pair);
      known.delete(pair);
      known.set(pair, clock.now());
      trim(known);
    },
  };
}

/** 1, 2, 4 … seconds after the last failure. */
function waitFor(count: Count | undefined, free: number, now: EpochMillis): number {
  if (count === undefined || count.failures <= free) return 0;
  const pause = Math.min(longest, 1_000 * 2 ** Math.min(count.failures - free - 1, 10));
  return Math.max(0, count.at + pause - now);
}

function createCounts(clock: Clock) {
  const counts = new Map<string, Count>();
  const get = (key: string): Count | undefined => {
    const count = counts.get(key);
    return count === undefined || clock.now() - count.at > memory ? undefined : count;
  };
  return {
    get,
    add(key: string, times: number): void {
      const failures = (get(key)?.failures ?? 0) + times;
      counts.delete(key); // the newest stand last
      counts.set(key, { failures, at: clock.now() });
      trim(counts);
    },
    forget: (key: string) => counts.delete(key),
  };
}

function trim(map: Map<string, unknown>): void {
  for (const key of map.keys()) {
    if (map.size <= remembered) return;
    map.delete(key);
  }
}
