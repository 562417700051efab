/**
 * OpenSSH's certificates (PROTOCOL.certkeys): read, judged and made. Pure but for the nonce of a new one. What a stranger
 * shows becomes a `Certificate`, or a `PoolhouseError` with the code AuthenticationFailed, and never anything else.
 *
 * The order is: `parseCertificate`, then `verifyAuthority` (somebody we trust signed it), then `checkCertificate` (it is for
 * this, now). That its holder has the private key shows the signature of the sign-in, by `certificate.key`.
 */
import { randomBytes, type KeyObject } from 'node:crypto';
import { BlockList, isIP } from 'node:net';
import type { EpochMillis } from '../../core/time.ts';
import {
  encodePublicKey,
  keyTypes,
  printable,
  readKeyFields,
  readPublicKey,
  signBytes,
  verifySignature,
} from './ssh-keys.ts';
import { refusal, WireReader, wireString, wireUint32, wireUint64 } from './ssh-wire.ts';

const suffix = '-cert-v01@openssh.com';
const typeNumbers = { user: 1, host: 2 } as const;
/** OpenSSH's own limit. */
const mostPrincipals = 256;
const forever = 2n ** 64n - 1n;

export type CertificateType = keyof typeof typeNumbers;

export interface Certificate {
  /** Of the key inside, with the suffix: `ssh-ed25519-cert-v01@openssh.com`. */
  algorithm: string;
  type: CertificateType;
  serial: bigint;
  /** Free text of the authority, for the log. */
  keyId: string;
  /** Never empty in one that `checkCertificate` takes. */
  principals: readonly string[];
  validFrom: EpochMillis;
  /** Infinity for one without an end. Exclusive. */
  validTo: EpochMillis;
  criticalOptions: ReadonlyMap<string, string>;
  extensions: ReadonlySet<string>;
  /** The certified key, and its blob without the certificate. */
  key: KeyObject;
  keyBlob: Buffer;
  /** The blob of the key that signed. */
  authority: Buffer;
  signature: Buffer;
  /** All that is signed. */
  signed: Buffer;
}

export function isCertificateAlgorithm(algorithm: string): boolean {
  return algorithm.endsWith(suffix);
}

/** From its blob. Nothing is verified but the form. */
export function parseCertificate(blob: Buffer): Certificate {
  const reader = new WireReader(blob, 'the certificate');
  const algorithm = reader.text();
  const keyType = algorithm.slice(0, -suffix.length);
  if (!isCertificateAlgorithm(algorithm) || !keyTypes.includes(keyType))
    throw refusal(`Certificates of the type '${printable(algorithm)}' are not taken.`);
  reader.bytes(); // the nonce
  const fieldsFrom = reader.position;
  const key = readKeyFields(keyType, reader);
  const keyBlob = Buffer.concat([wireString(keyType), blob.subarray(fieldsFrom, reader.position)]);
  const serial = reader.uint64();
  const type = readType(reader.uint32());
  const keyId = reader.text();
  const principals = readPrincipals(reader.nested());
  const validFrom = Number(reader.uint64()) * 1000;
  const validTo = reader.uint64();
  const criticalOptions = readOptions(reader.nested());
  const extensions = readOptions(reader.nested());
  reader.bytes(); // reserved
  const authority = reader.bytes();
  const signed = blob.subarray(0, reader.position);
  const signature = reader.bytes();
  reader.end();
  return {
    algorithm,
    type,
    serial,
    keyId,
    principals,
    validFrom,
    validTo: validTo === forever ? Infinity : Number(validTo) * 1000,
    criticalOptions,
    extensions: new Set(extensions.keys()),
    key,
    keyBlob,
    authority,
    signature,
    signed,
  };
}

/** Refuses a certificate that none of these authorities (blobs of their public keys) signed. */
export function verifyAuthority(certificate: Certificate, trusted: readonly Buffer[]): void {
  if (!trusted.some((blob) => blob.equals(certificate.authority)))
    throw refusal('The certificate was signed by an authority that is not trusted here.');
  // A certificate is no authority: `readPublicKey` takes bare keys only.
  if (!verifySignature(readPublicKey(certificate.authority), certificate.signature, certificate.signed))
    throw refusal("The certificate does not have its authority's signature.");
}

export interface CertificateUse {
  type: CertificateType;
  /** A user's name, or a host's. */
  principal: string;
  now: EpochMillis;
  /** Where the user comes from. Without it a certificate with `source-address` is refused. */
  address?: string;
}

/** What a certificate allows to whoever showed it. */
export interface CertificateGrant {
  /** To be run whatever else was asked for. */
  forceCommand: string | undefined;
  extensions: ReadonlySet<string>;
}

