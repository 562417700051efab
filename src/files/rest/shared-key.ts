/** Shared Key and Shared Key Lite: a request signed with one of the account's keys. Pure. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { EpochMillis } from '../../core/time.ts';
import type { RestQuery } from './read-target.ts';

export type HeaderValues = Readonly<Record<string, string | string[] | undefined>>;

export interface SignedRequest {
  method: string;
  account: string;
  rawPath: string;
  query: RestQuery;
  /** By name in lower case, as Node has them. */
  headers: HeaderValues;
}

const lineHeaders = ['content-encoding', 'content-language', 'content-length', 'content-md5', 'content-type', 'date', 'if-modified-since', 'if-match', 'if-none-match', 'if-unmodified-since', 'range']; // prettier-ignore
/** How far the client's clock may be from ours. */
const clockTolerance = 15 * 60_000;

/** @returns why it does not fit, in words; undefined where it does */
export function checkSharedKey(request: SignedRequest, keys: readonly string[], now: EpochMillis): string | undefined {
  const authorization = headerText(request.headers, 'authorization');
  const [, scheme = '', account = '', signature = ''] =
    /^(SharedKey|SharedKeyLite) ([a-z0-9]+):([A-Za-z0-9+/=]+)$/.exec(authorization) ?? [];
  if (signature === '') return 'the Authorization header is not of the form SharedKey ACCOUNT:SIGNATURE';
  if (account !== request.account) return 'the Authorization header names another account';
  const sentAt = Date.parse(headerText(request.headers, 'x-ms-date') || headerText(request.headers, 'date'));
  if (!(Math.abs(sentAt - now) <= clockTolerance))
    return 'the x-ms-date header is missing, or more than 15 minutes from the time here';
  const text = scheme === 'SharedKey' ? sharedKeyText(request) : sharedKeyLiteText(request);
  return keys.some((key) => signatureFits(key, text, signature))
    ? undefined
    : 'the signature is not one that a key of the account makes over this request';
}

function sharedKeyText(request: SignedRequest): string {
  const lines = lineHeaders.map((name) => lineOf(request.headers, name));
  const query = [...request.query]
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, values]) => `\n${name}:${values.toSorted().join(',')}`);
  return `${[request.method, ...lines].join('\n')}\n${canonicalHeaders(request.headers)}/${request.account}${request.rawPath}${query.join('')}`;
}

export function sharedKeyLiteText(request: SignedRequest): string {
  const lines = ['content-md5', 'content-type', 'date'].map((name) => lineOf(request.headers, name));
  const comp = request.query.get('comp')?.[0];
  return `${[request.method, ...lines].join('\n')}\n${canonicalHeaders(request.headers)}/${request.account}${request.rawPath}${comp === undefined ? '' : `?comp=${comp}`}`;
}

function lineOf(headers: HeaderValues, name: string): string {
  const value = headerText(headers, name);
  if (name === 'content-length' && value === '0') return '';
  return name === 'date' && headerText(headers, 'x-ms-date') !== '' ? '' : value;
}

function canonicalHeaders(headers: HeaderValues): string {
  return Object.keys(headers)
    .filter((name) => name.startsWith('x-ms-'))
    .toSorted()
    .map((name) => `${name}:${headerText(headers, name).trim()}\n`)
    .join('');
}

/** Node has the bytes of headers as so many characters; they are UTF-8. */
export function headerText(headers: HeaderValues, name: string): string {
  const value = headers[name];
  const text = Array.isArray(value) ? value.join(',') : (value ?? '');
  return Buffer.from(text, 'latin1').toString('utf8');
}

/** In the same time whatever the signature is. */
export function signatureFits(key: string, text: string, signature: string): boolean {
  const wanted = createHmac('sha256', Buffer.from(key, 'base64')).update(text, 'utf8').digest();
  const given = Buffer.from(signature, 'base64');
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}
