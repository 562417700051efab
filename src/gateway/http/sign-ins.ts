/** Which sign-ins count: those that have not ended, of people who are as they were when they signed in. */
import type { Clock, EpochMillis } from '../../core/time.ts';
import type { DirectoryUser } from '../../link/people.ts';
import type { DirectoryView } from '../people/directory-view.ts';
import { signInLasts, stillCounts, type SignInToken } from './sign-in-token.ts';

export interface SignIns {
  /** The person, as long as their sign-in counts: what is asked anew of every request. */
  counts(token: SignInToken, key: Buffer): DirectoryUser | undefined;
  /** This one has ended before its time: somebody signed out. */
  end(token: SignInToken): void;
  /** All of this person's until now have, and for this reason. */
  endAll(pool: string, user: string, words: string): void;
  /** What is told to who comes with one that was ended for a reason. */
  farewellTo(token: SignInToken): string | undefined;
  /** Forgets those that would have ended by themselves. To be called every few seconds. */
  sweep(): void;
}

export interface SignInsOptions {
  directory: Pick<DirectoryView, 'find'>;
  clock: Pick<Clock, 'now'>;
  /** Kept at a time; the oldest go first. */
  most?: number;
}

export function createSignIns({ directory, clock, most = 10_000 }: SignInsOptions): SignIns {
  /** When they would have ended anyway, by id. */
  const ended = new Map<string, EpochMillis>();
  /** By pool and person. */
  const farewells = new Map<string, { at: EpochMillis; words: string }>();

  function farewellTo({ pool, user, issued }: SignInToken): string | undefined {
    const farewell = farewells.get(`${pool}\n${user}`);
    return farewell !== undefined && issued <= farewell.at ? farewell.words : undefined;
  }

  return {
    farewellTo,
    counts(token, key) {
      const isOver = token.expires <= clock.now() || ended.has(token.id) || farewellTo(token) !== undefined;
      const person = directory.find(token.pool, token.user);
      return !isOver && stillCounts(key, token, person) ? person : undefined;
    },
    end({ id, expires }) {
      ended.set(id, expires);
      for (const oldest of ended.keys()) {
        if (ended.size <= most) break;
        ended.delete(oldest);
      }
    },
    endAll(pool, user, words) {
      farewells.set(`${pool}\n${user}`, { at: clock.now(), words });
    },
    sweep() {
      const now = clock.now();
      for (const [id, expires] of ended) if (expires <= now) ended.delete(id);
      for (const [key, { at }] of farewells) if (at + signInLasts <= now) farewells.delete(key);
    },
  };
}
