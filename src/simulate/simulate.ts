/** A dry run: a setting's replay beside Azure's usual rules in the same replay, and the best with hindsight. */
import type { EpochMillis } from '../core/time.ts';
import type { AutoscaleSetting } from '../pool/autoscale/setting.ts';
import { hindsight, staysOf, type Hindsight } from './hindsight.ts';
import { replay, type Replay, type ReplayOptions } from './replay.ts';
import { hoursOf, peakOf } from './tally.ts';
import type { TraceSession } from './trace.ts';
import { usualRules } from './usual-rules.ts';

/** The options of a replay; here it is known how many people an instance takes. */
export interface SimulationOptions extends ReplayOptions {
  placement: ReplayOptions['placement'] & { usersPerInstance: number };
}

export interface ReplaySummary {
  instanceHours: number;
  /** Of them: with people. */
  busyHours: number;
  /** Of them: prepared, frozen, and waiting to be wanted. */
  frozenHours: number;
  /** Beside them: prepared, stopped, and waiting to be wanted. */
  stoppedHours: number;
  /** Most that ran at a time. */
  peak: number;
  scaleActions: { out: number; in: number };
  /** Of all who came, in seconds; those included who did not have to wait. */
  waiting: { share5s: number; p50: number; p95: number; max: number };
  /** People whose session was ended by a drain; they had not worked for a while. */
  ended: readonly string[];
  /** People who worked on an instance while it drained. */
  atRisk: readonly string[];
}

export interface Simulation {
  from: EpochMillis;
  to: EpochMillis;
  people: number;
  sessions: number;
  setting: ReplaySummary;
  usual: ReplaySummary;
  /** Instance-hours: the bound that nobody can go below, and the best schedule that was found in which nobody moves. */
  hindsight: { boundHours: number; packedHours: number };
  /** Instance-hours by those of the best schedule in which nobody moves: in the pool, too, nobody does. */
  hoursVsHindsight: { setting: number; usual: number };
}

export interface SimulationWithCurves {
  simulation: Simulation;
  replays: { setting: Replay; usual: Replay };
  hindsight: Hindsight;
}

/** @throws the signal's reason when it aborts */
export async function simulate(
  sessions: readonly TraceSession[],
  setting: AutoscaleSetting,
  options: SimulationOptions,
  signal: AbortSignal,
): Promise<SimulationWithCurves> {
  const maximum = Math.max(...setting.profiles.map(({ capacity }) => capacity.maximum));
  const own = await replay(sessions, setting, options, signal);
  const usual = await replay(sessions, usualRules(setting, maximum), options, signal);
  const best = await hindsight(staysOf(sessions), options.placement.usersPerInstance, signal);
  const summaries = { setting: summarize(own), usual: summarize(usual) };
  return {
    simulation: {
      ...{ from: own.from, to: own.to, sessions: sessions.length },
      people: new Set(sessions.map(({ user }) => user)).size,
      ...summaries,
      hindsight: { boundHours: rounded(best.bound), packedHours: rounded(best.packed) },
      hoursVsHindsight: {
        setting: rounded(summaries.setting.instanceHours / best.packed),
        usual: rounded(summaries.usual.instanceHours / best.packed),
      },
    },
    replays: { setting: own, usual },
    hindsight: best,
  };
}

function summarize({ timeline, to, waits, scaleActions, ended, atRisk }: Replay): ReplaySummary {
  const sorted = waits.toSorted((a, b) => a - b);
  const quantile = (part: number) => (sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? 0) / 1_000;
  const hours = (count: Parameters<typeof hoursOf>[1]) => rounded(hoursOf(timeline, count, to));
  const quick = waits.filter((wait) => wait < 5_000).length;
  return {
    ...{ instanceHours: hours('running'), busyHours: hours('busy') },
    ...{ frozenHours: hours('frozen'), stoppedHours: hours('stopped') },
    peak: peakOf(timeline, 'running'),
    scaleActions,
    waiting: {
      share5s: waits.length === 0 ? 1 : quick / waits.length,
      ...{ p50: quantile(0.5), p95: quantile(0.95), max: quantile(1) },
    },
    ended: [...ended].toSorted(),
    atRisk: [...atRisk].toSorted(),
  };
}

const rounded = (value: number) => Number(value.toFixed(3));
