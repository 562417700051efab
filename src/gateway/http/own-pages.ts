/** The pages of our own beneath `/poolhouse/`: signing in and out, news, and the own account. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../../core/time.ts';
import { signInLasts } from '../../link/ended-sign-ins.ts';
import type { DirectoryView } from '../people/directory-view.ts';
import type { OwnAccounts } from '../people/own-account.ts';
import type { SignIn } from '../people/sign-in.ts';
import { createAccountPage } from './account-page.ts';
import { answer, leadTo, refuse } from './answer-page.ts';
import { cookieAttributes, formCookie, signInCookie } from './cookies.ts';
import { safeNext } from './judge-path.ts';
import { readOwnForm } from './own-form.ts';
import { signInPage, signOutPage, type SignInPage } from './pages.ts';
import { issueFormProof, issueToken, type SignInToken } from './sign-in-token.ts';
import type { NewsItem } from './visitors.ts';

export interface OwnRequest {
  request: IncomingMessage;
  response: ServerResponse;
  path: string;
  pool: string;
  client: string;
  key: Buffer;
  token: SignInToken | undefined;
  /** Why the sign-in that they had counts no more, where that is to be told. */
  farewell: string | undefined;
  /** What somebody who has signed in was told lately. */
  news: readonly NewsItem[];
  signal: AbortSignal;
}

export interface OwnPagesOptions {
  directory: DirectoryView;
  signIn: SignIn;
  ownAccounts: OwnAccounts;
  clock: Clock;
  /** The sign-in of this cookie counts no more. */
  ended: (token: SignInToken) => void;
  bodyLimitMs?: number;
}

const mostBody = 8_192;

export type OwnPages = (asked: OwnRequest) => Promise<void>;

export function createOwnPages(options: OwnPagesOptions): OwnPages {
  const { directory, signIn, clock, ended, bodyLimitMs = 10_000 } = options;
  const showAccount = createAccountPage({ ...options, bodyLimitMs });

  function showSignIn({ response, key }: OwnRequest, status: number, page: Omit<SignInPage, 'proof'>): void {
    const proof = issueFormProof(key);
    answer(response, status, signInPage({ ...page, proof }), [`${formCookie}=${proof}; ${cookieAttributes}`]);
  }

  async function take(asked: OwnRequest): Promise<void> {
    const { response, pool, client, key, signal } = asked;
    const read = await readOwnForm(asked, mostBody, bodyLimitMs);
    if (read === 'told') return;
    if (read === 'foreign') {
      showSignIn(asked, 403, { next: '/', wrong: 'The form was too old, or not ours. Try again.' });
      return;
    }
    const { form } = read;
    const [user, password] = [form.get('user')?.trim() ?? '', form.get('password') ?? ''];
    const next = safeNext(form.get('next'));
    const attempt = { pool, user: user.slice(0, 64), address: client, protocol: 'http' as const };
    const isRight = await signIn.byPassword(attempt, password, signal);
    const person = directory.find(pool, attempt.user);
    if (!isRight || person === undefined) {
      showSignIn(asked, 403, { next, user: attempt.user, wrong: 'The name or the password is not right.' });
      return;
    }
    signIn.signedIn(attempt, 'password');
    // What pages of somebody else have kept in this browser is not for the next one.
    if (asked.token !== undefined && asked.token.user !== person.name)
      response.setHeader('clear-site-data', '"storage"');
    const seconds = String(signInLasts / 1000);
    leadTo(response, next, [
      `${signInCookie}=${issueToken(key, pool, person, clock.now())}; Max-Age=${seconds}; ${cookieAttributes}`,
      `${formCookie}=; Max-Age=0; ${cookieAttributes}`,
    ]);
  }

  /** For pages of the instances, which ask every few seconds. */
  function tellNews({ response, token, farewell, news }: OwnRequest): void {
    const goodbye = farewell === undefined ? [] : [{ id: 'farewell', words: farewell, old: false }];
    const text = JSON.stringify({ news: [...news, ...goodbye] });
    response.writeHead(token === undefined ? 401 : 200, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'cross-origin-resource-policy': 'same-origin',
    });
    response.end(text);
  }

  function signOut({ response, token }: OwnRequest): void {
    if (token !== undefined) ended(token);
    const cookies = [signInCookie, formCookie].map((name) => `${name}=; Max-Age=0; ${cookieAttributes}`);
    response.setHeader('clear-site-data', '"storage"');
    leadTo(response, '/poolhouse/signin', cookies);
  }

  return async (asked) => {
    const { request, response, path, token, key } = asked;
    const isRead = request.method === 'GET' || request.method === 'HEAD';
    if (path === '/poolhouse/signin' && isRead) {
      const query = new URLSearchParams((request.url ?? '').split('?').slice(1).join('?'));
      const next = safeNext(query.get('next'));
      showSignIn(asked, 200, { next, ...(asked.farewell === undefined ? {} : { note: asked.farewell }) });
    } else if (path === '/poolhouse/news' && isRead) tellNews(asked);
    else if (path === '/poolhouse/signin' && request.method === 'POST') await take(asked);
    else if (path === '/poolhouse/signout' && isRead) {
      // A link on another site signs nobody out.
      if (token === undefined || ['same-origin', 'none'].includes(String(request.headers['sec-fetch-site'])))
        signOut(asked);
      else {
        const proof = issueFormProof(key);
        answer(response, 200, signOutPage(proof), [`${formCookie}=${proof}; ${cookieAttributes}`]);
      }
    } else if (path === '/poolhouse/signout' && request.method === 'POST') {
      const read = await readOwnForm(asked, mostBody, bodyLimitMs);
      if (read === 'told') return;
      if (read === 'foreign') refuse(response, 403, 'Not signed out', 'The form was too old, or not ours.');
      else signOut(asked);
    } else if (path === '/poolhouse/account' && (isRead || request.method === 'POST')) {
      if (token === undefined) leadTo(response, '/poolhouse/signin?next=%2Fpoolhouse%2Faccount');
      else await showAccount({ ...asked, token });
    } else refuse(response, 404, 'There is nothing here', 'The address may be mistyped.');
  };
}
