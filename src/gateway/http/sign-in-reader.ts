/**
 * Reads sign-ins from cookies, and remembers those that it has verified: a browser shows the same one with each request, and
 * verifying costs more than all else that is asked of a request.
 */
import type { EpochMillis } from '../../core/time.ts';
import type { WebIdentity } from '../../link/people.ts';
import { readToken, seal, type SignInToken } from './sign-in-token.ts';

export interface ReadSignIn {
  token: SignInToken;
  /** Of the person in this pool: names their cookies. */
  mark: string;
}

export interface SignInReader {
  /** What the cookie holds, where it is ours, for this pool and not over; whether it still counts is asked beside it. */
  read(identity: WebIdentity, pool: string, cookie: string | undefined, now: EpochMillis): ReadSignIn | undefined;
  /** What everything here is sealed with. */
  keyOf(identity: WebIdentity): Buffer;
}

export function createSignInReader(mostVerified = 10_000): SignInReader {
  let cookieKey = '';
  let key = Buffer.alloc(0);
  /** By cookie, the oldest first. */
  const verified = new Map<string, ReadSignIn>();

  function keyOf(identity: WebIdentity): Buffer {
    if (identity.cookieKey !== cookieKey) {
      verified.clear();
      ({ cookieKey } = identity);
      key = Buffer.from(cookieKey, 'base64');
    }
    return key;
  }

  function verify(pool: string, cookie: string, now: EpochMillis): ReadSignIn | undefined {
    const token = readToken(key, pool, cookie, now);
    if (token === undefined) return undefined;
    const read = { token, mark: seal(key, 'cookies of', `${pool}\0${token.user}`).slice(0, 16) };
    verified.set(cookie, read);
    for (const oldest of verified.keys()) {
      if (verified.size <= mostVerified) break;
      verified.delete(oldest);
    }
    return read;
  }

  return {
    keyOf,
    read(identity, pool, cookie, now) {
      if (cookie === undefined) return undefined;
      keyOf(identity);
      const known = verified.get(cookie);
      if (known === undefined) return verify(pool, cookie, now);
      return known.token.pool === pool && known.token.expires > now ? known : undefined;
    },
  };
}
