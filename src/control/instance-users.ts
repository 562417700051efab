/** Who has an account on an instance: its template's admin user, and the people of its pool. */
import { poolAccounts } from '../identity/render-accounts.ts';
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

/** Of nobody where what the instance was made of is not known any more. */
export async function instanceUsers(world: World, instance: InstanceRecord): Promise<InstanceUser[]> {
  const { store } = world;
  const model = await readModel(world, instance.scaleSetKey, instance.modelVersion);
  if (model === undefined) return [];
  const { name } = model.profile.admin;
  const uid = await store.transaction((tx) => uidOf(tx, instance.scaleSetKey, name));
  const { users, groups } = await readPeople(store.db);
  const { people } = poolAccounts(users, groups, poolNameOf(instance.scaleSetKey));
  return [
    { name, uid, gid: uid, person: false },
    ...people.map((person) => ({ name: person.name, uid: person.uid, gid: person.uid, person: true })),
  ];
}
