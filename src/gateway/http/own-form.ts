/** The forms of our own pages: read within limits, and taken only from whom we have shown them to. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { formCookie, onlyCookie, parseCookies } from './cookies.ts';
import { refuse } from './answer-page.ts';
import { isFormProof } from './sign-in-token.ts';

export interface FormRequest {
  request: IncomingMessage;
  response: ServerResponse;
  key: Buffer;
}

/** `told`: the client was answered already. `foreign`: another page than ours sent it, or ours has grown old. */
export type ReadForm = { form: URLSearchParams } | 'told' | 'foreign';

/** @param mostBytes of the whole form */
export async function readOwnForm(
  { request, response, key }: FormRequest,
  mostBytes: number,
  limitMs: number,
): Promise<ReadForm> {
  if (!/^application\/x-www-form-urlencoded\b/i.test(request.headers['content-type'] ?? '')) {
    refuse(response, 415, 'That is no form', 'Use the form of the page.');
    return 'told';
  }
  const body = await readBody(request, mostBytes, limitMs);
  if (body === undefined) {
    response.setHeader('connection', 'close'); // the rest is not read
    refuse(response, 413, 'That was too much', 'The form is larger than any that we have.');
    return 'told';
  }
  const form = new URLSearchParams(body);
  const inCookie = onlyCookie(parseCookies(request.headers.cookie), formCookie);
  return isOurs(request) && isFormProof(key, inCookie, form.get('proof')) ? { form } : 'foreign';
}

/** Sent by a page of this very address, as far as the browser says. */
export function isOurs({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
  const { origin, host } = headers;
  if (origin !== undefined) return origin.toLowerCase() === `https://${host ?? ''}`.toLowerCase();
  const site = headers['sec-fetch-site'];
  return site === undefined || site === 'same-origin' || site === 'none';
}

/** Undefined where it is larger than it may be, or does not come. */
async function readBody(request: IncomingMessage, mostBytes: number, limitMs: number): Promise<string | undefined> {
  const late = setTimeout(() => request.destroy(), limitMs);
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > mostBytes) return undefined;
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString('utf8');
  } finally {
    clearTimeout(late);
  }
}
