/** People as control keeps them. A uid is given once, and to nobody else after a removal. */
import { PoolhouseError } from '../core/errors.ts';
import type { EpochMillis } from '../core/time.ts';
import { peopleUids, type PoolAccess, type Quota, type User } from '../identity/people.ts';
import type { UserRow } from './schema.ts';
import { nextOf, type Queries } from './store.ts';

/** A user without the hash of the password, which is sealed: `password` is the placeholder for it. */
export interface UserRecord extends Omit<User, 'passwordHash'> {
  password: string | undefined;
  /** Rises with every change. */
  generation: number;
}

/** What can be asked for. */
export type UserSettings = Pick<
  UserRecord,
  'password' | 'groups' | 'sshKeys' | 'pools' | 'disabled' | 'sudo' | 'quota'
>;

/** All users by their names. */
export async function findUsers(queries: Queries): Promise<UserRecord[]> {
  const rows = await queries.selectFrom('users').selectAll().orderBy('name').execute();
  const memberships = await queries.selectFrom('memberships').selectAll().orderBy('group_name').execute();
  const groups = Map.groupBy(memberships, (one) => one.user_name);
  return rows.map((row) =>
    recordOf(
      row,
      (groups.get(row.name) ?? []).map((one) => one.group_name),
    ),
  );
}

/** The user of this name; undefined where there is none. */
export async function findUser(queries: Queries, name: string): Promise<UserRecord | undefined> {
  const row = await queries.selectFrom('users').selectAll().where('name', '=', name).executeTakeFirst();
  if (row === undefined) return undefined;
  const memberships = await queries
    .selectFrom('memberships')
    .select('group_name')
    .where('user_name', '=', name)
    .orderBy('group_name')
    .execute();
  return recordOf(
    row,
    memberships.map((one) => one.group_name),
  );
}

/** Writes a new user down, with a uid that nobody has had. `QuotaExceeded` where all have been used. */
export async function addUser(
  tx: Queries,
  name: string,
  settings: UserSettings,
  now: EpochMillis,
): Promise<UserRecord> {
  const uid = peopleUids.first + (await nextOf(tx, 'people uids'));
  if (uid > peopleUids.last)
    throw new PoolhouseError(
      'QuotaExceeded',
      `All uids for people (${peopleUids.first} to ${peopleUids.last}) have been used; those of removed users are not given again.`,
    );
  await tx
    .insertInto('users')
    .values({ name, uid, ...columnsOf(settings), generation: 1, created_at: now })
    .execute();
  return withGroups(tx, { ...settings, name, uid, generation: 1, createdAt: now });
}

/** Writes down what is asked of a user now; uid and time of creation stay. */
export async function changeUser(tx: Queries, user: UserRecord, settings: UserSettings): Promise<UserRecord> {
  const generation = user.generation + 1;
  const { quota: _quota, ...before } = user;
  await tx
    .updateTable('users')
    .set({ ...columnsOf(settings), generation })
    .where('name', '=', user.name)
    .execute();
  return withGroups(tx, { ...before, ...settings, generation });
}

/** Removes a user, with the memberships. The uid stays used. */
export async function eraseUser(tx: Queries, name: string): Promise<void> {
  await tx.deleteFrom('memberships').where('user_name', '=', name).execute();
  await tx.deleteFrom('users').where('name', '=', name).execute();
}

async function withGroups(tx: Queries, user: UserRecord): Promise<UserRecord> {
  const groups = [...new Set(user.groups)].toSorted();
  await tx.deleteFrom('memberships').where('user_name', '=', user.name).execute();
  if (groups.length > 0)
    await tx
      .insertInto('memberships')
      .values(groups.map((group) => ({ user_name: user.name, group_name: group })))
      .execute();
  return { ...user, groups };
}

function columnsOf(settings: UserSettings) {
  return {
    password: settings.password ?? null,
    ssh_keys_json: JSON.stringify(settings.sshKeys),
    pools_json: JSON.stringify(settings.pools),
    disabled: settings.disabled ? 1 : 0,
    sudo: settings.sudo ? 1 : 0,
    quota: quotaColumn(settings.quota),
  } as const;
}

/** Nobody may hold nothing: 0 stands for no limit. */
export const quotaColumn = (quota: Quota | undefined): number | null => (quota === 'none' ? 0 : (quota ?? null));

export function quotaOf(column: number | null): { quota?: Quota } {
  return column === null ? {} : { quota: column === 0 ? 'none' : column };
}

function recordOf(row: UserRow, groups: string[]): UserRecord {
  return {
    name: row.name,
    uid: row.uid,
    groups,
    password: row.password ?? undefined,
    sshKeys: JSON.parse(row.ssh_keys_json) as string[], // written above
    pools: JSON.parse(row.pools_json) as PoolAccess,
    disabled: row.disabled === 1,
    sudo: row.sudo === 1,
    ...quotaOf(row.quota),
    generation: row.generation,
    createdAt: row.created_at,
  };
}
