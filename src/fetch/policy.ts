/** Which addresses downloads may reach. Pure. What is inside (this host, its networks) is refused unless it is listed. */
import { BlockList, isIP, isIPv6 } from 'node:net';

export interface FetchPolicy {
  /** URL prefix → folder: read from disk instead of the network. */
  mirrors: Readonly<Record<string, string>>;
  /** `HOST:PORT` of inner addresses that may be reached all the same. */
  fetchAllow: readonly string[];
  /** `HOST:PORT` that never may: our own API. */
  forbidden: readonly string[];
}

export type Verdict = { allowed: true } | { allowed: false; why: string };

const longestShown = 200;

// One list for each family: a list of both would look for an IPv4 address among the IPv6 networks too, as `::ffff:…`.
const inner4 = new BlockList();
const inner6 = new BlockList();
for (const [network, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['168.63.129.16', 32], // Azure's own, which answers instances only
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const) {
  inner4.addSubnet(network, bits, 'ipv4');
}
for (const [network, bits] of [
  // Only 2000::/3 is public: the rest holds loopback, local networks, and IPv4 written as IPv6 in several ways.
  ['::', 3],
  ['4000::', 2],
  ['8000::', 1],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const) {
  inner6.addSubnet(network, bits, 'ipv6');
}

/** The parts of a URL that can be checked before any name is looked up. */
export function checkUrl(text: string): { url: URL; host: string; port: number } | { why: string } {
  if (text.length > 4_096 || !URL.canParse(text)) return { why: 'it is not a URL' };
  const url = new URL(text);
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    return { why: `only http and https are fetched, not '${url.protocol.replace(':', '')}'` };
  if (url.username !== '' || url.password !== '') return { why: 'it holds a user name or password' };
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
  return { url, host: url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, ''), port };
}

/** Whether an address may be reached that a name was looked up to. `host` is the name as it stands in the URL. */
export function checkAddress(address: string, host: string, port: number, policy: FetchPolicy): Verdict {
  if (isIP(address) === 0) return { allowed: false, why: `'${address}' is not an address` };
  const plain = plainAddress(address);
  const named = (list: readonly string[]) => list.some((entry) => fits(entry, [plain, plainAddress(host)], port));
  if (
    named(policy.forbidden) ||
    (isThisHost(plain) && policy.forbidden.some((entry) => portOf(entry) === port && isThisHost(hostOf(entry))))
  ) {
    return { allowed: false, why: 'it is the control plane itself' };
  }
  if (named(policy.fetchAllow)) return { allowed: true };
  if (isIPv6(plain) ? inner6.check(plain, 'ipv6') : inner4.check(plain)) {
    return {
      allowed: false,
      why: `${plain} is an inner address. To allow it, add "${isIPv6(host) ? `[${host}]` : host}:${port}" to 'fetchAllow' in config.json`,
    };
  }
  return { allowed: true };
}

function hostOf(entry: string): string {
  return plainAddress(entry.slice(0, entry.lastIndexOf(':')).replace(/^\[|\]$/g, ''));
}

function portOf(entry: string): number {
  return Number(entry.slice(entry.lastIndexOf(':') + 1));
}

function fits(entry: string, names: readonly string[], port: number): boolean {
  return portOf(entry) === port && names.includes(hostOf(entry));
}

function isThisHost(address: string): boolean {
  return address.startsWith('127.') || address.startsWith('0.') || ['::1', '::', 'localhost'].includes(address);
}

/**
 * The one spelling of an address or a name: `0x7f.1` is `127.0.0.1`, `0:0::1` is `::1`, an IPv4 address that is written
 * as IPv6 (`::ffff:10.0.0.1`) is that address. The zone of an address (`fe80::1%eth0`) says nothing about where it is.
 */
function plainAddress(text: string): string {
  const name = text.replace(/%.*$/, '').toLowerCase();
  const url = `http://${isIPv6(name) ? `[${name}]` : name}/`;
  const plain = URL.canParse(url) ? new URL(url).hostname.replace(/^\[|\]$/g, '') : name;
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(plain);
  if (mapped === null) return plain;
  const [high, low] = [Number.parseInt(mapped[1] ?? '0', 16), Number.parseInt(mapped[2] ?? '0', 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

/** A URL for messages: without what may be secret in it. */
export function describeUrl(text: string): string {
  if (!URL.canParse(text)) return `'${text.slice(0, 80)}'`;
  const url = new URL(text);
  const plain = `${url.protocol}//${url.host}${url.pathname}`;
  return `'${plain.length > longestShown ? `${plain.slice(0, longestShown)}…` : plain}'`;
}

/** The same without its path, which holds a secret where somebody is told something: `'https://hooks.example.com/…'`. */
export function describeOrigin(text: string): string {
  return URL.canParse(text) ? `'${new URL(text).origin}/…'` : 'what is not a URL';
}

/** A limit for messages: `5 MB`. */
export function describeSize(bytes: number): string {
  return bytes >= 2 ** 20 ? `${Math.floor(bytes / 2 ** 20)} MB` : `${bytes} bytes`;
}
