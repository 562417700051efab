/** Tells how downloads and image builds ended, and how long they took. */
import { PoolhouseError } from '../core/errors.ts';
import type { Clock } from '../core/time.ts';
import type { ControlMetrics } from './control-metrics.ts';

export function observeFetch<A extends unknown[], T>(
  fetch: (...args: A) => Promise<T>,
  clock: Clock,
  metrics: Pick<ControlMetrics, 'fetchEnded'>,
): (...args: A) => Promise<T> {
  return async (...args) => {
    const started = clock.now();
    try {
      const result = await fetch(...args);
      metrics.fetchEnded('succeeded', clock.now() - started);
      return result;
    } catch (error) {
      const isRefused = error instanceof PoolhouseError && error.code === 'FetchNotAllowed';
      metrics.fetchEnded(isRefused ? 'refused' : 'failed', clock.now() - started);
      throw error;
    }
  };
}

export function observeBuild(
  build: (recipe: string, signal: AbortSignal) => Promise<string>,
  clock: Clock,
  metrics: Pick<ControlMetrics, 'imageBuilt'>,
): (recipe: string, signal: AbortSignal) => Promise<string> {
  return async (recipe, signal) => {
    const started = clock.now();
    try {
      const file = await build(recipe, signal);
      metrics.imageBuilt('succeeded', clock.now() - started);
      return file;
    } catch (error) {
      if (!signal.aborted) metrics.imageBuilt('failed', clock.now() - started);
      throw error;
    }
  };
}
