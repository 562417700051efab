/** Tells how each step of a scale set ended, and how long it took. */
import type { Clock } from '../core/time.ts';
import type { Observer, Outcome } from './observer.ts';
import type { ScaleSetSteps } from './scale-set-steps.ts';

export function observeSteps(steps: ScaleSetSteps, observer: Observer, clock: Clock): ScaleSetSteps {
  async function observed<T>(
    step: Parameters<Observer['stepEnded']>[0],
    signal: AbortSignal | undefined,
    work: () => Promise<T>,
  ): Promise<T> {
    const started = clock.now();
    const tell = (outcome: Outcome) => {
      observer.stepEnded(step, outcome, clock.now() - started);
    };
    try {
      const result = await work();
      tell('succeeded');
      return result;
    } catch (error) {
      tell(signal?.aborted === true ? 'stopped' : 'failed');
      throw error;
    }
  }

  return {
    ...steps,
    allocate: (record, step) => observed('allocate', undefined, () => steps.allocate(record, step)),
    adopt: (record, adoption) => observed('adopt', undefined, () => steps.adopt(record, adoption)),
    execute: (key, step, signal) => observed(step.step, signal, () => steps.execute(key, step, signal)),
  };
}
