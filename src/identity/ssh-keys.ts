/**
 * Public keys as OpenSSH writes them: `TYPE BASE64 [COMMENT]`. Pure. Keys are read here once, when they are given: what
 * signs in is compared byte by byte with what was kept.
 */
import { createHash, ECDH } from 'node:crypto';
import { PoolhouseError } from '../core/errors.ts';

export interface SshKey {
  type: string;
  /** The key in OpenSSH's binary form. */
  blob: Buffer;
  comment: string;
  /** `SHA256:…`, as `ssh-keygen -l` prints it. */
  fingerprint: string;
  /** The line to keep: one space between its parts, none around them. */
  line: string;
}

const fewestRsaBits = 2_048;
const mostRsaBits = 16_384;
const mostCharacters = 8_192;

/** The fields after the type, by type; each reader throws what is wrong with its key. */
const readers: Readonly<Record<string, (fields: Fields) => void>> = {
  'ssh-ed25519': (fields) => {
    expectLength(fields.next(), 32);
  },
  'ecdsa-sha2-nistp256': (fields) => {
    readPoint(fields, 'nistp256', 'prime256v1');
  },
  'ecdsa-sha2-nistp384': (fields) => {
    readPoint(fields, 'nistp384', 'secp384r1');
  },
  'ecdsa-sha2-nistp521': (fields) => {
    readPoint(fields, 'nistp521', 'secp521r1');
  },
  'ssh-rsa': readRsa,
  'sk-ssh-ed25519@openssh.com': (fields) => {
    expectLength(fields.next(), 32);
    fields.next(); // the application, `ssh:` usually
  },
  'sk-ecdsa-sha2-nistp256@openssh.com': (fields) => {
    readPoint(fields, 'nistp256', 'prime256v1');
    fields.next();
  },
};
const known = Object.keys(readers).join(', ');

/** Reads one line, or says with `InvalidParameter` what is wrong with it. Never with what could be a private key. */
export function parseSshKey(text: string): SshKey {
  const line = text.trim();
  if (line.includes('PRIVATE KEY'))
    throw refuse(
      `That is a private key, which nobody else should ever see. Give the public one: the file that ends in '.pub'.`,
    );
  if (line === '' || line.length > mostCharacters || /[\p{Cc}]/u.test(line.replaceAll('\t', ' ')))
    throw refuse(`A public key is one line such as 'ssh-ed25519 AAAA… alice@laptop'.`);
  const [type = '', encoded = '', ...comment] = line.split(/[ \t]+/);
  const read = Object.hasOwn(readers, type) ? readers[type] : undefined;
  if (read === undefined) throw refuse(whyUnknown(type, line));
  const blob = Buffer.from(encoded, 'base64');
  // Node's reader of base64 takes anything: what it gives back must be what was given.
  if (blob.length === 0 || unpadded(blob.toString('base64')) !== unpadded(encoded))
    throw refuse(`The ${type} key is damaged: its second word is not base64.`);
  const fields = fieldsOf(blob);
  try {
    if (fields.next().toString('latin1') !== type) throw new Error('it is of another type than its line says');
    read(fields);
    fields.end();
  } catch (error) {
    throw refuse(`The ${type} key cannot be used: ${error instanceof Error ? error.message : 'it is damaged'}.`);
  }
  return {
    type,
    blob,
    comment: comment.join(' '),
    fingerprint: `SHA256:${unpadded(createHash('sha256').update(blob).digest('base64'))}`,
    line: [type, blob.toString('base64'), ...comment].join(' '),
  };
}

/** The keys of a text with a line each, as `~/.ssh/authorized_keys` and `https://github.com/NAME.keys` have them. */
export function parseSshKeys(text: string): SshKey[] {
  const whole = text.includes('PRIVATE KEY') ? [text] : text.split('\n');
  return whole.filter((line) => !/^\s*(#.*)?$/.test(line)).map(parseSshKey);
}

function whyUnknown(type: string, line: string): string {
  const shown = type.slice(0, 40);
  if (type === 'ssh-dss')
    return 'DSA keys are not safe any more, and no ssh takes them. Make another: ssh-keygen -t ed25519';
  if (type.includes('-cert-v0')) return `'${shown}' is a certificate. Give the public key that it was made for.`;
  if (Object.keys(readers).some((one) => line.includes(`${one} `)))
    return `The key has options before it (its line begins with '${shown}'). They are not known here: give the key alone.`;
  return `'${shown}' is no kind of public key that is taken. Taken are: ${known}.`;
}

function refuse(why: string): PoolhouseError {
  return new PoolhouseError('InvalidParameter', why, { target: 'properties.sshKeys' });
}

interface Fields {
  next(): Buffer;
  /** Throws where something is left. */
  end(): void;
}

/** RFC 4251, section 5: each field is its length in four bytes, and that many bytes. */
function fieldsOf(blob: Buffer): Fields {
  let at = 0;
  return {
    next() {
      const length = at + 4 <= blob.length ? blob.readUInt32BE(at) : Number.POSITIVE_INFINITY;
      const start = at + 4;
      if (start + length > blob.length) throw new Error('it is cut off');
      at = start + length;
      return blob.subarray(start, at);
    },
    end() {
      if (at !== blob.length) throw new Error('something stands behind its end');
    },
  };
}

function expectLength(field: Buffer, length: number): void {
  if (field.length !== length) throw new Error('it has not the length that its kind has');
}

function readPoint(fields: Fields, name: string, curve: string): void {
  if (fields.next().toString('latin1') !== name) throw new Error('it is on another curve than its line says');
  const point = fields.next();
  if (point[0] !== 4) throw new Error('its point is written in a form that ssh does not use');
  try {
    ECDH.convertKey(point, curve);
  } catch {
    throw new Error('its point is not on the curve');
  }
}

function readRsa(fields: Fields): void {
  const exponent = fields.next();
  const modulus = fields.next();
  const bits = bitsOf(modulus);
  if (bits < fewestRsaBits)
    throw new Error(
      `it has ${bits} bits, and fewer than ${fewestRsaBits} are not safe. Make another: ssh-keygen -t ed25519`,
    );
  if (bits > mostRsaBits) throw new Error(`it has ${bits} bits, and more than ${mostRsaBits} serve nobody`);
  const isEven = ((exponent.at(-1) ?? 0) & 1) === 0 || ((modulus.at(-1) ?? 0) & 1) === 0;
  if (isEven || bitsOf(exponent) < 2 || bitsOf(exponent) > 64) throw new Error('its numbers are none of an RSA key');
}

/** How many bits a positive number has; 0 for a negative one, which RFC 4251 writes with its first bit set. */
function bitsOf(number: Buffer): number {
  if (((number[0] ?? 0) & 0x80) !== 0) return 0;
  const first = number.findIndex((byte) => byte !== 0);
  if (first < 0) return 0;
  return (number.length - first - 1) * 8 + (32 - Math.clz32(number[first] ?? 0));
}

const unpadded = (text: string) => text.replace(/=+$/, '');
