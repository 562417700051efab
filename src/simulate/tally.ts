/** What a replay comes to: how many instances there were at each time, and what each of them cost. */
import type { EpochMillis } from '../core/time.ts';
import { isPrepared } from '../pool/scale-set-snapshot.ts';
import { preparation, type Machine } from './machines.ts';

/** How it stood from a time on. */
export interface Moment {
  at: EpochMillis;
  /** The capacity. */
  asked: number;
  /** Instances that hold memory and CPU: being made, running, draining, frozen. */
  running: number;
  inRotation: number;
  /** Instances with people. */
  busy: number;
  /** Of the running ones: prepared, and frozen until they are wanted. */
  frozen: number;
  /** Prepared, and stopped until they are wanted: a disk, and nothing else. */
  stopped: number;
  connected: number;
  waiting: number;
}

/** A span of time for which an instance held memory, from its making on. */
export interface Life {
  instance: string;
  from: EpochMillis;
  to: EpochMillis;
}

export interface Tally {
  note(
    now: EpochMillis,
    machines: readonly Machine[],
    counts: Pick<Moment, 'asked' | 'inRotation' | 'busy' | 'connected' | 'waiting'>,
  ): void;
  /** Each differs from the one before. */
  timeline: readonly Moment[];
  /** Until then. */
  lives(to: EpochMillis): Life[];
}

export function createTally(from: EpochMillis): Tally {
  const timeline: Moment[] = [];
  const ended: Life[] = [];
  /** Since when those hold memory that do. */
  const living = new Map<string, EpochMillis>();

  return {
    timeline,
    note(now, machines, counts) {
      const holding = new Set<string>();
      let [stopped, frozen] = [0, 0];
      for (const machine of machines) {
        const rest = restOf(machine);
        if (rest === 'stopped') stopped += 1;
        else holding.add(machine.name);
        if (rest === 'frozen') frozen += 1;
      }
      for (const [instance, since] of living) {
        if (holding.has(instance)) continue;
        living.delete(instance);
        ended.push({ instance, from: since, to: now });
      }
      for (const instance of holding) if (!living.has(instance)) living.set(instance, now);
      const moment = { ...counts, running: holding.size, frozen, stopped };
      const last = timeline.at(-1);
      if (last !== undefined && isSame(last, moment)) return;
      if (last?.at === now) timeline.pop();
      timeline.push({ at: timeline.length === 0 ? from : now, ...moment });
    },
    lives: (to) => [...ended, ...[...living].map(([instance, since]) => ({ instance, from: since, to }))],
  };
}

/** How a standby waits that is prepared; undefined for all others. */
function restOf({ state, power }: Machine): 'stopped' | 'frozen' | undefined {
  if (state.standby === undefined || power !== state.standby.as) return undefined;
  return isPrepared({ state, provision: preparation, extensions: [] }) ? state.standby.as : undefined;
}

const isSame = (a: Moment, b: Omit<Moment, 'at'>) =>
  a.asked === b.asked &&
  a.running === b.running &&
  a.inRotation === b.inRotation &&
  a.busy === b.busy &&
  a.frozen === b.frozen &&
  a.stopped === b.stopped &&
  a.connected === b.connected &&
  a.waiting === b.waiting;

/** A count of the timeline over time, in hours. */
export function hoursOf(timeline: readonly Moment[], count: Exclude<keyof Moment, 'at'>, to: EpochMillis): number {
  let sum = 0;
  for (const [index, moment] of timeline.entries())
    sum += moment[count] * ((timeline[index + 1]?.at ?? to) - moment.at);
  return sum / 3_600_000;
}

/** The highest that a count of the timeline was. */
export function peakOf(timeline: readonly Moment[], count: Exclude<keyof Moment, 'at'>): number {
  return timeline.reduce((most, moment) => Math.max(most, moment[count]), 0);
}
