/**
 * Keeps the engine's images ready: builds a recipe's image when the engine does not have it, one at a time, and
 * remembers how that went.
 */
import type { Logger } from 'pino';
import { errorBodyOf } from '../core/errors.ts';
import type { Clock, EpochMillis } from '../core/time.ts';
import type { Engine, ImageReference } from '../engines/engine.ts';

export interface ImageState {
  ready: boolean;
  busy: boolean;
  retryAt: EpochMillis | undefined;
  failure: { code: string; message: string } | undefined;
}

export interface ImageKeeper {
  /** Begins to prepare a recipe's image; nil while that is under way. */
  prepare(recipe: string): void;
  state(recipe: string): ImageState;
  /** What instances of this recipe are made from; it must be ready. */
  reference(recipe: string): ImageReference;
  idle(): Promise<void>;
}

export interface ImageKeeperParts {
  engine: Engine;
  /** The fingerprint that the recipe has now. */
  fingerprint(recipe: string): Promise<string>;
  /** Builds the image file, or finds the one that was built before. */
  build(recipe: string, signal: AbortSignal): Promise<string>;
  clock: Clock;
  log: Logger;
  signal: AbortSignal;
  changed(): void;
}

const retryDelay = 60_000;

export function createImageKeeper(parts: ImageKeeperParts): ImageKeeper {
  const { engine, clock, log, signal } = parts;
  const states = new Map<string, ImageState & { fingerprint?: string }>();
  let queue: Promise<void> = Promise.resolve();
  const stateOf = (recipe: string) =>
    states.get(recipe) ?? { ready: false, busy: false, retryAt: undefined, failure: undefined };

  async function work(recipe: string): Promise<void> {
    try {
      const fingerprint = await parts.fingerprint(recipe);
      if (!(await engine.hasImage({ fingerprint }, signal))) {
        const started = clock.now();
        log.info({ recipe }, 'the image is being prepared');
        const file = await parts.build(recipe, signal);
        await engine.prepareImage({ fingerprint }, file, signal);
        log.info({ recipe, milliseconds: clock.now() - started }, 'the image is ready');
      }
      states.set(recipe, { ready: true, busy: false, retryAt: undefined, failure: undefined, fingerprint });
    } catch (error) {
      const { code, message } = errorBodyOf(error);
      if (!signal.aborted) log.error({ recipe, err: error }, `the image could not be prepared: ${message}`);
      states.set(recipe, { ready: false, busy: false, retryAt: clock.now() + retryDelay, failure: { code, message } });
    }
    parts.changed();
  }

  return {
    prepare(recipe) {
      const state = stateOf(recipe);
      if (state.busy) return;
      states.set(recipe, { ...state, busy: true, failure: undefined });
      queue = queue.then(() => work(recipe));
    },
    state: stateOf,
    reference(recipe) {
      return { fingerprint: states.get(recipe)?.fingerprint ?? '' };
    },
    idle: () => queue,
  };
}
