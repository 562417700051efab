/** What a JupyterHub takes for a sign-in: signed for one machine and one person, good for half a minute, and once. */
import { createPrivateKey, randomBytes } from 'node:crypto';
import { SignJWT } from 'jose';
import type { EpochMillis } from '../../core/time.ts';

const lasts = 30;

/** `key`: Ed25519, PKCS #8 PEM. */
export function signAssertion(key: string, instance: string, user: string, now: EpochMillis): Promise<string> {
  // Fractions of a second: the machine tells by them what was signed before it began.
  const issued = now / 1000;
  return new SignJWT({})
    .setProtectedHeader({ alg: 'EdDSA' })
    .setAudience(instance)
    .setSubject(user)
    .setIssuedAt(issued)
    .setExpirationTime(Math.ceil(issued + lasts))
    .setJti(randomBytes(18).toString('base64url'))
    .sign(createPrivateKey(key));
}
