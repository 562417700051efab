/**
 * Watches the loops: when each made its last whole pass, and why one fails. A loop that hangs is as little alive as one
 * that fails, and only the time since its last pass tells.
 */
import { errorBodyOf } from '../core/errors.ts';
import type { Clock, EpochMillis } from '../core/time.ts';
import type { NamedPass } from './assemble.ts';
import type { Observer } from './observer.ts';

export interface LoopFacts {
  name: string;
  /** When its last pass ended well; undefined before the first. */
  succeededAt: EpochMillis | undefined;
  /** When the next pass begins at the latest. */
  dueAt: EpochMillis;
  /** Passes in a row that failed. */
  failures: number;
  /** Why the last one did. */
  failure: string | undefined;
}

export interface LoopWatch {
  /** The same pass, watched from now on. */
  watch(named: NamedPass): NamedPass;
  facts(): LoopFacts[];
}

export function createLoopWatch(clock: Clock, observer: Observer): LoopWatch {
  const loops = new Map<string, LoopFacts>();
  return {
    watch({ name, pass }) {
      const facts: LoopFacts = { name, succeededAt: undefined, dueAt: clock.now(), failures: 0, failure: undefined };
      loops.set(name, facts);
      return {
        name,
        async pass(signal) {
          const started = clock.now();
          try {
            const delay = await pass(signal);
            const now = clock.now();
            Object.assign(facts, { succeededAt: now, dueAt: now + delay, failures: 0, failure: undefined });
            observer.passEnded(name, 'succeeded', now - started);
            return delay;
          } catch (error) {
            if (!signal.aborted) {
              facts.failures += 1;
              facts.failure = errorBodyOf(error).message;
            }
            observer.passEnded(name, signal.aborted ? 'stopped' : 'failed', clock.now() - started);
            throw error;
          }
        },
      };
    },
    facts: () => [...loops.values()].map((facts) => ({ ...facts })),
  };
}
