/**
 * Keys that live in a token (`sk-ssh-ed25519@openssh.com`, OpenSSH's PROTOCOL.u2f): what the token signs is not the
 * message but what WebAuthn makes of it, with a flag that says whether somebody touched the token.
 */
import { createHash } from 'node:crypto';
import { readPublicKey, verifySignature } from './ssh-keys.ts';
import { WireReader, wireString, wireUint32 } from './ssh-wire.ts';

/** By the type of a token's key: that of the key inside. */
const inner: Readonly<Record<string, string>> = {
  'sk-ssh-ed25519@openssh.com': 'ssh-ed25519',
  'sk-ecdsa-sha2-nistp256@openssh.com': 'ecdsa-sha2-nistp256',
};
const userWasPresent = 1;

/** Whether the blob of a public key is that of a token's key. */
export function isSecurityKey(blob: Buffer): boolean {
  return Object.hasOwn(inner, new WireReader(blob, 'the public key').text());
}

/** Whether a token with this key signed the message, touched by somebody. A refusal where a part has no such form. */
export function verifySecurityKey(blob: Buffer, signature: Buffer, message: Buffer): boolean {
  const key = new WireReader(blob, 'the public key');
  const type = key.text();
  const innerType = inner[type] ?? type;
  const fields = innerType === 'ssh-ed25519' ? [key.bytes()] : [key.bytes(), key.bytes()];
  const application = key.bytes();
  key.end();

  const signed = new WireReader(signature, 'the signature');
  const algorithm = signed.text();
  const value = signed.bytes();
  const flags = signed.uint8();
  const counter = signed.uint32();
  signed.end();
  if (algorithm !== type || (flags & userWasPresent) === 0) return false;

  const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest();
  const said = Buffer.concat([digest(application), Buffer.of(flags), wireUint32(counter), digest(message)]);
  const bare = Buffer.concat([wireString(innerType), ...fields.map((field) => wireString(field))]);
  return verifySignature(readPublicKey(bare), Buffer.concat([wireString(innerType), wireString(value)]), said);
}
