/**
 * Passwords of people: what may be one, and how it is kept. Only the gateway's side ever compares; instances get `*`.
 *
 * scrypt with the parameters that OWASP names for 32 MiB (N = 2^15, r = 8, p = 3), written as a PHC string
 * (https://github.com/P-H-C/phc-string-format) that carries its parameters: those of old hashes stay good when the
 * ones below change.
 */
import { randomBytes, scrypt, timingSafeEqual, type ScryptOptions } from 'node:crypto';
import { PoolhouseError } from '../core/errors.ts';

const shortest = 8;
const mostBytes = 1_024;
const now = { ln: 15, r: 8, p: 3 } as const;
const saltBytes = 16;
const hashBytes = 32;
/** More than these need; a hash whose parameters want more is none of ours. */
const mostMemory = 256 * 2 ** 20;

/** Throws `InvalidParameter` unless the text may be a password. Its characters are nobody's business. */
export function checkPassword(password: string): void {
  const refuse = (why: string) => new PoolhouseError('InvalidParameter', why, { target: 'properties.password' });
  if (Array.from(password).length < shortest) throw refuse(`A password has at least ${shortest} characters.`);
  if (Buffer.byteLength(password) > mostBytes) throw refuse(`A password has at most ${mostBytes} bytes.`);
  if (password.includes('\0')) throw refuse('A password holds no NUL.');
}

/** A hash with a salt of its own: `$scrypt$ln=15,r=8,p=3$SALT$HASH`. Takes some tenths of a second of a core, and 32 MiB. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(saltBytes);
  const hash = await derive(password, salt, hashBytes, now);
  return `$scrypt$ln=${now.ln},r=${now.r},p=${now.p}$${unpadded(salt)}$${unpadded(hash)}`;
}

/**
 * Whether the password is the one that was hashed. Without a hash (no such user, or one without a password) it is not,
 * which takes as long to find out.
 */
export async function verifyPassword(password: string, hash: string | undefined): Promise<boolean> {
  const known = hash === undefined ? undefined : readHash(hash);
  // What could not have been set is not worth its bytes, but its time all the same.
  const asked = Buffer.byteLength(password) > mostBytes ? '' : password;
  const { salt, expected, ...cost } = known ?? {
    ...now,
    salt: Buffer.alloc(saltBytes),
    expected: Buffer.alloc(hashBytes),
  };
  const found = await derive(asked, salt, expected.length, cost);
  return timingSafeEqual(found, expected) && known !== undefined && asked === password;
}

interface Cost {
  ln: number;
  r: number;
  p: number;
}

function derive(password: string, salt: Buffer, length: number, { ln, r, p }: Cost): Promise<Buffer> {
  const options: ScryptOptions = { N: 2 ** ln, r, p, maxmem: mostMemory };
  return new Promise((resolve, reject) => {
    scrypt(password, salt, length, options, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}

/** Throws where the text is not a hash of ours: the store is damaged, and saying "wrong password" would hide it. */
function readHash(text: string): Cost & { salt: Buffer; expected: Buffer } {
  const found = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{16,86})\$([A-Za-z0-9+/]{22,86})$/.exec(
    text,
  );
  if (found === null) throw new Error('a password hash in the store cannot be read');
  const [ln, r, p] = found.slice(1, 4).map(Number) as [number, number, number]; // three groups of digits
  return {
    ln,
    r,
    p,
    salt: Buffer.from(found[4] ?? '', 'base64'),
    expected: Buffer.from(found[5] ?? '', 'base64'),
  };
}

const unpadded = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '');
