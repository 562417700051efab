/** When a session moved bytes last. */
import type { Clock, EpochMillis } from '../../core/time.ts';

export interface ActivityNote {
  /** It moves some now. Called for every piece that is carried, so it costs next to nothing. */
  note: () => void;
  /** When it did so last; when it began, where it never has. */
  at: () => EpochMillis;
}

export function createActivityNote(clock: Pick<Clock, 'now'>): ActivityNote {
  let at = clock.now();
  return {
    note: () => {
      at = clock.now();
    },
    at: () => at,
  };
}
