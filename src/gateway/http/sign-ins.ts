/**
 * Which sign-ins count: those that have not ended, of people who are as they were when they signed in. One that has ended
 * here is told to the other gateways and to control, and with the directory come those that have ended anywhere.
 */
import type { Clock } from '../../core/time.ts';
import {
  endedKey,
  findEnded,
  keepEnded,
  mostFarewell,
  signInLasts,
  type EndedSignIn,
} from '../../link/ended-sign-ins.ts';
import type { DirectoryUser } from '../../link/people.ts';
import type { DirectoryView } from '../people/directory-view.ts';
import { isOfPassword, passwordMark, type SignInToken } from './sign-in-token.ts';

export interface SignIns {
  /** The person, as long as their sign-in counts: what is asked anew of every request. */
  counts(token: SignInToken, key: Buffer): DirectoryUser | undefined;
  /** This one has ended before its time: somebody signed out. */
  end(token: SignInToken): void;
  /** All of this person's until now have, and for this reason. */
  endAll(pool: string, user: string, words: string): void;
  /** These have ended elsewhere. */
  know(ended: readonly EndedSignIn[]): void;
  /** What is told to who comes with one that was ended for a reason. */
  farewellTo(token: SignInToken): string | undefined;
}

export interface SignInsOptions {
  directory: Pick<DirectoryView, 'find' | 'now'>;
  clock: Pick<Clock, 'now'>;
  /** One has ended here. It is known here from now on, whatever becomes of this. */
  onEnded: (ended: EndedSignIn) => void;
}

export function createSignIns({ directory, clock, onEnded }: SignInsOptions): SignIns {
  /** Ours and the directory's, by `endedKey`: what has left the directory has ended all the same. */
  let known: ReadonlyMap<string, EndedSignIn> = new Map();
  /** What of the directory is among them. */
  let heard: readonly EndedSignIn[] | undefined;

  /** Of the people of one directory: they are others in the next. */
  const marks = new WeakMap<DirectoryUser, { key: Buffer; mark: string }>();

  function markOf(key: Buffer, person: DirectoryUser): string {
    let known = marks.get(person);
    if (known?.key.equals(key) !== true) {
      known = { key, mark: passwordMark(key, person) };
      marks.set(person, known);
    }
    return known.mark;
  }

  function know(ended: readonly EndedSignIn[]): void {
    const kept = keepEnded([...known.values(), ...ended], clock.now());
    known = new Map(kept.map((one) => [endedKey(one), one]));
  }

  function endOf(token: SignInToken): EndedSignIn | undefined {
    const told = directory.now()?.endedSignIns;
    if (told !== heard) {
      heard = told;
      know(told ?? []);
    }
    return findEnded(known, token);
  }

  function end(ended: EndedSignIn): void {
    know([ended]);
    onEnded(ended);
  }

  return {
    know,
    counts(token, key) {
      const isOver = token.expires <= clock.now() || endOf(token) !== undefined;
      const person = directory.find(token.pool, token.user);
      return !isOver && person !== undefined && isOfPassword(markOf(key, person), token) ? person : undefined;
    },
    end({ pool, user, id, issued, expires }) {
      end({ pool, user, id, issued, expires });
    },
    endAll(pool, user, words) {
      const now = clock.now();
      end({ pool, user, issued: now, expires: now + signInLasts, words: words.slice(0, mostFarewell) });
    },
    farewellTo: (token) => endOf(token)?.words,
  };
}
