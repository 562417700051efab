/**
 * What an instance is shown of its shares. Pure: the same snapshot gives the same steps, and one that is as it should be gives none.
 *
 * A script in an instance asks for a whole share. With `isolation: 'user'` it is shown folders of it instead: the workspace of the
 * template's admin user, and of each person who is there their workspace and their groups' folders. With `survives: 'home'` a person's
 * workspace on the first share is shown in the place of their home, too, as long as they are there: it is their home.
 *
 * Whoever is root inside can run programs as anybody, so what is seen in an instance shows nobody's folder there: only who came
 * by the front door does. What is seen there keeps what is shown already.
 */
import type { AskedMount } from './instance-state.ts';

/** A folder of a share (all of it: '') at a path of an instance. */
export interface ShownFolder {
  account: string;
  share: string;
  folder: string;
  path: string;
}

export interface PersonThere {
  name: string;
  /** Of the pool's. */
  groups: readonly string[];
  /** They have anything there that binds them: a session, a process, a lease. */
  isThere: boolean;
  /** And they have come by the front door, or are about to. */
  hasCome: boolean;
}

export interface AttachmentSnapshot {
  isolation: 'share' | 'user';
  survives: 'notebooks' | 'home';
  /** Who is there is known: nobody is taken for gone only because nobody has told yet. */
  isKnown: boolean;
  /** Whole shares that were asked for and are there, in the order in which they were mounted. */
  mounts: readonly AskedMount[];
  attached: readonly ShownFolder[];
  /** The template's user: their home is the affair of its script. */
  admin: string;
  /** The admin user among them. */
  people: readonly PersonThere[];
}

export type ShownAs = 'share' | 'workspace' | 'group' | 'home';

export type AttachmentStep =
  /** All of somebody's processes there: what is taken away would stay with who has it open. */
  | { step: 'endProcesses'; user: string }
  | { step: 'detach'; path: string }
  /** `of`: whose it is; '' for a share. */
  | { step: 'attach'; as: ShownAs; of: string; mount: string; shown: ShownFolder }
  /** From now on the mount shows this. */
  | { step: 'note'; mount: string; shown: AskedMount['shown'] };

/** Where people's workspaces and groups' folders are on a share. */
export const workspaceOf = (user: string) => `notebooks/${user}`;
const groupFolderOf = (group: string) => `groups/${group}`;
const homeAt = (user: string) => `/home/${user}`;

interface Wanted {
  as: ShownAs;
  of: string;
  mount: string;
  shown: ShownFolder;
}

export function planAttachments(snapshot: AttachmentSnapshot): AttachmentStep[] {
  const { mounts, attached, people, isolation, isKnown } = snapshot;
  const isEmpty = isKnown && !people.some(({ isThere }) => isThere);
  // What a mount shows is changed only when nobody is there: folders would go from under their feet.
  const asWanted = (mount: AskedMount): AskedMount['shown'] =>
    isEmpty ? (isolation === 'user' ? 'workspaces' : 'share') : mount.shown;

  const wanted = mounts.flatMap((mount, index) =>
    wantedOf(snapshot, mount, asWanted(mount), asWanted(mount) !== mount.shown, index === 0),
  );
  const wantedPaths = new Map(wanted.map((one) => [one.shown.path, one]));
  const isWanted = (one: ShownFolder) => {
    const found = wantedPaths.get(one.path)?.shown;
    return (
      found !== undefined && found.account === one.account && found.share === one.share && found.folder === one.folder
    );
  };

  // Without isolation, other folders and other places of them were asked for by whoever is root there.
  const isOurs = (one: ShownFolder) =>
    one.folder === ''
      ? mounts.some((mount) => mount.target === one.path && asWanted(mount) === 'workspaces')
      : isolation === 'user' ||
        isHome(one) ||
        (/^(notebooks|groups)\/[^/]+$/.test(one.folder) &&
          mounts.some(({ target }) => one.path === `${target}/${one.folder}`));

  const surplus = isKnown ? attached.filter((one) => isOurs(one) && !isWanted(one)) : [];
  const isThere = new Set(people.flatMap((person) => (person.isThere ? [person.name] : [])));
  const leaving = [...new Set(surplus.flatMap((one) => personOf(one.folder) ?? []))].filter(
    (name) => name !== snapshot.admin && !isThere.has(name),
  );
  const present = new Set(attached.filter(isWanted).map(({ path }) => path));
  return [
    ...leaving.map((user): AttachmentStep => ({ step: 'endProcesses', user })),
    // What lies in another goes first.
    ...surplus
      .toSorted((a, b) => outermost(a) - outermost(b))
      .map(({ path }): AttachmentStep => ({ step: 'detach', path })),
    ...wanted
      .filter(({ shown }) => !present.has(shown.path))
      .map((one): AttachmentStep => ({ step: 'attach', ...one })),
    ...mounts
      .filter((mount) => asWanted(mount) !== mount.shown)
      .map((mount): AttachmentStep => ({ step: 'note', mount: mount.target, shown: asWanted(mount) })),
  ];
}

function wantedOf(
  { attached, people, admin, survives }: AttachmentSnapshot,
  { account, share, target }: AskedMount,
  shown: AskedMount['shown'],
  isChanging: boolean,
  isFirst: boolean,
): Wanted[] {
  const isShown = (folder: string, path: string) =>
    attached.some(
      (one) => one.account === account && one.share === share && one.folder === folder && one.path === path,
    );
  const want = (
    as: ShownAs,
    of: string,
    folder: string,
    path = folder === '' ? target : `${target}/${folder}`,
  ): Wanted => ({
    ...{ as, of, mount: target },
    shown: { account, share, folder, path },
  });
  const there = people.filter(({ name, isThere }) => isThere && name !== admin);
  /** Who came is shown it; who is only seen there keeps it. */
  const unlessOnlySeen = (one: Wanted, somebodyCame: boolean) =>
    somebodyCame || isShown(one.shown.folder, one.shown.path) ? [one] : [];

  const homes = there.flatMap(({ name, hasCome }) =>
    isFirst ? unlessOnlySeen(want('home', name, workspaceOf(name), homeAt(name)), hasCome && survives === 'home') : [],
  );
  // A whole share is attached by its mount: what root has taken off since stays off.
  if (shown === 'share') return [...(isChanging || isShown('', target) ? [want('share', '', '')] : []), ...homes];
  const groups = [...new Set(there.flatMap((person) => person.groups))].toSorted();
  return [
    want('workspace', admin, workspaceOf(admin)),
    ...there.flatMap(({ name, hasCome }) => unlessOnlySeen(want('workspace', name, workspaceOf(name)), hasCome)),
    ...groups.flatMap((group) =>
      unlessOnlySeen(
        want('group', group, groupFolderOf(group)),
        there.some((person) => person.hasCome && person.groups.includes(group)),
      ),
    ),
    ...homes,
  ];
}

const personOf = (folder: string) => /^notebooks\/([^/]+)$/.exec(folder)?.[1];
/** Somebody's workspace in the place of their home. */
export const isHome = ({ folder, path }: Pick<ShownFolder, 'folder' | 'path'>): boolean => {
  const user = personOf(folder);
  return user !== undefined && path === homeAt(user);
};

/** Folders are shown in what a share shows. */
const outermost = (one: ShownFolder): number => (one.folder === '' ? 2 : isHome(one) ? 0 : 1);
