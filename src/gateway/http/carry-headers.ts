/**
 * Headers on their way through: what belongs to one connection stays on it, what says who somebody is is said by us
 * alone, and a request that two programs could read differently is refused. Pure.
 */
import type { IncomingMessage } from 'node:http';
import { cookieForBrowser, cookiesForInstance, type Cookie } from './cookies.ts';

/** Name and value in turns, as Node's `rawHeaders`. */
type RawHeaders = readonly string[];
type Asked = Pick<IncomingMessage, 'rawHeaders' | 'method' | 'httpVersion'>;

const mostHeaders = 100;
const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
/** Of one connection (RFC 9110, section 7.6.1). */
const hopByHop = new Set(
  'connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade'.split(
    ' ',
  ),
);
/** Whoever says here who they are, or how they came, says it to us: the cookie decides, and we tell the instance. */
const ofIdentity =
  /^(forwarded|x[-_]forwarded[-_].*|x[-_]real[-_]ip|x[-_]scheme|x[-_]poolhouse.*|authorization|remote[-_]user|x[-_]remote[-_]user)$/;
/** With these an instance would speak for the whole address, beyond its person's pages. */
const overreaching = new Set([
  'strict-transport-security',
  'alt-svc',
  'service-worker-allowed',
  'public-key-pins',
  'expect-ct',
]);

function headerPairs(raw: RawHeaders): [name: string, value: string][] {
  const pairs: [string, string][] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) pairs.push([raw[at] ?? '', raw[at + 1] ?? '']);
  return pairs;
}

/** The status to refuse a request with; undefined where its form is beyond doubt. Node's strict parser has gone before. */
export function refuseForm(request: Asked): number | undefined {
  const pairs = headerPairs(request.rawHeaders);
  if (pairs.length > mostHeaders) return 431;
  if (!methods.has(request.method ?? '')) return 405;
  const all = (name: string) => pairs.filter(([one]) => one.toLowerCase() === name).map(([, value]) => value);
  const [hosts, lengths, codings] = [all('host'), all('content-length'), all('transfer-encoding')];
  if (hosts.length !== 1 || !/^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?$/.test(hosts[0] ?? '')) return 400;
  if (lengths.length > 1 || (lengths[0] !== undefined && !/^\d{1,15}$/.test(lengths[0]))) return 400;
  if (codings.length > 0) {
    if (lengths.length > 0 || codings.length > 1 || request.httpVersion !== '1.1') return 400;
    if (codings[0]?.toLowerCase() !== 'chunked') return 400;
  }
  if (pairs.some(([, value]) => /[\0\r\n]/.test(value))) return 400;
  return undefined;
}

export interface ForInstance {
  host: string;
  client: string;
  cookies: readonly Cookie[];
  /** Of the person: see `cookies.ts`. */
  mark: string;
  assertion?: string | undefined;
}

/** A request's headers as the instance gets them. */
export function headersForInstance(raw: RawHeaders, { host, client, cookies, mark, assertion }: ForInstance): string[] {
  const pairs = headerPairs(raw);
  const named = namedByConnection(pairs);
  const headers = ['Host', host];
  for (const [name, value] of pairs) {
    const lower = name.toLowerCase();
    if (lower === 'host' || lower === 'cookie' || lower === 'expect' || lower === 'content-length') continue;
    if (hopByHop.has(lower) || named.has(lower) || ofIdentity.test(lower)) continue;
    headers.push(name, value);
  }
  const kept = cookiesForInstance(cookies, mark);
  if (kept !== undefined) headers.push('Cookie', kept);
  headers.push('X-Forwarded-For', client, 'X-Forwarded-Proto', 'https', 'X-Forwarded-Host', host, 'X-Real-IP', client);
  if (assertion !== undefined) headers.push('X-Poolhouse-Assertion', assertion);
  return headers;
}

/** An answer's headers as the browser gets them. */
export function headersForBrowser(raw: RawHeaders, mark: string): string[] {
  const pairs = headerPairs(raw);
  const named = namedByConnection(pairs);
  const headers: string[] = [];
  for (const [name, value] of pairs) {
    const lower = name.toLowerCase();
    if (hopByHop.has(lower) || named.has(lower) || overreaching.has(lower) || lower.startsWith('x-poolhouse')) continue;
    if (lower !== 'set-cookie') headers.push(name, value);
    else {
      const kept = cookieForBrowser(value, mark);
      if (kept !== undefined) headers.push(name, kept);
    }
  }
  return headers;
}

/** What `Connection` names goes no further; a message cannot take its own length or host away so. */
function namedByConnection(pairs: readonly [string, string][]): Set<string> {
  const named = new Set(
    pairs.flatMap(([name, value]) =>
      name.toLowerCase() === 'connection' ? value.split(',').map((word) => word.trim().toLowerCase()) : [],
    ),
  );
  for (const name of ['content-length', 'content-type', 'set-cookie']) named.delete(name);
  return named;
}
