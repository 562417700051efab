/** Signing in and out: the pages of our own beneath `/poolhouse/`. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../../core/time.ts';
import type { DirectoryView } from '../people/directory-view.ts';
import type { SignIn } from '../people/sign-in.ts';
import { formCookie, onlyCookie, parseCookies, signInCookie } from './cookies.ts';
import { safeNext } from './judge-path.ts';
import { messagePage, pageHeaders, signInPage, signOutPage, type SignInPage } from './pages.ts';
import { isFormProof, issueFormProof, issueToken, signInLasts, type SignInToken } from './sign-in-token.ts';
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
  clock: Clock;
  /** The sign-in of this cookie counts no more. */
  ended: (token: SignInToken) => void;
  bodyLimitMs?: number;
}

const mostBody = 8_192;
const attributes = 'Path=/; Secure; HttpOnly; SameSite=Lax';

export type OwnPages = (asked: OwnRequest) => Promise<void>;

export function createOwnPages({ directory, signIn, clock, ended, bodyLimitMs = 10_000 }: OwnPagesOptions): OwnPages {
  function showSignIn({ response, key }: OwnRequest, status: number, page: Omit<SignInPage, 'proof'>): void {
    const proof = issueFormProof(key);
    answer(response, status, signInPage({ ...page, proof }), [`${formCookie}=${proof}; ${attributes}`]);
  }

  /** The fields of a form that one of our own pages has sent; undefined where it was another's, and was told so. */
  async function ownForm(asked: OwnRequest): Promise<URLSearchParams | undefined> {
    const { request, response, key } = asked;
    const body = await readBody(request, bodyLimitMs);
    if (body === undefined) {
      response.setHeader('connection', 'close'); // the rest is not read
      refuse(response, 413, 'That was too much', 'The form is larger than any that we have.');
      return undefined;
    }
    const form = new URLSearchParams(body);
    const inCookie = onlyCookie(parseCookies(request.headers.cookie), formCookie);
    if (isOurs(request) && isFormProof(key, inCookie, form.get('proof'))) return form;
    return undefined;
  }

  async function take(asked: OwnRequest): Promise<void> {
    const { request, response, pool, client, key, signal } = asked;
    if (!/^application\/x-www-form-urlencoded\b/i.test(request.headers['content-type'] ?? '')) {
      refuse(response, 415, 'That is no form', 'Sign in with the form.');
      return;
    }
    const form = await ownForm(asked);
    if (response.writableEnded) return;
    if (form === undefined) {
      showSignIn(asked, 403, { next: '/', wrong: 'The form was too old, or not ours. Try again.' });
      return;
    }
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
    response.writeHead(303, {
      location: next,
      'cache-control': 'no-store',
      'content-length': 0,
      'set-cookie': [
        `${signInCookie}=${issueToken(key, pool, person, clock.now())}; Max-Age=${seconds}; ${attributes}`,
        `${formCookie}=; Max-Age=0; ${attributes}`,
      ],
    });
    response.end();
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
    const cookies = [signInCookie, formCookie].map((name) => `${name}=; Max-Age=0; ${attributes}`);
    response.writeHead(303, {
      location: '/poolhouse/signin',
      'cache-control': 'no-store',
      'clear-site-data': '"storage"',
      'content-length': 0,
      'set-cookie': cookies,
    });
    response.end();
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
        answer(response, 200, signOutPage(proof), [`${formCookie}=${proof}; ${attributes}`]);
      }
    } else if (path === '/poolhouse/signout' && request.method === 'POST') {
      const form = await ownForm(asked);
      if (response.writableEnded) return;
      if (form === undefined) refuse(response, 403, 'Not signed out', 'The form was too old, or not ours.');
      else signOut(asked);
    } else refuse(response, 404, 'There is nothing here', 'The address may be mistyped.');
  };
}

/** Sent by a page of this very address, as far as the browser says. */
export function isOurs({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
  const { origin, host } = headers;
  if (origin !== undefined) return origin.toLowerCase() === `https://${host ?? ''}`.toLowerCase();
  const site = headers['sec-fetch-site'];
  return site === undefined || site === 'same-origin' || site === 'none';
}

export function answer(response: ServerResponse, status: number, html: string, cookies: readonly string[] = []): void {
  response.writeHead(status, {
    ...pageHeaders,
    'content-length': Buffer.byteLength(html),
    ...(cookies.length === 0 ? {} : { 'set-cookie': [...cookies] }),
  });
  response.end(html);
}

export function refuse(response: ServerResponse, status: number, title: string, words: string): void {
  answer(response, status, messagePage(title, words));
}

/** Undefined where it is larger than any form of ours, or does not come. */
async function readBody(request: IncomingMessage, limitMs: number): Promise<string | undefined> {
  const late = setTimeout(() => request.destroy(), limitMs);
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > mostBody) return undefined;
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString('utf8');
  } finally {
    clearTimeout(late);
  }
}
