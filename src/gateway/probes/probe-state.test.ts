import { describe, expect, it } from 'vitest';
import { initialProbeState, nextProbeState, probeDelayMs, probeLimitMs } from './probe-state.ts';
import type { ProbeState } from './probe-state.ts';

/** Runs outcomes one second apart: `+` is a success, `-` a failure. */
function after(outcomes: string, failures: number): ProbeState {
  let state = initialProbeState(0);
  Array.from(outcomes).forEach((sign, index) => {
    const outcome = { ok: sign === '+', reason: sign === '+' ? 'answers' : 'refuses' };
    state = nextProbeState(state, outcome, { failures }, (index + 1) * 1000);
  });
  return state;
}

describe('nextProbeState', () => {
  it.each([
    { outcomes: '', failures: 2, health: 'unknown', since: 0 },
    { outcomes: '-', failures: 2, health: 'unhealthy', since: 1000 },
    { outcomes: '---', failures: 2, health: 'unhealthy', since: 1000 },
    { outcomes: '+', failures: 2, health: 'healthy', since: 1000 },
    { outcomes: '--+', failures: 2, health: 'healthy', since: 3000 },
    { outcomes: '+-', failures: 2, health: 'healthy', since: 1000 },
    { outcomes: '+--', failures: 2, health: 'unhealthy', since: 3000 },
    { outcomes: '+-+-+-', failures: 2, health: 'healthy', since: 1000 },
    { outcomes: '+-', failures: 1, health: 'unhealthy', since: 2000 },
    { outcomes: '+---', failures: 4, health: 'healthy', since: 1000 },
    { outcomes: '+--+', failures: 2, health: 'healthy', since: 4000 },
  ])('$outcomes with $failures failures: $health since $since', ({ outcomes, failures, health, since }) => {
    expect(after(outcomes, failures)).toMatchObject({ health, since });
  });

  it('keeps the reason of what it shows: a single failure does not replace the success that still counts', () => {
    expect(after('+-', 2).reason).toBe('answers');
    expect(after('+--', 2).reason).toBe('refuses');
  });
});

describe('probeDelayMs', () => {
  const probe = { intervalSeconds: 15, protocol: 'tcp' } as const;
  it('asks often while an instance never answered in its first minute', () => {
    expect(probeDelayMs(after('--', 2), probe, 59_000)).toBe(100);
    expect(probeDelayMs(after('--', 2), probe, 60_000)).toBe(15_000);
  });
  it('asks as declared from the first success on, failures later included', () => {
    expect(probeDelayMs(after('+', 2), probe, 2000)).toBe(15_000);
    expect(probeDelayMs(after('+--', 2), probe, 4000)).toBe(15_000);
  });
  it('never lets a probe take longer than its interval', () => {
    expect(probeLimitMs(after('+', 2), { intervalSeconds: 2, protocol: 'http' }, 0)).toBe(2000);
    expect(probeLimitMs(after('+', 2), { intervalSeconds: 60, protocol: 'http' }, 0)).toBe(5000);
  });
});
