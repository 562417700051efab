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

/**
 * Puts stays, in this order, each on the instance that has to run least longer for it. An instance that nobody uses in between
 * does not run meanwhile. The sum of all running, in milliseconds.
 */
function pack(stays: readonly Stay[], usersPerInstance: number): number {
  const instances: Stay[][] = [];
  let sum = 0;
  for (const stay of stays) {
    let best: { stays: Stay[]; added: number } | undefined;
    for (const there of instances) {
      const overlapping = there.filter(({ from, to }) => from < stay.to && stay.from < to);
      if (mostAtOnce(overlapping, stay) >= usersPerInstance) continue;
      const added = uncovered(overlapping, stay);
      if (added < (best?.added ?? stay.to - stay.from)) best = { stays: there, added };
      if (added === 0) break;
    }
    if (best === undefined) instances.push([stay]);
    else best.stays.push(stay);
    sum += best?.added ?? stay.to - stay.from;
  }
  return sum;
}

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
