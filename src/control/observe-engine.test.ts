import { describe, expect, it } from 'vitest';
import { PoolhouseError } from '../core/errors.ts';
import { systemClock } from '../core/system-clock.ts';
import { createIncusEngine } from '../engines/incus/incus-engine.ts';
import { createSimEngine } from '../engines/sim/sim-engine.ts';
import { observeEngine } from './observe-engine.ts';

const { signal } = new AbortController();

describe('the engine, watched', () => {
  it('answers as it does unwatched, and tells how each call ended', async () => {
    const told: string[] = [];
    const sim = createSimEngine({ clock: systemClock });
    const watched = observeEngine(sim, systemClock, (method, outcome) => told.push(`${method} ${outcome}`));
    const { engine } = watched;
    expect(engine.kind).toBe('sim');
    expect(engine.capabilities()).toEqual(sim.capabilities());
    expect(watched.facts()).toEqual({ answeredAt: undefined, failure: undefined });
    await engine.prepare(signal);
    expect(await engine.list(signal)).toEqual([]);
    await expect(engine.setPower('nobody', 'running', signal)).rejects.toMatchObject({ code: 'InstanceNotFound' });
    await expect(engine.list(AbortSignal.abort())).rejects.toThrow();
    sim.failNext('list', new TypeError('a defect'));
    await expect(engine.list(signal)).rejects.toThrow('a defect');
    expect(told).toEqual(['prepare succeeded', 'list succeeded', 'setPower refused', 'list stopped', 'list failed']);
    expect(watched.facts().failure).toBeUndefined();
  });

  it('is away until it answers again, with yes or no', async () => {
    const sim = createSimEngine({ clock: systemClock });
    const watched = observeEngine(sim, { ...systemClock, now: () => 42 }, () => undefined);
    const { engine } = watched;
    for (const answer of [() => engine.list(signal), () => engine.setPower('nobody', 'running', signal)]) {
      sim.failNext('list', new PoolhouseError('EngineUnavailable', 'the daemon is away', { retryable: true }));
      await expect(engine.list(signal)).rejects.toThrow();
      expect(watched.facts().failure).toBe('the daemon is away');
      await answer().catch(() => undefined);
      expect(watched.facts()).toEqual({ answeredAt: 42, failure: undefined });
    }
  });

  it('is away where the daemon has no socket', async () => {
    const daemon = createIncusEngine({
      installation: '00000000',
      socketPath: '/nonexistent/unix.socket',
      addressRange: '10.231.0.0/16',
      poolBytes: 2 ** 30,
    });
    const watched = observeEngine(daemon, systemClock, () => undefined);
    const { engine } = watched;
    await expect(engine.list(signal)).rejects.toMatchObject({ code: 'EngineUnavailable' });
    expect(watched.facts().failure).toContain("The engine's daemon does not answer at /nonexistent/unix.socket");
  });
});
