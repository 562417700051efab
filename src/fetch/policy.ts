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

const inner = new BlockList();
for (const [network, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const) {
  inner.addSubnet(network, bits, 'ipv4');
}
for (const [network, bits] of [
  ['::', 96], // unspecified, loopback, and IPv4 written as IPv6
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
  ['100::', 64],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
  ['ff00::', 8],
] as const) {
  inner.addSubnet(network, bits, 'ipv6');
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
  const plain = unmapped(address);
  const named = (list: readonly string[]) => list.some((entry) => fits(entry, [plain, address, host], port));
  if (
    named(policy.forbidden) ||
    (isLoopback(plain) && policy.forbidden.some((entry) => entry.endsWith(`:${port}`) && isLoopback(hostOf(entry))))
  ) {
    return { allowed: false, why: 'it is the control plane itself' };
  }
  if (named(policy.fetchAllow)) return { allowed: true };
  if (inner.check(plain, isIPv6(plain) ? 'ipv6' : 'ipv4')) {
    return {
      allowed: false,
      why: `${plain} is an inner address. To allow it, add "${host}:${port}" to 'fetchAllow' in config.json`,
    };
  }
  return { allowed: true };
}

function hostOf(entry: string): string {
  return entry
    .slice(0, entry.lastIndexOf(':'))
    .replace(/^\[|\]$/g, '')
    .toLowerCase();
}

function fits(entry: string, names: readonly string[], port: number): boolean {
  return entry.endsWith(`:${port}`) && names.some((name) => name.toLowerCase() === hostOf(entry));
}

function isLoopback(address: string): boolean {
  return (
    address.startsWith('127.') ||
    address === '::1' ||
    address === '0.0.0.0' ||
    address === '::' ||
    address === 'localhost'
  );
}

/** An IPv4 address that is written as IPv6 (`::ffff:10.0.0.1`), as IPv4. */
function unmapped(address: string): string {
  const match = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/i.exec(address);
  if (match?.[1] !== undefined) return match[1];
  const hex = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/i.exec(address);
  if (hex === null) return address;
  const [high, low] = [Number.parseInt(hex[1] ?? '0', 16), Number.parseInt(hex[2] ?? '0', 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

/** A URL for messages: without what may be secret in it. */
export function describeUrl(text: string): string {
  if (!URL.canParse(text)) return `'${text.slice(0, 80)}'`;
  const url = new URL(text);
  return `'${url.protocol}//${url.host}${url.pathname}'`;
}
