/**
 * A name means one account on an instance: a person, a group, or the admin user that a template made. Who comes second
 * is refused, before anything is stored.
 */
import { PoolhouseError } from '../../core/errors.ts';
import { dig, type JsonObject } from '../../core/json.ts';
import { findResources } from '../../store/resource-records.ts';
import type { Queries } from '../../store/store.ts';
import { findGroup } from '../../store/user-groups.ts';
import { findUser } from '../../store/users.ts';
import { poolNameOf } from './pool-names.ts';

/** `Conflict` where a new user or group would share its name with another account. */
export async function requireFreeName(tx: Queries, name: string, what: 'user' | 'group'): Promise<void> {
  const other = what === 'user' ? await findGroup(tx, name) : await findUser(tx, name);
  if (other !== undefined)
    throw new PoolhouseError(
      'Conflict',
      what === 'user'
        ? `There is a group '${name}', and each user has a group of the same name. Choose another name, or remove the group: poolhouse groups remove ${name}`
        : `There is a user '${name}', who has a group of that name already. Choose another name.`,
      { target: 'name' },
    );
  const pools = await poolsWithAdmin(tx, name);
  if (pools.length > 0)
    throw new PoolhouseError(
      'Conflict',
      `'${name}' is the admin user of ${pools.join(', ')}. Choose another name, or deploy that scale set anew with another 'adminUsername'.`,
      { target: 'name' },
    );
}

/** `Conflict` where the admin user that a scale set asks for is a person of the installation, or a group. */
export async function requireFreeAdminName(tx: Queries, name: string): Promise<void> {
  const isUser = (await findUser(tx, name)) !== undefined;
  if (!isUser && (await findGroup(tx, name)) === undefined) return;
  const kind = isUser ? 'user' : 'group';
  throw new PoolhouseError(
    'Conflict',
    `'${name}' cannot be the admin user: it is a ${kind} of this installation (poolhouse ${kind}s show ${name}). Choose another 'adminUsername', or remove the ${kind}: poolhouse ${kind}s remove ${name}`,
    { target: 'adminUsername' },
  );
}

/** The pools with an admin user of this name: as asked for now, or on an instance that was made before. */
async function poolsWithAdmin(queries: Queries, name: string): Promise<string[]> {
  const sets = await findResources(queries, { type: 'Microsoft.Compute/virtualMachineScaleSets' });
  const models = await queries
    .selectFrom('models')
    .innerJoin('instances', (join) =>
      join
        .onRef('instances.scale_set_key', '=', 'models.scale_set_key')
        .onRef('instances.model_version', '=', 'models.version'),
    )
    .select(['models.scale_set_key as key', 'models.profile_json as profile'])
    .distinct()
    .execute();
  const admins = [
    ...sets.map(({ key, document }) => ({ key, profile: dig(document, 'properties', 'virtualMachineProfile') })),
    ...models.map(({ key, profile }) => ({ key, profile: JSON.parse(profile) as JsonObject })), // written by `saveModel`
  ];
  const found = admins.filter(({ profile }) => dig(profile, 'osProfile', 'adminUsername') === name);
  return [...new Set(found.map(({ key }) => poolNameOf(key)))];
}
