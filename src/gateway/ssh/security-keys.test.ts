import { createHash, generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PoolhouseError } from '../../core/errors.ts';
import { isSecurityKey, verifySecurityKey } from './security-keys.ts';
import { encodePublicKey, signBytes } from './ssh-keys.ts';
import { WireReader, wireString, wireUint32 } from './ssh-wire.ts';

const application = Buffer.from('ssh:');
const message = Buffer.from('what the session signs');

/** A token, as OpenSSH speaks to one. */
function token(kind: 'ed25519' | 'ecdsa') {
  const { privateKey } =
    kind === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const type = kind === 'ed25519' ? 'sk-ssh-ed25519@openssh.com' : 'sk-ecdsa-sha2-nistp256@openssh.com';
  const { fields } = encodePublicKey(privateKey);
  const blob = Buffer.concat([wireString(type), fields, wireString(application)]);
  const signs = (text: Buffer, flags = 1, as = type) => {
    const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest();
    const said = Buffer.concat([digest(application), Buffer.of(flags), wireUint32(7), digest(text)]);
    const signature = new WireReader(signBytes(privateKey, said), 'it');
    signature.text();
    return Buffer.concat([wireString(as), wireString(signature.bytes()), Buffer.of(flags), wireUint32(7)]);
  };
  return { blob, signs };
}

describe.each(['ed25519', 'ecdsa'] as const)('a key in a token (%s)', (kind) => {
  const { blob, signs } = token(kind);

  it('signs in who touches it', () => {
    expect(isSecurityKey(blob)).toBe(true);
    expect(verifySecurityKey(blob, signs(message), message)).toBe(true);
  });

  it.each<[string, Buffer, Buffer]>([
    ['nobody touched it', signs(message, 0), message],
    ['it signed something else', signs(Buffer.from('another')), message],
    ['it is another one', token(kind).signs(message), message],
    ['the signature is of a bare key', signs(message, 1, 'ssh-ed25519'), message],
  ])('does not where %s', (_why, signature, said) => {
    expect(verifySecurityKey(blob, signature, said)).toBe(false);
  });

  it('throws nothing but a refusal, whatever a stranger sends', () => {
    const good = signs(message);
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.nat(255), fc.nat(good.length), (at, byte, length) => {
        const mutated = Buffer.from(good.subarray(0, length));
        if (at < mutated.length) mutated[at] = byte;
        try {
          const same = mutated.equals(good);
          expect(verifySecurityKey(blob, mutated, message)).toBe(same);
        } catch (error) {
          expect(error).toBeInstanceOf(PoolhouseError);
        }
      }),
    );
  });
});

it('tells bare keys from those in a token', () => {
  const { publicKey } = generateKeyPairSync('ed25519');
  expect(isSecurityKey(encodePublicKey(publicKey).blob)).toBe(false);
});
