/** Host keys as control keeps them (PKCS #8), in the forms that the SSH library reads, with the certificates they have. */
import { createPrivateKey, randomBytes, type KeyObject } from 'node:crypto';
import type { EpochMillis } from '../../core/time.ts';
import { parseCertificate } from './certificates.ts';
import { encodePublicKey } from './ssh-keys.ts';
import { wireString } from './ssh-wire.ts';

/** PEM that the library takes: PKCS #1 for RSA, SEC 1 for ECDSA, OpenSSH's own for ed25519. */
function hostKeyText(pem: string): string {
  const key = createPrivateKey(pem);
  if (key.asymmetricKeyType === 'rsa') return key.export({ type: 'pkcs1', format: 'pem' }) as string; // PEM is text
  if (key.asymmetricKeyType === 'ec') return key.export({ type: 'sec1', format: 'pem' }) as string;
  return openSshText(key);
}

/** A certificate of one of our host keys, as an operator's authority signed it. */
export interface HostCertificate {
  /** As in a `*-cert.pub` file. */
  line: string;
  /** Of the bare key that it is for. */
  keyBlob: Buffer;
  validTo: EpochMillis;
}

/**
 * The certificates among these lines that can be shown, one a key: the one that lasts longest. The others with why not.
 * Which names it is good for, and whether its authority is trusted, is for the client to say.
 */
export function readHostCertificates(
  hostKeys: readonly string[],
  lines: readonly string[],
  now: EpochMillis,
): { usable: HostCertificate[]; unusable: string[] } {
  const known = hostKeys.map((pem) => encodePublicKey(createPrivateKey(pem)).blob);
  const unusable: string[] = [];
  const found = lines.flatMap((line) => {
    const why = (reason: string): [] => {
      unusable.push(`${line.slice(0, 40)}…: ${reason}`);
      return [];
    };
    try {
      const { type, keyBlob, validTo } = parseCertificate(Buffer.from(line.split(' ')[1] ?? '', 'base64'));
      if (type !== 'host') return why('it is for a user; sign host keys with ssh-keygen -h');
      if (!known.some((blob) => blob.equals(keyBlob))) return why('it is for another host key');
      if (validTo <= now) return why('it has expired');
      return [{ line, keyBlob, validTo }];
    } catch (error) {
      return why(error instanceof Error ? error.message : 'it cannot be read');
    }
  });
  const usable = found
    .toSorted((a, b) => b.validTo - a.validTo)
    .filter(({ keyBlob }, index, all) => all.findIndex((one) => one.keyBlob.equals(keyBlob)) === index);
  return { usable, unusable };
}

/** What the library takes: each key with its certificate, where it has one. */
export function hostKeysFor(
  hostKeys: readonly string[],
  certificates: readonly HostCertificate[],
): { key: string; certificate?: string }[] {
  return hostKeys.map((pem) => {
    const { blob } = encodePublicKey(createPrivateKey(pem));
    const own = certificates.find(({ keyBlob }) => keyBlob.equals(blob));
    return { key: hostKeyText(pem), ...(own === undefined ? {} : { certificate: own.line }) };
  });
}

/** OpenSSH's PROTOCOL.key, without a passphrase: the only form for ed25519 that is read everywhere. */
export function openSshText(key: KeyObject): string {
  const { type, blob } = encodePublicKey(key);
  const { x = '', d = '' } = key.export({ format: 'jwk' });
  const [publicPart, privatePart] = [Buffer.from(x, 'base64url'), Buffer.from(d, 'base64url')];
  const check = randomBytes(4);
  const secret = Buffer.concat([
    check,
    check,
    wireString(type),
    wireString(publicPart),
    wireString(privatePart, publicPart),
    wireString(''),
  ]);
  const padding = Buffer.from(Array.from({ length: (8 - (secret.length % 8)) % 8 }, (_, index) => index + 1));
  const whole = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    wireString('none'),
    wireString('none'),
    wireString(''),
    Buffer.of(0, 0, 0, 1),
    wireString(blob),
    wireString(secret, padding),
  ]);
  const lines = whole.toString('base64').replace(/.{70}/g, '$&\n').trimEnd();
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines}\n-----END OPENSSH PRIVATE KEY-----\n`;
}
