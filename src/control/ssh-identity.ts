/**
 * The keys that SSH knows this installation by: host keys of the one address that people see, which never change, and the
 * authority that signs what opens a user's session on an instance. Made once, kept sealed.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { InstallationSecret } from '../secrets/secrets.ts';

export interface SshIdentity {
  /** Private keys, PKCS #8 PEM, best first. */
  hostKeys: readonly string[];
  /** Private key, PKCS #8 PEM. */
  userAuthority: string;
  /** For sshd's `TrustedUserCAKeys`: `ssh-ed25519 BASE64`. */
  userAuthorityLine: string;
}

export interface KeptSecrets {
  read(name: InstallationSecret): Promise<string | undefined>;
  write(name: InstallationSecret, value: string): Promise<void>;
}

/** Several kinds, for clients that know only an older one. */
const hostKeys = {
  'ssh-host-ed25519': () => generateKeyPairSync('ed25519').privateKey,
  'ssh-host-ecdsa': () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
  'ssh-host-rsa': () => generateKeyPairSync('rsa', { modulusLength: 3072 }).privateKey,
} as const;

/** The keys there are, made where they are missing. */
export async function ensureSshIdentity(kept: KeptSecrets): Promise<SshIdentity> {
  async function ensure(name: InstallationSecret, make: () => KeyObject): Promise<string> {
    const known = await kept.read(name);
    if (known !== undefined) return known;
    const made = make().export({ type: 'pkcs8', format: 'pem' }) as string; // PEM is text
    await kept.write(name, made);
    return made;
  }
  const made: string[] = [];
  for (const [name, make] of Object.entries(hostKeys)) made.push(await ensure(name as keyof typeof hostKeys, make));
  const userAuthority = await ensure('ssh-user-authority', () => generateKeyPairSync('ed25519').privateKey);
  return { hostKeys: made, userAuthority, userAuthorityLine: lineOf(userAuthority) };
}

/** The host keys as lines of OpenSSH's, to be signed by an authority or to be known beforehand. */
export function publicHostKeys({ hostKeys }: Pick<SshIdentity, 'hostKeys'>): string[] {
  return hostKeys.map(lineOf);
}

/** A key of ours as a line of OpenSSH's (RFC 4253, 6.6; RFC 5656, 3.1; RFC 8709, 4). */
function lineOf(privateKey: string): string {
  const jwk = createPublicKey(createPrivateKey(privateKey)).export({ format: 'jwk' });
  const member = (name: 'x' | 'y' | 'n' | 'e') => Buffer.from(jwk[name] ?? '', 'base64url');
  const [type, ...fields] =
    jwk.kty === 'RSA'
      ? ['ssh-rsa', positive(member('e')), positive(member('n'))]
      : jwk.kty === 'EC'
        ? ['ecdsa-sha2-nistp256', Buffer.from('nistp256'), Buffer.concat([Buffer.of(4), member('x'), member('y')])]
        : ['ssh-ed25519', member('x')];
  const parts = [Buffer.from(type), ...fields].flatMap((part) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(part.length);
    return [length, part];
  });
  return `${type} ${Buffer.concat(parts).toString('base64')}`;
}

/** A number whose first bit is set would be negative. */
function positive(digits: Buffer): Buffer {
  return ((digits[0] ?? 0) & 0x80) === 0 ? digits : Buffer.concat([Buffer.of(0), digits]);
}
