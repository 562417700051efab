/** Who has an account on an instance: its template's admin user, and the people of its pool with their groups. */
import { poolAccounts } from '../identity/render-accounts.ts';
import type { FolderGroup, FolderOwner } from '../pool/plan-workspaces.ts';
import { readPeople } from '../providers/identity/people.ts';
import { poolNameOf } from '../providers/identity/pool-names.ts';
import { uidOf } from '../store/accounts.ts';
import type { InstanceRecord } from '../store/instance-records.ts';
import { readModel } from './instance-model.ts';
import type { World } from './world.ts';

export interface InstanceUser {
  name: string;
  uid: number;
  gid: number;
  /** One of the installation's; the other one is a template's admin user. */
  person: boolean;
}

export interface InstanceAccounts {
  users: (InstanceUser & FolderOwner)[];
  groups: (FolderGroup & { members: readonly string[] })[];
}

type Made = Pick<InstanceRecord, 'scaleSetKey' | 'modelVersion'>;

/** Of nobody where what the instance was made of is not known any more. */
export async function instanceAccounts(world: World, instance: Made): Promise<InstanceAccounts> {
  const { store } = world;
  const model = await readModel(world, instance.scaleSetKey, instance.modelVersion);
  if (model === undefined) return { users: [], groups: [] };
  const { name } = model.profile.admin;
  const uid = await store.transaction((tx) => uidOf(tx, instance.scaleSetKey, name));
  const { users, groups } = await readPeople(store.db);
  const accounts = poolAccounts(users, groups, poolNameOf(instance.scaleSetKey));
  const quotaOf = (list: readonly { name: string; quota?: number | 'none' }[], who: string) => {
    const quota = list.find((one) => one.name === who)?.quota;
    return quota === undefined ? {} : { quota };
  };
  return {
    users: [
      { name, uid, gid: uid, person: false },
      ...accounts.people.map((person) => ({
        ...{ name: person.name, uid: person.uid, gid: person.uid, person: true },
        ...quotaOf(users, person.name),
      })),
    ],
    groups: accounts.groups.map((group) => ({ ...group, ...quotaOf(groups, group.name) })),
  };
}

/** Of nobody where what the instance was made of is not known any more. */
export async function instanceUsers(world: World, instance: Made): Promise<InstanceUser[]> {
  const { users } = await instanceAccounts(world, instance);
  return users.map(({ name, uid, gid, person }) => ({ name, uid, gid, person }));
}
