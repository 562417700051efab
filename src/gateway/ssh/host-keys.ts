/** Host keys as control keeps them (PKCS #8), in the forms that the SSH library reads. */
import { createPrivateKey, randomBytes, type KeyObject } from 'node:crypto';
import { encodePublicKey } from './ssh-keys.ts';
import { wireString } from './ssh-wire.ts';

/** PEM that the library takes: PKCS #1 for RSA, SEC 1 for ECDSA, OpenSSH's own for ed25519. */
export function hostKeyText(pem: string): string {
  const key = createPrivateKey(pem);
  if (key.asymmetricKeyType === 'rsa') return key.export({ type: 'pkcs1', format: 'pem' }) as string; // PEM is text
  if (key.asymmetricKeyType === 'ec') return key.export({ type: 'sec1', format: 'pem' }) as string;
  return openSshText(key);
}

/** OpenSSH's PROTOCOL.key, without a passphrase: the only form for ed25519 that is read everywhere. */
function openSshText(key: KeyObject): string {
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
