/**
 * Public keys and signatures as SSH writes them, for `node:crypto`: ed25519 (RFC 8709), ECDSA (RFC 5656) and RSA with SHA-2
 * (RFC 8332). SHA-1, DSA and RSA below 2,048 bits are refused.
 */
import { createPublicKey, sign, verify, type JsonWebKey, type KeyObject } from 'node:crypto';
import { PoolhouseError } from '../../core/errors.ts';
import { refusal, WireReader, wireInteger, wireString } from './ssh-wire.ts';

interface Curve {
  name: string;
  jwk: string;
  hash: string;
  /** Bytes of a coordinate. */
  size: number;
}
const curves: readonly Curve[] = [
  { name: 'nistp256', jwk: 'P-256', hash: 'sha256', size: 32 },
  { name: 'nistp384', jwk: 'P-384', hash: 'sha384', size: 48 },
  { name: 'nistp521', jwk: 'P-521', hash: 'sha512', size: 66 },
];
const rsaHashes: Readonly<Record<string, string>> = { 'rsa-sha2-256': 'sha256', 'rsa-sha2-512': 'sha512' };
const rsaBytes = { least: 256, most: 2048 };

/** The types of keys that are read here. */
export const keyTypes = ['ssh-ed25519', 'ssh-rsa', ...curves.map(({ name }) => `ecdsa-sha2-${name}`)];

/** The fields of a key of this type, as they stand in its blob after the type, and in a certificate after the nonce. */
export function readKeyFields(type: string, reader: WireReader): KeyObject {
  if (type === 'ssh-ed25519') {
    const key = reader.bytes();
    return importKey({ kty: 'OKP', crv: 'Ed25519', x: base64url(key) }, type);
  }
  if (type === 'ssh-rsa') {
    const exponent = reader.integer();
    const modulus = reader.integer();
    if (modulus.length < rsaBytes.least || modulus.length > rsaBytes.most || exponent.length > 8)
      throw refusal('An RSA key must have between 2,048 and 16,384 bits, and an ordinary exponent.');
    return importKey({ kty: 'RSA', e: base64url(exponent), n: base64url(modulus) }, type);
  }
  const curve = curves.find(({ name }) => type === `ecdsa-sha2-${name}`);
  if (curve === undefined) throw refusal(`Keys of the type '${printable(type)}' are not taken.`);
  if (reader.text() !== curve.name) throw refusal('An ECDSA key is not on the curve that its type names.');
  const point = reader.bytes();
  if (point[0] !== 4 || point.length !== 1 + 2 * curve.size)
    throw refusal('The point of an ECDSA key is not in the form that SSH asks for.');
  const [x, y] = [point.subarray(1, 1 + curve.size), point.subarray(1 + curve.size)];
  return importKey({ kty: 'EC', crv: curve.jwk, x: base64url(x), y: base64url(y) }, type);
}

/** From the blob of a bare public key: what `getPublicSSH` gives and a line of `authorized_keys` holds in base64. */
export function readPublicKey(blob: Buffer): KeyObject {
  const reader = new WireReader(blob, 'the public key');
  const key = readKeyFields(reader.text(), reader);
  reader.end();
  return key;
}

/** The type and the fields of a key, public or private, as SSH writes its public part. */
export function encodePublicKey(key: KeyObject): { type: string; fields: Buffer; blob: Buffer } {
  const jwk = (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'jwk' });
  const { type, fields } = encodeJwk(jwk);
  return { type, fields, blob: Buffer.concat([wireString(type), fields]) };
}

function encodeJwk(jwk: JsonWebKey): { type: string; fields: Buffer } {
  const member = (name: 'x' | 'y' | 'n' | 'e') => Buffer.from(jwk[name] ?? '', 'base64url');
  const curve = curves.find((known) => known.jwk === jwk.crv);
  if (jwk.crv === 'Ed25519') return { type: 'ssh-ed25519', fields: wireString(member('x')) };
  if (jwk.kty === 'RSA')
    return { type: 'ssh-rsa', fields: Buffer.concat([wireInteger(member('e')), wireInteger(member('n'))]) };
  if (curve === undefined) throw refusal('Only ed25519, ECDSA and RSA keys have a form in SSH.');
  const point = wireString(Buffer.of(4), member('x'), member('y'));
  return { type: `ecdsa-sha2-${curve.name}`, fields: Buffer.concat([wireString(curve.name), point]) };
}

/**
 * Whether `signature` (a string with the algorithm's name, one with the signature itself) is `key`'s for `signed`. Throws
 * a refusal where it has no such form; false where it is another's.
 */
export function verifySignature(key: KeyObject, signature: Buffer, signed: Buffer): boolean {
  const reader = new WireReader(signature, 'the signature');
  const algorithm = reader.text();
  const value = reader.bytes();
  reader.end();
  const { type } = encodePublicKey(key);
  const hash = rsaHashes[algorithm];
  if (type === 'ssh-rsa' ? hash === undefined : algorithm !== type)
    throw refusal(`A signature by '${printable(algorithm)}' is not taken of a key of the type '${type}'.`);
  try {
    if (type === 'ssh-ed25519') return verify(null, signed, key, value);
    if (hash !== undefined) {
      const size = Math.ceil((key.asymmetricKeyDetails?.modulusLength ?? 0) / 8);
      return value.length <= size && verify(hash, signed, key, padTo(size, value)); // zeros may be left out
    }
    const curve = curves.find(({ name }) => type === `ecdsa-sha2-${name}`);
    const numbers = new WireReader(value, 'the signature');
    const [r, s] = [numbers.integer(), numbers.integer()];
    numbers.end();
    if (curve === undefined || r.length > curve.size || s.length > curve.size) return false;
    const padded = Buffer.concat([padTo(curve.size, r), padTo(curve.size, s)]);
    return verify(curve.hash, signed, { key, dsaEncoding: 'ieee-p1363' }, padded);
  } catch (error) {
    if (error instanceof PoolhouseError) throw error;
    throw refusal('A signature could not be verified.', error); // OpenSSL does not take every key that it reads
  }
}

/** A signature as SSH writes it; RSA with SHA-512. */
export function signBytes(key: KeyObject, signed: Buffer): Buffer {
  const { type } = encodePublicKey(key);
  if (type === 'ssh-ed25519') return Buffer.concat([wireString(type), wireString(sign(null, signed, key))]);
  if (type === 'ssh-rsa') return Buffer.concat([wireString('rsa-sha2-512'), wireString(sign('sha512', signed, key))]);
  const curve = curves.find(({ name }) => type === `ecdsa-sha2-${name}`);
  const value = sign(curve?.hash, signed, { key, dsaEncoding: 'ieee-p1363' });
  const [r, s] = [value.subarray(0, value.length / 2), value.subarray(value.length / 2)];
  return Buffer.concat([wireString(type), wireString(wireInteger(r), wireInteger(s))]);
}

/** What a stranger wrote, so that a line of a log shows it. */
export function printable(text: string): string {
  return text.slice(0, 64).replace(/[^\x21-\x7e]/g, '?');
}

function padTo(size: number, number: Buffer): Buffer {
  return Buffer.concat([Buffer.alloc(size - number.length), number]);
}

function importKey(jwk: JsonWebKey, type: string): KeyObject {
  try {
    return createPublicKey({ key: jwk, format: 'jwk' });
  } catch (error) {
    throw refusal(`A key of the type '${type}' is not one.`, error);
  }
}

function base64url(bytes: Buffer): string {
  return bytes.toString('base64url');
}
