/**
 * Keeps the sign-ins of which gateways say that they have ended: the directory tells them to all gateways, also to those that
 * begin tomorrow.
 */
import type { Clock, EpochMillis } from '../core/time.ts';
import { signInLasts, type EndedSignIn } from '../link/ended-sign-ins.ts';
import { addEndedSignIns } from '../store/ended-sign-ins.ts';
import type { Store } from '../store/store.ts';

export interface KeepEndedParts {
  store: Pick<Store, 'transaction'>;
  clock: Pick<Clock, 'now'>;
  /** The directory is another now. */
  changed: () => void;
}

/** What clocks of two machines may differ by. */
const tolerance = 60_000;

/** Nobody has begun one in the future, and none lasts longer than they do: else a gateway could keep somebody out for ever. Pure. */
export const isPlausible = ({ issued, expires }: Pick<EndedSignIn, 'issued' | 'expires'>, now: EpochMillis): boolean =>
  issued <= now + tolerance && expires <= issued + signInLasts;

/** Resolves when they are kept; what cannot be is left out. */
export function createKeepEndedSignIns({ store, clock, changed }: KeepEndedParts) {
  return async (ended: readonly EndedSignIn[]): Promise<void> => {
    const now = clock.now();
    const plausible = ended.filter((one) => isPlausible(one, now));
    if (plausible.length === 0) return;
    await store.transaction((tx) => addEndedSignIns(tx, plausible, now));
    changed();
  };
}
