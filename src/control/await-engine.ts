/** Control's start where the engine's daemon is away: it may be starting too, after a reboot, or be brought back by `up`. */
import type { Logger } from 'pino';
import { PoolhouseError } from '../core/errors.ts';
import type { Clock } from '../core/time.ts';
import type { Engine } from '../engines/engine.ts';

const retryDelay = 500;

/**
 * Prepares the engine, and waits as long as its daemon does not answer: to end and be started again, later and later,
 * would only have control come back late. Every other failure is told at once.
 */
export async function awaitEngine(
  engine: Pick<Engine, 'prepare'>,
  { clock, log, signal }: { clock: Clock; log: Logger; signal: AbortSignal },
): Promise<void> {
  for (let told = false; ; told = true) {
    try {
      await engine.prepare(signal);
      return;
    } catch (error) {
      if (!(error instanceof PoolhouseError) || error.code !== 'EngineUnavailable') throw error;
      if (!told) log.warn({ err: error }, `control waits for the engine's daemon: ${error.message}`);
    }
    await clock.sleep(retryDelay, signal);
  }
}