/** Refuses a certificate that is not for this use. A critical option that is not known here refuses it too. */
export function checkCertificate(certificate: Certificate, use: CertificateUse): CertificateGrant {
  if (certificate.type !== use.type)
    throw refusal(`The certificate is for a ${certificate.type}, and was shown as one for a ${use.type}.`);
  if (use.now < certificate.validFrom) throw refusal('The certificate is not valid yet.');
  if (use.now >= certificate.validTo) throw refusal('The certificate has expired.');
  // OpenSSH took an empty list for everybody once; nobody should.
  if (!certificate.principals.includes(use.principal))
    throw refusal(`The certificate is not for '${printable(use.principal)}'.`);
  for (const [name, value] of certificate.criticalOptions) {
    if (name === 'force-command' && use.type === 'user') continue;
    if (name === 'source-address' && use.type === 'user') {
      if (!isWithin(use.address, value)) throw refusal('The certificate is not valid from this address.');
    } else throw refusal(`The certificate has the condition '${printable(name)}', which is not known here.`);
  }
  return { forceCommand: certificate.criticalOptions.get('force-command'), extensions: certificate.extensions };
}

/** What OpenSSH gives a user unless told otherwise. */
export const userExtensions = [
  'permit-X11-forwarding',
  'permit-agent-forwarding',
  'permit-port-forwarding',
  'permit-pty',
  'permit-user-rc',
] as const;

export interface CertificateRequest {
  type: CertificateType;
  /** Blob of the bare public key that is certified. */
  key: Buffer;
  serial: bigint;
  keyId: string;
  principals: readonly string[];
  validFrom: EpochMillis;
  validTo: EpochMillis;
  /** For users; a host's certificate has none. */
  extensions?: readonly (typeof userExtensions)[number][];
  /** For users. */
  forceCommand?: string;
  sourceAddresses?: readonly string[];
}

/** A new certificate's blob. `authority` is a private key: ed25519, ECDSA, or RSA (which signs with SHA-512). */
export function signCertificate(request: CertificateRequest, authority: KeyObject): Buffer {
  const { type, fields } = encodePublicKey(readPublicKey(request.key));
  const options: [string, string][] = [];
  if (request.forceCommand !== undefined) options.push(['force-command', request.forceCommand]);
  if (request.sourceAddresses !== undefined) options.push(['source-address', request.sourceAddresses.join(',')]);
  const extensions = (request.extensions ?? []).toSorted(); // both lists go by the order of their names
  const signed = Buffer.concat([
    wireString(`${type}${suffix}`),
    wireString(randomBytes(32)),
    fields,
    wireUint64(request.serial),
    wireUint32(typeNumbers[request.type]),
    wireString(request.keyId),
    wireString(...request.principals.map((principal) => wireString(principal))),
    wireUint64(BigInt(Math.floor(request.validFrom / 1000))),
    wireUint64(request.validTo === Infinity ? forever : BigInt(Math.floor(request.validTo / 1000))),
    wireString(...options.map(([name, value]) => Buffer.concat([wireString(name), wireString(wireString(value))]))),
    wireString(...extensions.map((name) => Buffer.concat([wireString(name), wireString('')]))),
    wireString(''),
    wireString(encodePublicKey(authority).blob),
  ]);
  return Buffer.concat([signed, wireString(signBytes(authority, signed))]);
}

/** As a line of a `*-cert.pub` file. */
export function formatCertificate(blob: Buffer, comment = ''): string {
  return `${new WireReader(blob, 'the certificate').text()} ${blob.toString('base64')} ${comment}`.trim();
}

function readType(value: number): CertificateType {
  if (value === typeNumbers.user) return 'user';
  if (value === typeNumbers.host) return 'host';
  throw refusal('The certificate is neither for a user nor for a host.');
}

function readPrincipals(reader: WireReader): string[] {
  const principals: string[] = [];
  while (!reader.atEnd) {
    if (principals.length === mostPrincipals) throw refusal('The certificate names too many principals.');
    principals.push(reader.text());
  }
  return principals;
}

/** Names with values; a value is a string in a string, or nothing at all. Each name once. */
function readOptions(reader: WireReader): Map<string, string> {
  const options = new Map<string, string>();
  while (!reader.atEnd) {
    const name = reader.text();
    const value = reader.nested();
    if (options.has(name)) throw refusal(`The certificate says '${printable(name)}' twice.`);
    options.set(name, value.atEnd ? '' : value.text());
    value.end();
  }
  return options;
}

/** Whether an address is of one of the networks in a list as OpenSSH writes it: `10.0.0.0/8,2001:db8::/32,192.0.2.7`. */
function isWithin(address: string | undefined, list: string): boolean {
  if (address === undefined) return false;
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, ''); // IPv4 on a socket of IPv6; the zone
  const version = isIP(plain);
  if (version === 0) return false;
  return list.split(',').some((entry) => {
    const [network = '', bits, ...rest] = entry.split('/');
    const most = isIP(network) === 4 ? 32 : 128;
    const prefix = bits === undefined ? most : /^\d{1,3}$/.test(bits) ? Number(bits) : -1;
    if (rest.length > 0 || network.includes('%') || isIP(network) !== version || prefix < 0 || prefix > most)
      return false;
    const networks = new BlockList();
    const family = version === 4 ? 'ipv4' : 'ipv6';
    networks.addSubnet(network, prefix, family);
    return networks.check(plain, family);
  });
}
