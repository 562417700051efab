/** Groups of people as control keeps them. A gid is given once. */
import { PoolhouseError } from '../core/errors.ts';
import type { EpochMillis } from '../core/time.ts';
import { groupGids, type Group, type PoolAccess } from '../identity/people.ts';
import type { UserGroupRow } from './schema.ts';
import { nextOf, type Queries } from './store.ts';
import { quotaColumn, quotaOf } from './users.ts';

export interface GroupRecord extends Group {
  pools: PoolAccess;
  /** Rises with every change. */
  generation: number;
  createdAt: EpochMillis;
}

/** What can be asked for. */
export type GroupSettings = Pick<GroupRecord, 'pools' | 'quota'>;

/** All groups by their names. */
export async function findGroups(queries: Queries): Promise<GroupRecord[]> {
  return (await queries.selectFrom('user_groups').selectAll().orderBy('name').execute()).map(recordOf);
}

/** The group of this name; undefined where there is none. */
export async function findGroup(queries: Queries, name: string): Promise<GroupRecord | undefined> {
  const row = await queries.selectFrom('user_groups').selectAll().where('name', '=', name).executeTakeFirst();
  return row === undefined ? undefined : recordOf(row);
}

/** The names of a group's members. */
export async function membersOf(queries: Queries, name: string): Promise<string[]> {
  const rows = await queries
    .selectFrom('memberships')
    .select('user_name')
    .where('group_name', '=', name)
    .orderBy('user_name')
    .execute();
  return rows.map((row) => row.user_name);
}

/** Writes a new group down, with a gid that none has had. `QuotaExceeded` where all have been used. */
export async function addGroup(
  tx: Queries,
  name: string,
  settings: GroupSettings,
  now: EpochMillis,
): Promise<GroupRecord> {
  const gid = groupGids.first + (await nextOf(tx, 'group gids'));
  if (gid > groupGids.last)
    throw new PoolhouseError(
      'QuotaExceeded',
      `All gids for groups (${groupGids.first} to ${groupGids.last}) have been used; those of removed groups are not given again.`,
    );
  await tx
    .insertInto('user_groups')
    .values({ name, gid, ...columnsOf(settings), generation: 1, created_at: now })
    .execute();
  return { name, gid, ...settings, generation: 1, createdAt: now };
}

/** Writes down what a group gives and has now. */
export async function changeGroup(tx: Queries, group: GroupRecord, settings: GroupSettings): Promise<GroupRecord> {
  const generation = group.generation + 1;
  const { quota: _quota, ...before } = group;
  await tx
    .updateTable('user_groups')
    .set({ ...columnsOf(settings), generation })
    .where('name', '=', group.name)
    .execute();
  return { ...before, ...settings, generation };
}

/** Makes these the members of a group; their users count as changed. */
export async function setMembers(tx: Queries, name: string, members: readonly string[]): Promise<void> {
  const before = new Set(await membersOf(tx, name));
  const after = new Set(members);
  const changed = [...[...before].filter((one) => !after.has(one)), ...[...after].filter((one) => !before.has(one))];
  await tx.deleteFrom('memberships').where('group_name', '=', name).execute();
  if (after.size > 0)
    await tx
      .insertInto('memberships')
      .values([...after].map((user) => ({ user_name: user, group_name: name })))
      .execute();
  if (changed.length > 0)
    await tx
      .updateTable('users')
      .set((row) => ({ generation: row('generation', '+', 1) }))
      .where('name', 'in', changed)
      .execute();
}

/** Removes a group; its members stay. */
export async function eraseGroup(tx: Queries, name: string): Promise<void> {
  await setMembers(tx, name, []);
  await tx.deleteFrom('user_groups').where('name', '=', name).execute();
}

const columnsOf = ({ pools, quota }: GroupSettings) => ({
  pools_json: JSON.stringify(pools),
  quota: quotaColumn(quota),
});

function recordOf(row: UserGroupRow): GroupRecord {
  return {
    name: row.name,
    gid: row.gid,
    pools: JSON.parse(row.pools_json) as PoolAccess, // written above
    ...quotaOf(row.quota),
    generation: row.generation,
    createdAt: row.created_at,
  };
}
