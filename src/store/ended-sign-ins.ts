/** Sign-ins in browsers that have ended before their time, kept until they would have ended anyway. */
import type { EpochMillis } from '../core/time.ts';
import { endedKey, keepEnded, type EndedSignIn } from '../link/ended-sign-ins.ts';
import type { EndedSignInRow } from './schema.ts';
import type { Queries } from './store.ts';

/** Those that still matter, in an order that stays the same. */
export async function findEndedSignIns(queries: Queries, now: EpochMillis): Promise<EndedSignIn[]> {
  return (await allOf(queries)).filter(({ expires }) => expires > now);
}

/** Keeps these too; of all, as many as `keepEnded` says. */
export async function addEndedSignIns(tx: Queries, ended: readonly EndedSignIn[], now: EpochMillis): Promise<void> {
  const before = await allOf(tx);
  const after = keepEnded([...before, ...ended], now);
  const kept = new Set(after.map(endedKey));
  for (const { pool, user, id } of before.filter((one) => !kept.has(endedKey(one))))
    await tx
      .deleteFrom('ended_sign_ins')
      .where('pool', '=', pool)
      .where('user_name', '=', user)
      .where('token_id', '=', id ?? '')
      .execute();
  const unchanged = new Set(before);
  for (const one of after.filter((each) => !unchanged.has(each))) {
    const { pool, user_name, token_id, ...columns } = rowOf(one);
    await tx
      .insertInto('ended_sign_ins')
      .values({ pool, user_name, token_id, ...columns })
      .onConflict((conflict) => conflict.columns(['pool', 'user_name', 'token_id']).doUpdateSet(columns))
      .execute();
  }
}

async function allOf(queries: Queries): Promise<EndedSignIn[]> {
  const rows = await queries
    .selectFrom('ended_sign_ins')
    .selectAll()
    .orderBy('pool')
    .orderBy('user_name')
    .orderBy('token_id')
    .execute();
  return rows.map(recordOf);
}

function rowOf({ pool, user, id, issued, expires, words }: EndedSignIn): EndedSignInRow {
  return {
    ...{ pool, user_name: user, token_id: id ?? '' },
    ...{ issued_at: issued, expires_at: expires, words: words ?? null },
  };
}

function recordOf({ pool, user_name, token_id, issued_at, expires_at, words }: EndedSignInRow): EndedSignIn {
  return {
    ...{ pool, user: user_name, issued: issued_at, expires: expires_at },
    ...(token_id === '' ? {} : { id: token_id }),
    ...(words === null ? {} : { words }),
  };
}
