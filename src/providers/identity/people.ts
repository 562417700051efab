/** Who somebody is and where they may go: for those who sign people in, and those who make their accounts. */
import { mayEnter, type Group, type User } from '../../identity/people.ts';
import type { Secrets } from '../../secrets/secrets.ts';
import type { Queries } from '../../store/store.ts';
import { findGroups } from '../../store/user-groups.ts';
import { findUser, findUsers } from '../../store/users.ts';

/** Whose secret a user's password is. */
export const passwordOwner = (name: string) => `/providers/poolhouse.identity/users/${name}`;

/** A user with all that signing in needs, the hash of the password among it; undefined where there is none of this name. */
export async function findPerson(
  queries: Queries,
  secrets: Pick<Secrets, 'reveal'>,
  name: string,
): Promise<{ user: User; groups: Group[] } | undefined> {
  const record = await findUser(queries, name);
  if (record === undefined) return undefined;
  const { password, generation: _generation, ...user } = record;
  const passwordHash =
    password === undefined ? undefined : await secrets.reveal(queries, passwordOwner(name), password);
  const groups = (await findGroups(queries)).filter((group) => user.groups.includes(group.name));
  return { user: { ...user, passwordHash }, groups };
}

/** Everybody, and all groups. Passwords are no part of it. */
export interface People {
  users: readonly Omit<User, 'passwordHash'>[];
  groups: readonly Group[];
}

/** Reads all people. `peopleOf` tells who of them may enter a pool. */
export async function readPeople(queries: Queries): Promise<People> {
  const users = (await findUsers(queries)).map(({ password: _password, generation: _generation, ...user }) => user);
  return { users, groups: await findGroups(queries) };
}

/** Who may enter a pool now, by their names. */
export function peopleOf<T extends Pick<User, 'disabled' | 'pools' | 'groups'>>(
  { users, groups }: { users: readonly T[]; groups: readonly Group[] },
  pool: string,
): T[] {
  return users.filter((user) => mayEnter(user, groups, pool));
}
