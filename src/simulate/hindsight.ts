/**
 * The best that could have been done, knowing the day beforehand: instances that are there the moment somebody comes, and gone
 * the moment the last one leaves. Two figures, for the best that is possible lies between them and is too hard to compute
 * (packing intervals into groups of limited width is NP-hard already for width two):
 * - `bound`: people could be moved about at any time, so that at each moment as few instances run as hold them. Nobody can do better.
 * - `packed`: nobody moves. A schedule that could have been carried out, made greedily and then improved as long as that won something.
 */
import { setImmediate } from 'node:timers/promises';
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

/** @throws the signal's reason when it aborts */
export async function hindsight(
  stays: readonly Stay[],
  usersPerInstance: number,
  signal: AbortSignal,
): Promise<Hindsight> {
  const merged = mergeByUser(stays);
  const timeline = boundOver(merged, usersPerInstance);
  const bound = timeline.reduce(
    (sum, { at, instances }, index) => sum + instances * ((timeline[index + 1]?.at ?? at) - at),
    0,
  );
  const schedules = [await pack(merged, usersPerInstance, signal)];
  if (merged.length <= mostImproved)
    for (const order of orders(merged)) schedules.push(await improve(order, usersPerInstance, signal));
  return { bound: bound / hour, packed: Math.min(...schedules.map(runningTime)) / hour, timeline };
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

/** An instance of a schedule: it runs while somebody of them is there. */
interface Packed {
  people: Set<Stay>;
  from: EpochMillis;
  to: EpochMillis;
}

/** Of longer traces the first schedule stands: to improve it would take too long. */
const mostImproved = 20_000;
/** Rounds of improving; mostly there is nothing left to be won before. */
const mostRounds = 10;
/** Between two looks at the signal. */
const staysAtATime = 500;

/** As they come, each to the instance that has to run least longer for it; one that is empty is gone. */
async function pack(stays: readonly Stay[], usersPerInstance: number, signal: AbortSignal): Promise<Packed[]> {
  const all: Packed[] = [];
  let running: { instance: Packed; there: Stay[] }[] = [];
  for (const [index, stay] of stays.toSorted((a, b) => a.from - b.from || b.to - a.to).entries()) {
    if (index % staysAtATime === 0) await breathe(signal);
    running = running.filter(({ instance }) => instance.to > stay.from);
    let best: { on: (typeof running)[number]; added: number } | undefined;
    for (const on of running) {
      on.there = on.there.filter(({ to }) => to > stay.from);
      const added = Math.max(0, stay.to - on.instance.to);
      if (on.there.length < usersPerInstance && added < (best?.added ?? stay.to - stay.from)) best = { on, added };
    }
    const on = best?.on ?? { instance: { people: new Set(), from: stay.from, to: stay.to }, there: [] };
    if (best === undefined) {
      running.push(on);
      all.push(on.instance);
    }
    on.there.push(stay);
    join(on.instance, stay);
  }
  return all;
}

/**
 * In this order, each to the instance that has to run least longer for it; and then, as long as that wins something, each once
 * more, now that all are placed.
 */
async function improve(stays: readonly Stay[], usersPerInstance: number, signal: AbortSignal): Promise<Packed[]> {
  const instances: Packed[] = [];
  const homes = new Map<Stay, Packed>();
  for (let round = 0; round < mostRounds; round += 1) {
    let won = 0;
    for (const [index, stay] of stays.entries()) {
      if (index % staysAtATime === 0) await breathe(signal);
      const home = homes.get(stay) ?? { people: new Set(), from: stay.from, to: stay.to };
      if (!homes.has(stay)) instances.push(home);
      home.people.delete(stay);
      let best = { instance: home, added: uncovered(overlapping(home, stay), stay) };
      const before = best.added;
      for (const instance of instances) {
        if (best.added === 0) break;
        if (!isOverlapping(instance, stay)) continue; // it would run for this one alone
        const there = overlapping(instance, stay);
        const added = uncovered(there, stay);
        if (added < best.added && mostAtOnce(there, stay) < usersPerInstance) best = { instance, added };
      }
      join(best.instance, stay);
      homes.set(stay, best.instance);
      won += before - best.added;
    }
    if (won === 0) break;
  }
  return instances;
}

/** None of them is the best on all days. */
const orders = (stays: readonly Stay[]): Stay[][] => [
  stays.toSorted((a, b) => a.from - b.from || b.to - a.to),
  stays.toSorted((a, b) => b.to - b.from - (a.to - a.from) || a.from - b.from),
];

const runningTime = (instances: readonly Packed[]) =>
  instances.reduce((sum, { people }) => sum + covered([...people]), 0);

function join(instance: Packed, stay: Stay): void {
  instance.people.add(stay);
  instance.from = Math.min(instance.from, stay.from);
  instance.to = Math.max(instance.to, stay.to);
}

/** Lets others have their turn, Ctrl-C among them. */
async function breathe(signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  await setImmediate();
}

const overlapping = ({ people }: Packed, stay: Stay): Stay[] =>
  [...people].filter((other) => isOverlapping(other, stay));

/** For how long somebody of these is there. */
function covered(stays: readonly Stay[]): number {
  const from = stays.reduce((first, stay) => Math.min(first, stay.from), Infinity);
  const to = stays.reduce((last, stay) => Math.max(last, stay.to), -Infinity);
  return stays.length === 0 ? 0 : to - from - uncovered(stays, { from, to });
}

type Span = Pick<Stay, 'from' | 'to'>;

const isOverlapping = (a: Span, b: Span) => a.from < b.to && b.from < a.to;

/** Of these, within the time of `stay`. */
function mostAtOnce(stays: readonly Span[], stay: Span): number {
  let most = 0;
  // There are most at the beginning of one of them.
  for (const start of [stay.from, ...stays.map(({ from }) => from)]) {
    if (start < stay.from) continue;
    most = Math.max(most, stays.filter(({ from, to }) => from <= start && start < to).length);
  }
  return most;
}

/** How much of `stay` nobody of these is there for. */
function uncovered(stays: readonly Span[], stay: Span): number {
  let [sum, reached] = [0, stay.from];
  for (const { from, to } of stays.toSorted((a, b) => a.from - b.from)) {
    if (from > reached) sum += from - reached;
    reached = Math.max(reached, to);
  }
  return sum + Math.max(0, stay.to - reached);
}
