/**
 * A made-up trace: days of a team of data scientists. They come around nine, many leave for lunch, some stay late or come back
 * in the evening, some leave work running over night, and at weekends there are few. The same numbers give the same days.
 */
import type { TraceSession } from './trace.ts';

export interface GeneratedTrace {
  people: number;
  days: number;
  seed: number;
}

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
/** A Monday. */
const firstDay = Date.UTC(2026, 0, 5);

export function generateTrace({ people, days, seed }: GeneratedTrace): TraceSession[] {
  const chance = createRandom(seed);
  const digits = String(people).length;
  const sessions: TraceSession[] = [];
  for (let number = 1; number <= people; number += 1) {
    const user = `user${String(number).padStart(digits, '0')}`;
    /** Somebody comes early every day, and others late. */
    const usual = 9 * hour + chance.normal(50 * minute);
    let free = 0;
    for (let index = 0; index < days; index += 1) {
      const midnight = firstDay + index * day;
      const isWeekend = index % 7 >= 5;
      for (const { from, to, works } of isWeekend ? weekend(chance) : workday(chance, usual)) {
        const [start, end] = [Math.max(free, midnight + toSecond(from)), midnight + toSecond(to)];
        if (end - start < 5 * minute) continue;
        sessions.push({ user, start, end, activeUntil: Math.max(start, Math.min(end, midnight + toSecond(works))) });
        free = end + 1_000;
      }
    }
  }
  return sessions.sort((a, b) => a.start - b.start || (a.user < b.user ? -1 : 1));
}

/** Milliseconds of the day. */
interface Span {
  from: number;
  to: number;
  works: number;
}

function workday(chance: Random, usual: number): Span[] {
  if (!chance.happens(0.82)) return [];
  const comes = Math.max(6 * hour, usual + chance.normal(20 * minute));
  const leaves = Math.max(comes + 4 * hour, 17.5 * hour + chance.normal(70 * minute));
  const lunch = 12.2 * hour + chance.normal(20 * minute);
  const spans: Span[] = [];
  if (chance.happens(0.55) && comes < lunch - hour) {
    spans.push(worked(chance, comes, lunch));
    spans.push(worked(chance, lunch + (35 + 40 * chance.next()) * minute, leaves));
  } else if (chance.happens(0.2)) {
    // Meetings: an hour here, an hour there.
    for (let at = comes; at < leaves - hour; at += (1.5 + 2 * chance.next()) * hour)
      spans.push(worked(chance, at, at + (20 + 50 * chance.next()) * minute));
  } else spans.push(worked(chance, comes, leaves));
  const evening = Math.max(leaves + hour, 20 * hour + chance.normal(40 * minute));
  if (chance.happens(0.06)) {
    // Work that is left running, and a terminal with it.
    const ends = day + (6 + 3 * chance.next()) * hour;
    spans.push({ from: evening, to: ends, works: evening + (ends - evening) * chance.next() });
  } else if (chance.happens(0.08)) spans.push(worked(chance, evening, evening + (0.5 + 1.5 * chance.next()) * hour));
  return spans;
}

function weekend(chance: Random): Span[] {
  if (!chance.happens(0.06)) return [];
  const comes = (9 + 8 * chance.next()) * hour;
  return [worked(chance, comes, comes + (1 + 3 * chance.next()) * hour)];
}

/** Most close their session when they are done; some forget it for a while. */
function worked(chance: Random, from: number, until: number): Span {
  const forgets = chance.happens(0.08) ? (20 + 100 * chance.next()) * minute : chance.next() * 5 * minute;
  return { from, to: until + forgets, works: until };
}

const toSecond = (milliseconds: number) => Math.round(milliseconds / 1_000) * 1_000;

interface Random {
  /** In [0, 1). */
  next(): number;
  happens(probability: number): boolean;
  /** Around 0, with this standard deviation. */
  normal(deviation: number): number;
}

/** Mulberry32: 32 bits of state, the same sequence for the same seed everywhere. */
function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    next,
    happens: (probability) => next() < probability,
    normal: (deviation) => deviation * Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
  };
}
