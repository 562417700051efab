/**
 * The page of one's own account: password and public keys. Pages of the notebooks have the same origin and may be anybody's
 * work, so every change takes the password once more: what they can send by themselves changes nothing.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../core/time.ts';
import { signInLasts } from '../../link/ended-sign-ins.ts';
import { mostKeyText, type OwnAccount, type SelfAnswer, type SelfQuestion } from '../../link/people.ts';
import type { DirectoryView } from '../people/directory-view.ts';
import type { OwnAccounts } from '../people/own-account.ts';
import type { SignIn } from '../people/sign-in.ts';
import { answer, leadTo, refuse } from './answer-page.ts';
import { cookieAttributes, formCookie, signInCookie } from './cookies.ts';
import { readOwnForm, type FormRequest } from './own-form.ts';
import { accountPage } from './pages.ts';
import { issueFormProof, issueToken, type SignInToken } from './sign-in-token.ts';

export interface AccountRequest extends FormRequest {
  client: string;
  token: SignInToken;
  signal: AbortSignal;
}

export interface AccountPageOptions {
  directory: DirectoryView;
  ownAccounts: OwnAccounts;
  signIn: SignIn;
  clock: Clock;
  bodyLimitMs: number;
  /** How long a new password may take until the gateway knows it. */
  settleMs?: number;
}

const mostBody = mostKeyText + 4_096;

/** What of the form it takes, and what is asked of control then; undefined where that is nothing. */
function asksOf(form: URLSearchParams): SelfQuestion['asks'] | { wrong: string } | undefined {
  switch (form.get('do')) {
    case 'password': {
      const chosen = form.get('new') ?? '';
      if (chosen !== form.get('again'))
        return { wrong: 'The new password was not the same twice. Nothing was changed.' };
      return { for: 'password', old: form.get('password') ?? '', new: chosen };
    }
    case 'add':
      return { for: 'more keys', lines: form.get('keys') ?? '' };
    case 'remove':
      return { for: 'less keys', fingerprint: form.get('fingerprint') ?? '' };
    default:
      return undefined;
  }
}

export function createAccountPage(options: AccountPageOptions): (asked: AccountRequest) => Promise<void> {
  const { directory, ownAccounts, signIn, clock, bodyLimitMs, settleMs = 10_000 } = options;

  const attemptOf = ({ token, client }: AccountRequest) => ({
    ...{ pool: token.pool, user: token.user, address: client, protocol: 'http' as const },
  });

  function show({ response, key, token }: AccountRequest, status: number, account: OwnAccount, words: Words): void {
    const proof = issueFormProof(key);
    const html = accountPage({ proof, user: token.user, keys: account.keys, ...words });
    answer(response, status, html, [`${formCookie}=${proof}; ${cookieAttributes}`]);
  }

  async function showNow(asked: AccountRequest, status: number, words: Words): Promise<void> {
    const found = await ownAccounts.ask(attemptOf(asked), { for: 'account' }, asked.signal);
    if (found.outcome === 'done') show(asked, status, found.account, words);
    else refuse(asked.response, 403, 'Your account', found.message);
  }

  async function change(asked: AccountRequest, asks: SelfQuestion['asks'], password: string): Promise<SelfAnswer> {
    const attempt = attemptOf(asked);
    // Control looks at the password itself where a new one is to take its place.
    if (asks.for !== 'password' && !(await signIn.byPassword(attempt, password, asked.signal)))
      return { outcome: 'wrong password', message: 'That is not your password.' };
    return ownAccounts.ask(attempt, asks, asked.signal);
  }

  /** The sign-in ends with the password that it began with: a new one begins. Undefined where that cannot be awaited. */
  async function signInAgain({ key, token, signal }: AccountRequest, before: string | undefined) {
    for (const deadline = Date.now() + settleMs; Date.now() < deadline;) {
      const person = directory.find(token.pool, token.user);
      if (person !== undefined && person.passwordHash !== before) {
        const seconds = String(signInLasts / 1000);
        const text = issueToken(key, token.pool, person, clock.now());
        return `${signInCookie}=${text}; Max-Age=${seconds}; ${cookieAttributes}`;
      }
      await sleep(50, undefined, { signal });
    }
    return undefined;
  }

  return async (asked) => {
    const { request, response, token } = asked;
    if (request.method !== 'POST') {
      const isChanged = /[?&]changed=password\b/.test(request.url ?? '');
      await showNow(asked, 200, isChanged ? { note: 'Your password was changed. Other browsers sign in anew.' } : {});
      return;
    }
    const read = await readOwnForm(asked, mostBody, bodyLimitMs);
    if (read === 'told') return;
    if (read === 'foreign') {
      await showNow(asked, 403, { wrong: 'The form was too old, or not ours. Nothing was changed.' });
      return;
    }
    const asks = asksOf(read.form);
    if (asks === undefined) {
      refuse(response, 400, 'Nothing was changed', 'The form does not say what to do.');
      return;
    }
    if ('wrong' in asks) {
      await showNow(asked, 400, asks);
      return;
    }
    const before = directory.find(token.pool, token.user)?.passwordHash;
    const said = await change(asked, asks, read.form.get('password') ?? '');
    if (said.outcome !== 'done') await showNow(asked, 403, { wrong: said.message });
    else if (asks.for !== 'password') show(asked, 200, said.account, { note: said.message });
    else {
      const cookie = await signInAgain(asked, before);
      leadTo(response, '/poolhouse/account?changed=password', cookie === undefined ? [] : [cookie]);
    }
  };
}

type Words = Pick<Parameters<typeof accountPage>[0], 'note' | 'wrong'>;
