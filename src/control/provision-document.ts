/** What `/usr/lib/poolhouse/provision` inside an instance is told: the accounts of the pool, as libnss-extrausers reads them. */
import type { JsonObject } from '../core/json.ts';
import type { EngineInstance } from '../engines/engine.ts';
import { peopleUids } from '../identity/people.ts';
import { accountHomes, accountsDigest, renderAccounts, type PoolAccounts } from '../identity/render-accounts.ts';
import { isHome } from '../pool/plan-attachments.ts';
import type { PoolTags } from '../providers/compute/pool-tags.ts';
import { uidOf } from '../store/accounts.ts';
import type { InstanceRecord } from '../store/instance-records.ts';
import type { InstanceModel } from './instance-model.ts';
import type { World } from './world.ts';

/** What an instance takes for a sign-in. */
export interface InstanceTrust {
  /** For sshd. */
  userAuthority: string;
  /** Ed25519, SPKI PEM: for JupyterHub. */
  assertionPublicKey: string;
  signIn: PoolTags['signIn'];
}

/**
 * Differs where an instance that runs has to be told of other people, of another sign-in, or of other homes.
 *
 * @returns of an instance, by what it shows: who loses a home that survived is given one of the machine's in its place
 */
export function peopleDigest(
  accounts: PoolAccounts,
  { signIn, survives }: Pick<PoolTags, 'signIn' | 'survives'>,
): (attached: EngineInstance['attachments']) => string {
  const digest = `${accountsDigest(accounts)}${signIn === 'pam' ? '+pam' : ''}`;
  return (attached) => {
    if (survives === 'home') return `${digest}+home`;
    const homes = attached.filter(isHome).map(({ path }) => `+${path}`);
    return `${digest}${homes.toSorted().join('')}`;
  };
}

export async function provisionDocument(
  world: Pick<World, 'store' | 'secrets'>,
  instance: InstanceRecord,
  model: InstanceModel,
  accounts: PoolAccounts,
  trust: InstanceTrust,
  hashPassword: (password: string) => Promise<string>,
): Promise<JsonObject> {
  const { admin } = model.profile;
  const { store, secrets } = world;
  const uid = await store.transaction((tx) => uidOf(tx, instance.scaleSetKey, admin.name));
  const password =
    admin.password === undefined ? undefined : await secrets.reveal(store.db, instance.scaleSetKey, admin.password);
  const hash = password === undefined ? '*' : await hashPassword(password);
  const account = { name: admin.name, uid, hash };
  const keys = admin.keys.map((key) => key.data);
  return {
    ...renderAccounts(account, accounts),
    users: accountHomes(account, keys, accounts).map((home) => ({ ...home })),
    userAuthority: trust.userAuthority,
    // Whom the notebooks of this machine believe: what is signed for this very machine, or its own passwords.
    web: { signIn: trust.signIn, address: instance.address, audience: instance.name, key: trust.assertionPublicKey },
    // Processes of these uids are people's: those of who is not among the users are ended.
    people: { first: peopleUids.first, last: peopleUids.last },
  };
}
