/**
 * What a probe's outcomes mean, as Azure says it: a number of failures in a row takes an instance out, one success
 * brings it in. Pure: time is an argument.
 *
 * Beyond Azure: an instance that never answered yet is asked more often during its first minute, because somebody is
 * waiting for it, and one that failed its first probe does not need more of them to be out.
 */
import type { EpochMillis } from '../../core/time.ts';
import type { Probe } from '../../link/routes.ts';

export interface ProbeState {
  /** `unknown` until the first outcome. */
  health: 'unknown' | 'healthy' | 'unhealthy';
  /** When `health` changed last. */
  since: EpochMillis;
  /** When this instance was first known to this probe. */
  firstSeen: EpochMillis;
  /** Says why, for people: the last outcome that mattered. */
  reason: string;
  failuresInRow: number;
  everSucceeded: boolean;
}

export interface ProbeOutcome {
  ok: boolean;
  reason: string;
}

/** How often an instance that never answered is asked, and for how long. */
const eagerIntervalMs = 100;
/** How long it may take to take a connection: packets to one that is about to start are lost, and sent again a second later. */
const eagerTcpLimitMs = 300;
const eagerPeriodMs = 60_000;

export function initialProbeState(now: EpochMillis): ProbeState {
  return {
    health: 'unknown',
    since: now,
    firstSeen: now,
    reason: 'not probed yet',
    failuresInRow: 0,
    everSucceeded: false,
  };
}

/** The state after one outcome. */
export function nextProbeState(
  state: ProbeState,
  outcome: ProbeOutcome,
  probe: Pick<Probe, 'failures'>,
  now: EpochMillis,
): ProbeState {
  const failuresInRow = outcome.ok ? 0 : state.failuresInRow + 1;
  const stays = state.health === 'healthy' && failuresInRow < probe.failures;
  const health = outcome.ok || stays ? 'healthy' : 'unhealthy';
  const changed = health !== state.health;
  return {
    ...state,
    health,
    since: changed ? now : state.since,
    reason: changed || health === 'unhealthy' ? outcome.reason : state.reason,
    failuresInRow,
    everSucceeded: state.everSucceeded || outcome.ok,
  };
}

/** Milliseconds from the end of one probe to the begin of the next. */
export function probeDelayMs(state: ProbeState, probe: Pick<Probe, 'intervalSeconds'>, now: EpochMillis): number {
  const eager = !state.everSucceeded && now - state.firstSeen < eagerPeriodMs;
  return eager ? Math.min(eagerIntervalMs, probe.intervalSeconds * 1000) : probe.intervalSeconds * 1000;
}

/** Milliseconds that one probe may take. */
export function probeLimitMs(
  state: ProbeState,
  probe: Pick<Probe, 'intervalSeconds' | 'protocol'>,
  now: EpochMillis,
): number {
  const eager = !state.everSucceeded && now - state.firstSeen < eagerPeriodMs;
  if (eager && probe.protocol === 'tcp') return eagerTcpLimitMs;
  return Math.min(probe.intervalSeconds * 1000, 5000);
}
