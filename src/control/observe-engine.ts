/**
 * The engine, watched: how each call ended and how long it took, and whether the daemon answers at all. Control asks
 * it every few seconds anyway, so nothing is asked only to know that.
 */
import { PoolhouseError } from '../core/errors.ts';
import type { Clock, EpochMillis } from '../core/time.ts';
import type { Engine } from '../engines/engine.ts';

export type EngineMethod = Exclude<keyof Engine, 'kind' | 'capabilities' | 'network'>;

/**
 * `refused`: the engine answered that it cannot be so. `unavailable`: it did not answer. `stopped`: nobody waited any
 * longer. `failed`: anything unexpected.
 */
export const engineOutcomes = ['succeeded', 'refused', 'unavailable', 'stopped', 'failed'] as const;
export type EngineOutcome = (typeof engineOutcomes)[number];

export interface EngineFacts {
  answeredAt: EpochMillis | undefined;
  /** Why it does not answer since then. */
  failure: string | undefined;
}

export interface ObservedEngine {
  engine: Engine;
  facts(): EngineFacts;
}

export function observeEngine(
  engine: Engine,
  clock: Clock,
  onCall: (method: EngineMethod, outcome: EngineOutcome, milliseconds: number) => void,
): ObservedEngine {
  let facts: EngineFacts = { answeredAt: undefined, failure: undefined };

  async function observed(method: EngineMethod, call: () => Promise<unknown>, signal: unknown): Promise<unknown> {
    const started = clock.now();
    const tell = (outcome: EngineOutcome) => {
      onCall(method, outcome, clock.now() - started);
    };
    try {
      const result = await call();
      facts = { answeredAt: clock.now(), failure: undefined };
      tell('succeeded');
      return result;
    } catch (error) {
      const outcome = outcomeOf(error, signal);
      if (outcome === 'refused') facts = { answeredAt: clock.now(), failure: undefined };
      if (outcome === 'unavailable') facts = { ...facts, failure: (error as PoolhouseError).message };
      tell(outcome);
      throw error;
    }
  }

  const proxy = new Proxy(engine, {
    get(target, name, receiver) {
      const value: unknown = Reflect.get(target, name, receiver);
      if (typeof value !== 'function' || name === 'capabilities' || name === 'network') return value;
      // What is left of the contract: methods that give a promise and take their signal last.
      return (...args: unknown[]) =>
        observed(name as EngineMethod, () => Reflect.apply(value, target, args) as Promise<unknown>, args.at(-1));
    },
  });
  return { engine: proxy, facts: () => facts };
}

function outcomeOf(error: unknown, signal: unknown): EngineOutcome {
  if (signal instanceof AbortSignal && signal.aborted) return 'stopped';
  if (!(error instanceof PoolhouseError)) return 'failed';
  return error.code === 'EngineUnavailable' ? 'unavailable' : error.code === 'EngineFailed' ? 'failed' : 'refused';
}
