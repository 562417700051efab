/**
 * What people ask about their own account and the machine that they keep, carried to control. Every protocol asks here, so that guesses at the password
 * until now count as attempts to sign in.
 */
import { setTimeout as sleep } from 'node:timers/promises';
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
  async function send(question: SelfQuestion, signal: AbortSignal): Promise<SelfAnswer> {
    try {
      const { status, body } = await client.send('POST', '/v1/self', {
        body: question,
        limitMs: questionLimit,
        signal,
      });
      if (status === 200) return selfAnswerSchema.parse(body);
    } catch {
      signal.throwIfAborted();
    }
    return { outcome: 'refused', message: 'Accounts cannot be asked at this moment. Try again in a minute.' };
  }

  return {
    async keep({ pool, user }, until, signal) {
      try {
        const question: KeepQuestion = { pool, user, until };
        const { status, body } = await client.send('POST', '/v1/keep', {
          body: question,
          limitMs: questionLimit,
          signal,
        });
        if (status === 200) return keepAnswerSchema.parse(body);
      } catch {
        signal.throwIfAborted();
      }
      return { outcome: 'refused', message: 'No machine can be kept at this moment. Try again in a minute.' };
    },
    async ask({ pool, user, address, protocol }, asks, signal) {
      const isGuess = asks.for === 'password';
      const delay = isGuess ? limit.delay(address, user) : 0;
      if (delay > 0) await sleep(delay, undefined, { signal });
      const answer = await send({ pool, user, protocol, client: address, asks }, signal);
      if (answer.outcome === 'wrong password') limit.failed(address, user);
      return answer;
    },
  };
}
