/**
 * The best that could have been done, knowing the day beforehand: instances that are there the moment somebody comes, and gone
 * the moment the last one leaves. Two figures, for the best that is possible lies between them and is too hard to compute
 * (packing intervals into groups of limited width is NP-hard already for width two):
 * - `bound`: people could be moved about at any time, so that at each moment as few instances run as hold them. Nobody can do better.
 * - `packed`: nobody moves. A schedule that could have been carried out, the best of those that were tried.
 */
import type { EpochMillis } from '../core/time.ts';
import type { TraceSession } from './trace.ts';

export interface Stay {
  user: string;
  from: EpochMillis;
  to: EpochMillis;
}

export interface Hindsight {
  /** Instance-hours. */
  bound: number;
  packed: number;
  /** Instances that the bound needs, from each time on. */
  timeline: readonly { at: EpochMillis; instances: number; users: number }[];
}

const hour = 3_600_000;

export function hindsight(stays: readonly Stay[], usersPerInstance: number): Hindsight {
  const merged = mergeByUser(stays);
  const timeline = boundOver(merged, usersPerInstance);
  const bound = timeline.reduce(
    (sum, { at, instances }, index) => sum + instances * ((timeline[index + 1]?.at ?? at) - at),
    0,
  );
  const orders = [
    merged.toSorted((a, b) => a.from - b.from || b.to - a.to),
    merged.toSorted((a, b) => b.to - b.from - (a.to - a.from) || a.from - b.from),
  ];
  const packed = Math.min(...orders.map((order) => pack(order, usersPerInstance)));
  return { bound: bound / hour, packed: packed / hour, timeline };
}

export const staysOf = (sessions: readonly TraceSession[]): Stay[] =>
  sessions.map(({ user, start, end }) => ({ user, from: start, to: end }));

/** A person with two sessions at a time takes one seat. */
function mergeByUser(stays: readonly Stay[]): Stay[] {
  return [...Map.groupBy(stays, ({ user }) => user).values()].flatMap((own) => {
    const merged: Stay[] = [];
    for (const stay of own.toSorted((a, b) => a.from - b.from)) {
      const last = merged.at(-1);
      if (last !== undefined && stay.from <= last.to) last.to = Math.max(last.to, stay.to);
      else merged.push({ ...stay });
    }
    return merged;
  });
}

function boundOver(stays: readonly Stay[], usersPerInstance: number): Hindsight['timeline'] {
  const changes = new Map<EpochMillis, number>();
  for (const { from, to } of stays) {
    changes.set(from, (changes.get(from) ?? 0) + 1);
    changes.set(to, (changes.get(to) ?? 0) - 1);
  }
  let users = 0;
  return [...changes]
    .toSorted(([a], [b]) => a - b)
    .map(([at, change]) => {
      users += change;
      return { at, users, instances: Math.ceil(users / usersPerInstance) };
    });
}

/** Rounds in which each stay may go elsewhere; mostly there is nothing left to be won before. */
const mostRounds = 10;

/**
 * Puts stays, in this order, each on the instance that has to run least longer for it; and then, as long as that wins
 * something, each once more, now that all are placed. An instance that nobody uses in between does not run meanwhile. The sum of
 * all running, in milliseconds.
 */
function pack(stays: readonly Stay[], usersPerInstance: number): number {
  const instances: Set<Stay>[] = [];
  const homes = new Map<Stay, Set<Stay>>();
  let sum = 0;

  function put(stay: Stay): number {
    let best: { there: Set<Stay>; added: number } | undefined;
    for (const there of instances) {
      const overlapping = [...there].filter((other) => isOverlapping(other, stay));
      if (mostAtOnce(overlapping, stay) >= usersPerInstance) continue;
      const added = uncovered(overlapping, stay);
      if (added < (best?.added ?? stay.to - stay.from)) best = { there, added };
      if (added === 0) break;
    }
    const there = best?.there ?? new Set();
    if (best === undefined) instances.push(there);
    homes.set(stay, there.add(stay));
    return best?.added ?? stay.to - stay.from;
  }

  for (const stay of stays) sum += put(stay);
  for (let round = 0; round < mostRounds; round += 1) {
    const before = sum;
    for (const stay of stays) {
      const home = homes.get(stay);
      home?.delete(stay);
      sum +=
        put(stay) -
        uncovered(
          [...(home ?? [])].filter((other) => other !== stay && isOverlapping(other, stay)),
          stay,
        );
    }
    if (sum >= before) break;
  }
  return sum;
}

const isOverlapping = (a: Stay, b: Stay) => a.from < b.to && b.from < a.to;

/** Of these, within the time of `stay`. */
function mostAtOnce(stays: readonly Stay[], stay: Stay): number {
  let most = 0;
  // There are most at the beginning of one of them.
  for (const start of [stay.from, ...stays.map(({ from }) => from)]) {
    if (start < stay.from) continue;
    most = Math.max(most, stays.filter(({ from, to }) => from <= start && start < to).length);
  }
  return most;
}

/** How much of `stay` nobody of these is there for. */
function uncovered(stays: readonly Stay[], stay: Stay): number {
  let [sum, reached] = [0, stay.from];
  for (const { from, to } of stays.toSorted((a, b) => a.from - b.from)) {
    if (from > reached) sum += from - reached;
    reached = Math.max(reached, to);
  }
  return sum + Math.max(0, stay.to - reached);
}
