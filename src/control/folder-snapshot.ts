/** Reads what decides about the folders that an instance is shown: `pool/plan-attachments.ts`. */
import type { EngineInstance } from '../engines/engine.ts';
import { poolAccounts } from '../identity/render-accounts.ts';
import type { AskedMount } from '../pool/instance-state.ts';
import type { AttachmentSnapshot } from '../pool/plan-attachments.ts';
import { readPoolTags, type PoolTags } from '../providers/compute/pool-tags.ts';
import { readPeople } from '../providers/identity/people.ts';
import { poolNameOf } from '../providers/identity/pool-names.ts';
import type { InstanceRecord } from '../store/instance-records.ts';
import { findResource, findResources, nameOf } from '../store/resource-records.ts';
import { readModel } from './instance-model.ts';
import type { Placements } from './placements.ts';
import type { World } from './world.ts';

export type SeenPlaces = Pick<Placements, 'on' | 'boundTo' | 'usersOn'>;

/** Whether all that there is to an instance are shares that its mounts attach: then nothing is decided. */
export function isPlain(
  { state }: Pick<InstanceRecord, 'state'>,
  { isolation, survives }: Pick<PoolTags, 'isolation' | 'survives'>,
  attached: EngineInstance['attachments'],
): boolean {
  return (
    isolation === 'share' &&
    survives === 'notebooks' &&
    attached.every(({ folder }) => folder === '') &&
    (state.mounts ?? []).every(({ shown }) => shown === 'share')
  );
}

/** Undefined where its scale set, or what it was made of, is not known any more. */
export async function readFolderSnapshot(
  world: Pick<World, 'store' | 'secrets' | 'reports' | 'clock'>,
  places: SeenPlaces,
  instance: InstanceRecord,
  attached: EngineInstance['attachments'],
): Promise<AttachmentSnapshot | undefined> {
  const { store, reports, clock } = world;
  const { scaleSetKey, name } = instance;
  const set = await findResource(store.db, scaleSetKey);
  const model = await readModel(world, scaleSetKey, instance.modelVersion);
  if (set === undefined || model === undefined) return undefined;
  const { users, groups } = await readPeople(store.db);
  const accounts = poolAccounts(users, groups, poolNameOf(scaleSetKey));
  const admin = model.profile.admin.name;
  const seen = new Map([...places.on(name)].filter(({ pool }) => pool === scaleSetKey).map((one) => [one.user, one]));
  const { isolation, survives } = readPoolTags(set.document);
  const shares = await sharesThatStay(world);
  return {
    ...{ isolation, survives, attached, admin },
    isKnown: reports.isComplete(clock.now()) && places.usersOn(name) !== undefined,
    mounts: mountsOf(instance, attached).filter(({ account, share }) => shares.has(`${account}/${share}`)),
    people: [admin, ...accounts.people.map((person) => person.name)].map((user) => {
      const binding = seen.get(user);
      const hasCome = binding !== undefined && (binding.sessions > 0 || binding.given === true);
      return {
        name: user,
        groups: accounts.groups.flatMap((group) => (group.members.includes(user) ? [group.name] : [])),
        // What they left behind counts where they are bound to, and not beside it.
        isThere: hasCome || (binding !== undefined && places.boundTo(scaleSetKey, user) === name),
        hasCome,
      };
    }),
  };
}

/** Those of an instance that was there before they were written down, too. */
function mountsOf({ state }: Pick<InstanceRecord, 'state'>, attached: EngineInstance['attachments']): AskedMount[] {
  const noted = state.mounts ?? [];
  const before = attached.filter(({ folder, path }) => folder === '' && !noted.some(({ target }) => target === path));
  return [
    ...noted,
    ...before.map(({ account, share, path }) => ({ account, share, target: path, shown: 'share' as const })),
  ];
}

/** Without those that root has taken off since. */
export function shownMounts(
  instance: Pick<InstanceRecord, 'state'>,
  attached: EngineInstance['attachments'],
): AskedMount[] {
  return mountsOf(instance, attached).filter(
    ({ target, shown }) => shown === 'workspaces' || attached.some(({ path }) => path === target),
  );
}

async function sharesThatStay({ store }: Pick<World, 'store'>): Promise<ReadonlySet<string>> {
  const accounts = await findResources(store.db, { type: 'Microsoft.Storage/storageAccounts' });
  const shares = await findResources(store.db, { type: 'Microsoft.Storage/storageAccounts/fileServices/shares' });
  return new Set(
    accounts
      .filter(({ deletingSince }) => deletingSince === undefined)
      .flatMap((account) =>
        shares
          .filter(({ key, deletingSince }) => deletingSince === undefined && key.startsWith(`${account.key}/`))
          .map((share) => `${nameOf(account.id)}/${nameOf(share.id)}`.toLowerCase()),
      ),
  );
}
