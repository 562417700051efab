/**
 * Keeps one probe state for each (probe, instance) of the routing table. Knows no route and no connection: it answers
 * whether an instance is healthy, and says when that changed.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../../core/time.ts';
import type { Probe, Probed, Report } from '../../link/routes.ts';
import { initialProbeState, nextProbeState, probeDelayMs, probeLimitMs } from './probe-state.ts';
import type { ProbeState } from './probe-state.ts';
import type { RunProbe } from './run-probe.ts';

export interface HealthChange {
  probe: string;
  instance: string;
  healthy: boolean;
  /** It was healthy before: until now people were sent there. */
  wasHealthy: boolean;
  reason: string;
}

export interface ProberOptions {
  clock: Clock;
  runProbe: RunProbe;
  /** Called after every change of an instance's health. */
  onChange: (change: HealthChange) => void;
  /** Called after every question. */
  onOutcome: (probe: Probe, ok: boolean) => void;
}

interface Target {
  probe: Probe;
  instance: string;
  address: string;
  state: ProbeState;
  stop: AbortController;
  /** Resolves after the first outcome, or when the target is dropped. */
  settled: PromiseWithResolvers<void>;
}

export interface Prober {
  /** Begins what is new at once, goes on with what stays, ends what is gone. */
  watch(probed: readonly Probed[]): void;
  /** True where the route has no probe, or the instance passes it. */
  isHealthy(probe: Probe | null, instance: string): boolean;
  /** Resolves once every one of these instances was probed, or one of them is healthy; at once where there is no probe. */
  firstOutcome(probe: Probe | null, instances: readonly string[]): Promise<void>;
  /** Every instance has been asked once. */
  knowsAll(): boolean;
  report(): Report['probes'];
  close(): void;
}

export function createProber({ clock, runProbe, onChange, onOutcome }: ProberOptions): Prober {
  const targets = new Map<string, Target>();

  async function run(target: Target): Promise<void> {
    const { signal } = target.stop;
    const stopped = (): boolean => signal.aborted;
    while (!stopped()) {
      const { probe, address } = target;
      const outcome = await runProbe(probe, address, probeLimitMs(target.state, probe, clock.now()), signal);
      if (stopped()) return;
      onOutcome(probe, outcome.ok);
      const before = target.state;
      target.state = nextProbeState(before, outcome, target.probe, clock.now());
      target.settled.resolve();
      if (before.health !== target.state.health) {
        onChange({
          probe: probe.id,
          instance: target.instance,
          healthy: target.state.health === 'healthy',
          wasHealthy: before.health === 'healthy',
          reason: target.state.reason,
        });
      }
      // Rejects only when the signal aborts: then there is nothing left to do.
      await clock.sleep(probeDelayMs(target.state, target.probe, clock.now()), signal).catch(() => undefined);
    }
  }

  function drop(key: string, target: Target): void {
    targets.delete(key);
    target.stop.abort();
    target.settled.resolve();
  }

  return {
    watch(probed) {
      const wanted = new Map<string, { probe: Probe; instance: string; address: string }>();
      for (const { probe, backends } of probed) {
        if (probe === null) continue;
        for (const { instance, address } of backends)
          wanted.set(keyOf(probe.id, instance), { probe, instance, address });
      }
      for (const [key, target] of targets) {
        const now = wanted.get(key);
        if (now === undefined || now.address !== target.address || !asksTheSame(now.probe, target.probe))
          drop(key, target);
        else target.probe = now.probe;
      }
      for (const [key, { probe, instance, address }] of wanted) {
        if (targets.has(key)) continue;
        const target: Target = {
          probe,
          instance,
          address,
          state: initialProbeState(clock.now()),
          stop: new AbortController(),
          settled: Promise.withResolvers(),
        };
        targets.set(key, target);
        void run(target);
      }
    },
    isHealthy(probe, instance) {
      return probe === null || targets.get(keyOf(probe.id, instance))?.state.health === 'healthy';
    },
    async firstOutcome(probe, instances) {
      if (probe === null) return;
      const found = instances
        .map((instance) => targets.get(keyOf(probe.id, instance)))
        .filter((each) => each !== undefined);
      if (found.some(({ state }) => state.health === 'healthy')) return;
      const unknown = found.filter(({ state }) => state.health === 'unknown');
      if (unknown.length === 0) return;
      const anyHealthy = Promise.any(
        unknown.map(async (target) => {
          await target.settled.promise;
          if (target.state.health !== 'healthy') throw new Error('unhealthy');
        }),
      ).catch(() => undefined);
      await anyHealthy;
    },
    knowsAll: () => [...targets.values()].every(({ state }) => state.health !== 'unknown'),
    report() {
      return [...targets.values()].map(({ probe, instance, state }) => ({
        probe: probe.id,
        instance,
        healthy: state.health === 'healthy',
        since: state.since,
        reason: state.reason,
      }));
    },
    close() {
      for (const [key, target] of targets) drop(key, target);
    },
  };
}

function keyOf(probe: string, instance: string): string {
  return `${probe}\0${instance}`;
}

/** A change of interval or count keeps what is known; a change of the question does not. */
function asksTheSame(a: Probe, b: Probe): boolean {
  return isDeepStrictEqual([a.protocol, a.port, a.path], [b.protocol, b.port, b.path]);
}
