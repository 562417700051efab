/**
 * What people ask about their own account and the machine that they keep, carried to control. Every protocol asks here, so
 * that guesses at the password until now count as attempts to sign in.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ZodType } from 'zod';
import {
  keepAnswerSchema,
  selfAnswerSchema,
  type KeepAnswer,
  type KeepQuestion,
  type SelfAnswer,
  type SelfQuestion,
} from '../../link/people.ts';
import type { LinkClient } from '../link-request.ts';
import type { AttemptLimit } from './attempt-limit.ts';
import type { Attempt } from './sign-in.ts';

export interface OwnAccounts {
  /** As `ask`, about the machine that they keep. */
  keep(who: Pick<Attempt, 'pool' | 'user'>, until: string | undefined, signal: AbortSignal): Promise<KeepAnswer>;
  /** Somebody who has signed in asks. Never rejects but with the signal's reason: what went wrong is a refusal in words. */
  ask(who: Attempt, asks: SelfQuestion['asks'], signal: AbortSignal): Promise<SelfAnswer>;
}

const questionLimit = 30_000;

export function createOwnAccounts({ client, limit }: { client: LinkClient; limit: AttemptLimit }): OwnAccounts {
  /** Undefined where control does not answer as it should. */
  async function post<T>(path: string, body: object, schema: ZodType<T>, signal: AbortSignal): Promise<T | undefined> {
    try {
      const answer = await client.send('POST', path, { body, limitMs: questionLimit, signal });
      return answer.status === 200 ? schema.parse(answer.body) : undefined;
    } catch {
      signal.throwIfAborted();
      return undefined;
    }
  }

  return {
    async keep({ pool, user }, until, signal) {
      const question: KeepQuestion = { pool, user, until };
      return (
        (await post('/v1/keep', question, keepAnswerSchema, signal)) ?? {
          outcome: 'refused',
          message: 'No machine can be kept at this moment. Try again in a minute.',
        }
      );
    },
    async ask({ pool, user, address, protocol }, asks, signal) {
      const isGuess = asks.for === 'password';
      const delay = isGuess ? limit.delay(address, user) : 0;
      if (delay > 0) await sleep(delay, undefined, { signal });
      const question: SelfQuestion = { pool, user, protocol, client: address, asks };
      const answer = (await post('/v1/self', question, selfAnswerSchema, signal)) ?? {
        outcome: 'refused',
        message: 'Accounts cannot be asked at this moment. Try again in a minute.',
      };
      if (answer.outcome === 'wrong password') limit.failed(address, user);
      return answer;
    },
  };
}
