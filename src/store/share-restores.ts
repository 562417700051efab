/** Restores of shares: begun by a person, carried on by a loop until they are done, whatever happens in between. */
import type { EpochMillis } from '../core/time.ts';
import type { ShareRestoreRow } from './schema.ts';
import type { Queries } from './store.ts';

export interface ShareRestore {
  id: string;
  account: string;
  share: string;
  snapshot: string;
  path: readonly string[];
  /** The snapshot of how it was before. */
  beforeName: string;
  state: ShareRestoreRow['state'];
  files: number;
  removed: number;
  message: string;
  startedAt: EpochMillis;
  endedAt: EpochMillis | undefined;
}

const restoreOf = (row: ShareRestoreRow): ShareRestore => ({
  ...{ id: row.id, account: row.account, share: row.share, snapshot: row.snapshot, beforeName: row.before_name },
  ...{ state: row.state, files: row.files, removed: row.removed, message: row.message, startedAt: row.started_at },
  path: JSON.parse(row.path_json) as string[], // written below
  endedAt: row.ended_at ?? undefined,
});

const rowOf = (restore: ShareRestore): ShareRestoreRow => ({
  ...{ id: restore.id, account: restore.account, share: restore.share, snapshot: restore.snapshot },
  ...{ before_name: restore.beforeName, state: restore.state, files: restore.files, removed: restore.removed },
  ...{ path_json: JSON.stringify(restore.path), message: restore.message },
  ...{ started_at: restore.startedAt, ended_at: restore.endedAt ?? null },
});

/** Writes it whole, in place of what was known of it. */
export async function saveShareRestore(queries: Queries, restore: ShareRestore): Promise<void> {
  const row = rowOf(restore);
  await queries
    .insertInto('share_restores')
    .values(row)
    .onConflict((conflict) => conflict.column('id').doUpdateSet(row))
    .execute();
}

/** The newest first; of one share where it is named. */
export async function findShareRestores(
  queries: Queries,
  where: { account?: string; share?: string; state?: ShareRestore['state'] } = {},
): Promise<ShareRestore[]> {
  let query = queries.selectFrom('share_restores').selectAll().orderBy('started_at', 'desc').orderBy('id');
  if (where.account !== undefined) query = query.where('account', '=', where.account);
  if (where.share !== undefined) query = query.where('share', '=', where.share);
  if (where.state !== undefined) query = query.where('state', '=', where.state);
  return (await query.execute()).map(restoreOf);
}

/** Snapshots of a share that must stay until its restore is over: the one that it reads, and how it was before. */
export async function snapshotsInUse(queries: Queries, account: string, share: string): Promise<ReadonlySet<string>> {
  const running = await findShareRestores(queries, { account, share, state: 'Running' });
  return new Set(running.flatMap(({ snapshot, beforeName }) => [snapshot, beforeName]));
}

/** Forgets those that ended before this. */
export async function forgetShareRestores(queries: Queries, before: EpochMillis): Promise<void> {
  await queries.deleteFrom('share_restores').where('ended_at', '<', before).execute();
}
