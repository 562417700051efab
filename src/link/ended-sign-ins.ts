/**
 * Sign-ins in browsers that have ended before their time, as gateways tell control (`POST /v1/ended-sign-ins`) and as control
 * gives them to all gateways, a part of the directory. What is said of one opens nothing: a cookie is sealed with a key.
 */
import { z } from 'zod';
import type { EpochMillis } from '../core/time.ts';

/** A sign-in ends by itself after so long. */
export const signInLasts = 12 * 3_600_000;
/** Told at a time. */
export const mostEndedAtOnce = 500;
export const mostFarewell = 2_000;

export const endedSignInSchema = z.object({
  /** Key of the pool that they signed in to. */
  pool: z.string().max(1_024),
  user: z.string().max(64),
  /** Which one; absent: all of this person's in this pool that had begun by `issued`. */
  id: z.string().min(1).max(64).optional(),
  /** Milliseconds since 1970: when it began. */
  issued: z.int(),
  /** When it would have ended by itself: from then on nobody needs to know. */
  expires: z.int(),
  /** What is told to who comes with it. */
  words: z.string().max(mostFarewell).optional(),
});

export const endedSignInsSchema = z.object({ ended: z.array(endedSignInSchema).max(mostEndedAtOnce) });

export type EndedSignIn = z.infer<typeof endedSignInSchema>;

/** How many are kept, in all and of one person in one pool. */
export interface EndedLimits {
  most: number;
  mostOfOne: number;
}

const usualLimits: EndedLimits = { most: 10_000, mostOfOne: 32 };

const personOf = ({ pool, user }: Pick<EndedSignIn, 'pool' | 'user'>): string => `${pool}\n${user}`;

/** Names what was ended: two of one key say the same, but for the time. */
export const endedKey = ({ pool, user, id }: Pick<EndedSignIn, 'pool' | 'user' | 'id'>): string =>
  `${personOf({ pool, user })}\n${id ?? ''}`;

/**
 * Those that need to be known, each once. Pure.
 *
 * What has ended stays ended: where one person has too many, those that began first become one that ends all until then, so
 * that nobody can have a sign-out forgotten by signing in and out again and again. Only where more people than `most` have
 * one are those left out that end soonest.
 */
export function keepEnded(
  ended: readonly EndedSignIn[],
  now: EpochMillis,
  { most, mostOfOne }: EndedLimits = usualLimits,
): EndedSignIn[] {
  const lasting = ended.filter(({ expires }) => expires > now);
  const people = [...Map.groupBy(lasting, personOf).values()];
  for (let limit = mostOfOne; ; limit = Math.floor(limit / 2)) {
    const kept = people.flatMap((ofOne) => keepOfOne(ofOne, limit));
    if (kept.length <= most) return kept;
    if (limit === 0) return kept.toSorted((one, other) => other.expires - one.expires).slice(0, most);
  }
}

/** So many single ones, the newest, and one for all from before where there are more. */
function keepOfOne(ended: readonly EndedSignIn[], most: number): EndedSignIn[] {
  const all = ended
    .filter(({ id }) => id === undefined)
    .reduce<EndedSignIn | undefined>(
      (last, one) => (last !== undefined && last.issued >= one.issued ? last : one),
      undefined,
    );
  const single = new Map<string, EndedSignIn>();
  for (const one of ended)
    if (one.id !== undefined && !single.has(one.id) && one.issued > (all?.issued ?? -Infinity)) single.set(one.id, one);
  const newestFirst = [...single.values()].toSorted((one, other) => other.issued - one.issued);
  const surplus = newestFirst[most];
  if (surplus === undefined) return all === undefined ? newestFirst : [all, ...newestFirst];
  const { pool, user, issued, expires } = surplus;
  const folded = { pool, user, issued, expires, ...(all?.words === undefined ? {} : { words: all.words }) };
  return [folded, ...newestFirst.slice(0, most)];
}

/** Whether a sign-in is among these (by `endedKey`), and what was said of its end. Pure. */
export function findEnded(
  ended: ReadonlyMap<string, EndedSignIn>,
  { pool, user, id, issued }: Pick<EndedSignIn, 'pool' | 'user' | 'issued'> & { id: string },
): EndedSignIn | undefined {
  const all = ended.get(endedKey({ pool, user }));
  return all !== undefined && issued <= all.issued ? all : ended.get(endedKey({ pool, user, id }));
}
