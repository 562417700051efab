/** Groups of people as resources. Who is in one is said here or with the user: it is the same fact. */
import { PoolhouseError } from '../../core/errors.ts';
import { checkAccountName } from '../../identity/names.ts';
import type { Queries } from '../../store/store.ts';
import {
  addGroup,
  changeGroup,
  eraseGroup,
  findGroup,
  findGroups,
  membersOf,
  setMembers,
  type GroupRecord,
} from '../../store/user-groups.ts';
import { findUsers } from '../../store/users.ts';
import { checkConditions } from '../check-conditions.ts';
import { invalid } from '../read-body.ts';
import type { WriteConditions, Written } from '../resource-service.ts';
import type { GroupDocument } from './documents.ts';
import type { Asker, IdentityCollection, IdentityParts } from './identity-service.ts';
import { requireFreeName } from './names-in-use.ts';
import { readPoolAccess } from './pool-names.ts';
import { quotaAfter, readGroup, type AskedGroup } from './read-identity.ts';

const type = 'Poolhouse.Identity/groups';

export function createGroups(parts: IdentityParts): IdentityCollection {
  const { store, clock, log } = parts;

  async function write(
    name: string,
    asked: AskedGroup,
    mode: 'replace' | 'change',
    conditions: WriteConditions,
    { by }: Asker,
  ): Promise<Written> {
    const outcome = await store.transaction(async (tx) => {
      const before = await findGroup(tx, name);
      const membersBefore = await membersOf(tx, name);
      checkConditions(before === undefined ? undefined : { etag: etagOf(before, membersBefore) }, conditions, {
        names: [name],
      });
      if (before === undefined) {
        if (mode === 'change') throw notFound(name);
        checkAccountName(name, 'group');
        await requireFreeName(tx, name, 'group');
      }
      if (asked.members !== undefined) await requireUsers(tx, asked.members);
      const pools =
        asked.pools === undefined
          ? mode === 'change' && before !== undefined
            ? before.pools
            : []
          : await readPoolAccess(tx, asked.pools);
      // Users name their groups too: a PUT that says nothing of members leaves them.
      const members = asked.members === undefined ? membersBefore : [...new Set(asked.members)].toSorted();
      const { quota } = quotaAfter(asked.quota, mode === 'change' ? before?.quota : undefined);
      const settings = { pools, ...(quota === undefined ? {} : { quota }) };
      const differing = [
        ...(before !== undefined && JSON.stringify(before.pools) === JSON.stringify(pools) ? [] : ['pools']),
        ...(before?.quota === quota ? [] : ['quota']),
        ...(JSON.stringify(membersBefore) === JSON.stringify(members) ? [] : ['members']),
      ];
      const group =
        before === undefined
          ? await addGroup(tx, name, settings, clock.now())
          : differing.some((one) => one !== 'members')
            ? await changeGroup(tx, before, settings)
            : before;
      await setMembers(tx, name, members);
      return { group, members, created: before === undefined, differing };
    });
    const { group, members, created, differing } = outcome;
    if (created) log.info({ audit: 'group added', group: name, gid: group.gid, by }, `the group ${name} was added`);
    else if (differing.length > 0)
      log.info(
        { audit: 'group changed', group: name, gid: group.gid, by, changed: differing, members },
        `the group ${name} was changed`,
      );
    if (differing.length > 0) await parts.changed();
    return { created, body: present(group, members) };
  }

  return {
    async list() {
      const users = await findUsers(store.db);
      return (await findGroups(store.db)).map((group) =>
        present(
          group,
          users.filter((user) => user.groups.includes(group.name)).map((user) => user.name),
        ),
      );
    },
    async get(name) {
      const group = await findGroup(store.db, name);
      if (group === undefined) throw notFound(name);
      return present(group, await membersOf(store.db, name));
    },
    put: async (name, body, conditions, asker) => write(name, readGroup(body), 'replace', conditions, asker),
    patch: async (name, body, conditions, asker) => write(name, readGroup(body), 'change', conditions, asker),
    async remove(name, { by }) {
      const gone = await store.transaction(async (tx) => {
        const group = await findGroup(tx, name);
        if (group !== undefined) await eraseGroup(tx, name);
        return group;
      });
      if (gone === undefined) return false;
      log.info({ audit: 'group removed', group: name, gid: gone.gid, by }, `the group ${name} was removed`);
      await parts.changed();
      return true;
    },
  };
}

async function requireUsers(tx: Queries, names: readonly string[]): Promise<void> {
  const known = new Set((await findUsers(tx)).map((user) => user.name));
  const unknown = names.find((name) => !known.has(name));
  if (unknown === undefined) return;
  throw invalid(
    'properties.members',
    `There is no user '${unknown.slice(0, 80)}'. 'poolhouse users list' shows those there are.`,
  );
}

function notFound(name: string): PoolhouseError {
  return new PoolhouseError(
    'ResourceNotFound',
    `There is no group '${name.slice(0, 80)}'. 'poolhouse groups list' shows those there are.`,
  );
}

/** Members come and go with their users too, so they are part of what must not have changed. */
const etagOf = (group: GroupRecord, members: readonly string[]) => [group.gid, group.generation, ...members].join('-');

function present(group: GroupRecord, members: readonly string[]): GroupDocument {
  return {
    id: `/providers/${type}/${group.name}`,
    name: group.name,
    type,
    etag: etagOf(group, members),
    properties: {
      provisioningState: 'Succeeded',
      gid: group.gid,
      members: [...members],
      pools: group.pools === 'all' ? ['*'] : [...group.pools],
      quota: group.quota ?? null,
      createdAt: new Date(group.createdAt).toISOString(),
    },
  };
}
