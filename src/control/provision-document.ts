/** What `/usr/lib/poolhouse/provision` inside an instance is told: the accounts of the pool, as libnss-extrausers reads them. */
import type { JsonObject } from '../core/json.ts';
import { uidOf } from '../store/accounts.ts';
import type { InstanceRecord } from '../store/instance-records.ts';
import type { InstanceModel } from './instance-model.ts';
import type { World } from './world.ts';

/** The group that may use sudo without a password; the image's sudoers name it. */
const sudoGroup = { name: 'poolhouse-sudo', gid: 19_999 };

export async function provisionDocument(
  world: Pick<World, 'store' | 'secrets'>,
  instance: InstanceRecord,
  model: InstanceModel,
  hashPassword: (password: string) => Promise<string>,
): Promise<JsonObject> {
  const { admin } = model.profile;
  const { store, secrets } = world;
  const uid = await store.transaction((tx) => uidOf(tx, instance.scaleSetKey, admin.name));
  const password =
    admin.password === undefined ? undefined : await secrets.reveal(store.db, instance.scaleSetKey, admin.password);
  const hash = password === undefined ? '*' : await hashPassword(password);
  const home = `/home/${admin.name}`;
  return {
    passwd: `${admin.name}:x:${uid}:${uid}:${admin.name}:${home}:/bin/bash\n`,
    group: `${admin.name}:x:${uid}:\n${sudoGroup.name}:x:${sudoGroup.gid}:${admin.name}\n`,
    shadow: `${admin.name}:${hash}:19000:0:99999:7:::\n`,
    users: [
      {
        name: admin.name,
        uid,
        gid: uid,
        home,
        shell: '/bin/bash',
        skeleton: true,
        authorizedKeys: admin.keys.map((key) => key.data),
      },
    ],
  };
}
