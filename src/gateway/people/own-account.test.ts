import { describe, expect, it } from 'vitest';
import type { SelfAnswer } from '../../link/people.ts';
import { createAttemptLimit } from './attempt-limit.ts';
import { createOwnAccounts } from './own-account.ts';

const who = { pool: '/pools/team', user: 'alice', address: '192.0.2.7', protocol: 'ssh' as const };
const guess = { for: 'password' as const, old: 'Wrong-Horse-7', new: 'New-Horse-77' };

function prepare(answer: () => { status: number; body: unknown }) {
  const asked: unknown[] = [];
  const limit = createAttemptLimit({ now: () => 0, sleep: () => Promise.resolve() });
  const client = {
    send: (method: string, path: string, { body }: { body?: unknown }) => {
      asked.push([method, path, body]);
      return Promise.resolve(answer());
    },
    close: () => undefined,
  };
  return { asked, limit, accounts: createOwnAccounts({ client, limit }) };
}
const { signal } = new AbortController();

describe('questions about an own account', () => {
  it('go to control, with who asks', async () => {
    const done: SelfAnswer = {
      outcome: 'done',
      message: 'This is it.',
      account: { user: 'alice', hasPassword: false, keys: [] },
    };
    const { asked, accounts } = prepare(() => ({ status: 200, body: done }));
    expect(await accounts.ask(who, { for: 'account' }, signal)).toEqual(done);
    const question = { pool: '/pools/team', user: 'alice', client: '192.0.2.7', protocol: 'ssh' };
    expect(asked).toEqual([['POST', '/v1/self', { ...question, asks: { for: 'account' } }]]);
  });

  it('count as attempts where the password was guessed', async () => {
    const { limit, accounts } = prepare(() => ({ status: 200, body: { outcome: 'wrong password', message: 'No.' } }));
    for (let count = 0; count < 3; count += 1) await accounts.ask(who, guess, signal);
    expect(limit.delay(who.address, who.user)).toBe(1_000);
  });

  it.each([
    ['answers something else', () => ({ status: 200, body: { outcome: 'maybe' } })],
    ['is busy', () => ({ status: 500, body: {} })],
    [
      'is away',
      () => {
        throw new Error('ECONNREFUSED');
      },
    ],
  ])('are refused in words while control %s', async (_, answer) => {
    const { accounts } = prepare(answer);
    expect(await accounts.ask(who, guess, signal)).toEqual({
      outcome: 'refused',
      message: 'Accounts cannot be asked at this moment. Try again in a minute.',
    });
  });
});
