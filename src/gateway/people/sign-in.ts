/**
 * Signs people in by what they show. Every protocol asks here, so that limits count over all of them; what is said of a
 * refusal is the same whatever its reason, and takes the same time.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { SessionProtocol } from '../../link/people.ts';
import { verifyPassword } from '../../identity/passwords.ts';
import type { GatewayObserver } from '../observer.ts';
import type { GatewayLog } from '../protocol.ts';
import type { AttemptLimit } from './attempt-limit.ts';
import type { DirectoryView } from './directory-view.ts';

/** Who tries, and from where to where. */
export interface Attempt {
  pool: string;
  user: string;
  address: string;
  protocol: SessionProtocol;
}

export interface SignIn {
  /** Whether this public key (`type base64`) may sign somebody in; that they have it is for the protocol to see. */
  knowsKey(attempt: Attempt, key: string): boolean;
  /** True where it is the password. Waits where too many attempts went before; false without a look when that is too long. */
  byPassword(attempt: Attempt, password: string, signal: AbortSignal): Promise<boolean>;
  /** To be told by the protocol: whoever showed the key has it. */
  signedIn(attempt: Attempt, how: string): void;
  /** To be told by the protocol: they did not. */
  failed(attempt: Attempt, how: string): void;
}

export interface SignInOptions {
  directory: Pick<DirectoryView, 'find'>;
  limit: AttemptLimit;
  log: GatewayLog;
  observer?: Pick<GatewayObserver, 'signInEnded'>;
  /** Passwords that are looked at at a time: each costs a third of a second of a core. */
  atOnce?: number;
  /** Attempts that may wait for their turn. */
  mostWaiting?: number;
}

export function createSignIn({ directory, limit, log, observer, atOnce = 2, mostWaiting = 64 }: SignInOptions): SignIn {
  let looking = 0;
  const waiting: (() => void)[] = [];

  /** One at a time for each of the places; undefined where too many wait already. */
  async function inTurn<T>(look: () => Promise<T>): Promise<T | undefined> {
    if (looking >= atOnce) {
      if (waiting.length >= mostWaiting) return undefined;
      await new Promise<void>((resolve) => waiting.push(resolve));
    }
    looking += 1;
    try {
      return await look();
    } finally {
      looking -= 1;
      waiting.shift()?.();
    }
  }

  const about = ({ pool, user, address, protocol }: Attempt, how: string) => ({ pool, user, address, protocol, how });

  function failed(attempt: Attempt, how: string): void {
    limit.failed(attempt.address, attempt.user);
    observer?.signInEnded(attempt.protocol, 'refused');
    log.info({ audit: 'refused', ...about(attempt, how) }, 'a sign-in was refused');
  }

  return {
    knowsKey: ({ pool, user }, key) => directory.find(pool, user)?.keys.includes(key) === true,
    async byPassword(attempt, password, signal) {
      const { pool, user, address } = attempt;
      const delay = limit.delay(address, user);
      if (delay > 0) await sleep(delay, undefined, { signal });
      const isRight = await inTurn(() => verifyPassword(password, directory.find(pool, user)?.passwordHash));
      if (isRight === true) return true;
      failed(attempt, isRight === undefined ? 'password, not looked at: too many attempts' : 'password');
      return false;
    },
    signedIn(attempt, how) {
      limit.succeeded(attempt.address, attempt.user);
      observer?.signInEnded(attempt.protocol, 'succeeded');
      log.info({ audit: 'signed in', ...about(attempt, how) }, 'somebody signed in');
    },
    failed,
  };
}
