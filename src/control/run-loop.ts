/**
 * One reconcile loop: a pass over the world as it is, again and again. A loop takes no input but the state of the
 * world; a wake-up only makes it run sooner. Passes of one loop never overlap.
 */
import type { Logger } from 'pino';
import type { Clock } from '../core/time.ts';

export interface Loop {
  /** Runs a pass as soon as the present one has ended. */
  wake(): void;
  /** Settles when the loop has stopped. */
  readonly stopped: Promise<void>;
}

export interface LoopParts {
  name: string;
  /** One pass. Gives the milliseconds until the next one, should nobody wake it before. */
  pass(signal: AbortSignal): Promise<number>;
  clock: Clock;
  log: Logger;
  signal: AbortSignal;
}

const firstRetry = 500;
const longestRetry = 15_000;

export function runLoop(parts: LoopParts): Loop {
  const { name, clock, log, signal } = parts;
  let alarm = new AbortController();
  let failures = 0;
  const stopping = () => signal.aborted;

  async function run(): Promise<void> {
    while (!stopping()) {
      alarm = new AbortController();
      let delay: number;
      try {
        delay = await parts.pass(signal);
        failures = 0;
      } catch (error) {
        if (stopping()) break;
        failures += 1;
        delay = Math.min(longestRetry, firstRetry * 2 ** (failures - 1));
        log.error(
          { err: error, loop: name, retryInMs: delay },
          `a pass of the ${name} loop failed; it will be tried again`,
        );
      }
      // While it fails, wake-ups do not make it hurry.
      const wakers = failures > 0 ? signal : AbortSignal.any([signal, alarm.signal]);
      await clock.sleep(delay, wakers).catch(() => undefined);
    }
  }

  return {
    wake: () => {
      alarm.abort();
    },
    stopped: run(),
  };
}
