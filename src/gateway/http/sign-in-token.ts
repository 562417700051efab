/**
 * The sign-in as a cookie holds it: who, for which pool, how long; sealed with a key that all gateways share and that
 * outlives them. It counts as long as the person may enter the pool with the very password that it began with.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import type { EpochMillis } from '../../core/time.ts';
import { signInLasts } from '../../link/ended-sign-ins.ts';
import type { DirectoryUser } from '../../link/people.ts';

const tokenSchema = z.strictObject({
  id: z.string(),
  user: z.string(),
  pool: z.string(),
  /** Milliseconds since 1970. */
  issued: z.number(),
  expires: z.number(),
  /** Of the password's hash: another password ends it. */
  password: z.string(),
});
export type SignInToken = z.infer<typeof tokenSchema>;

/** Longer ones are none of ours. */
const longest = 2_000;

/** A keyed digest of some text for one purpose: 32 bytes in base64url. */
export function seal(key: Buffer, purpose: string, text: string): string {
  return createHmac('sha256', key).update(`poolhouse ${purpose}\0${text}`).digest('base64url');
}

function sameText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

/** Tells one password from another, and nothing of either. */
export const passwordMark = (key: Buffer, user: DirectoryUser) =>
  seal(key, 'password', user.passwordHash ?? '').slice(0, 22);

export function issueToken(key: Buffer, pool: string, user: DirectoryUser, now: EpochMillis): string {
  const token: SignInToken = {
    id: randomBytes(12).toString('base64url'),
    user: user.name,
    pool,
    issued: now,
    expires: now + signInLasts,
    password: passwordMark(key, user),
  };
  const text = Buffer.from(JSON.stringify(token)).toString('base64url');
  return `${text}.${seal(key, 'sign-in', text)}`;
}

/** What a cookie says, where it is ours, for this pool and not over; `isOfPassword` is asked beside it. */
export function readToken(
  key: Buffer,
  pool: string,
  text: string | undefined,
  now: EpochMillis,
): SignInToken | undefined {
  if (text === undefined || text.length > longest) return undefined;
  const [body = '', mark = '', ...rest] = text.split('.');
  if (rest.length > 0 || !sameText(seal(key, 'sign-in', body), mark)) return undefined;
  const token = tokenSchema.safeParse(JSON.parse(Buffer.from(body, 'base64url').toString('utf8'))).data;
  if (token === undefined || token.pool !== pool || token.issued > now + 60_000 || token.expires <= now)
    return undefined;
  return token;
}

/** Whether the person's password is the one that they signed in with; `mark` is theirs now. */
export const isOfPassword = (mark: string, token: SignInToken): boolean => sameText(mark, token.password);

/** What a form carries twice, in a cookie and in a field: who can send both has read our page. */
export function issueFormProof(key: Buffer): string {
  const text = randomBytes(18).toString('base64url');
  return `${text}.${seal(key, 'form', text)}`;
}

export function isFormProof(key: Buffer, inCookie: string | undefined, inField: string | null): boolean {
  if (inCookie === undefined || inField === null || !sameText(inCookie, inField)) return false;
  const [text = '', mark = '', ...rest] = inCookie.split('.');
  return rest.length === 0 && sameText(seal(key, 'form', text), mark);
}
