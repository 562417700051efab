/**
 * Which folders a share has to have for the people and groups that use it, and what is to be done for that. Pure. A folder that is
 * there is never taken away: whoever leaves finds their files when they come back.
 */

export interface FolderOwner {
  name: string;
  uid: number;
  gid: number;
  /** A person of the installation; otherwise a template's admin user. */
  person: boolean;
  /** Their own quota in bytes; `none` lifts the usual one. */
  quota?: number | 'none';
}

export interface FolderGroup {
  name: string;
  gid: number;
  quota?: number | 'none';
}

export interface WantedFolder {
  /** From the share's root. */
  folder: string;
  uid: number;
  gid: number;
  mode: number;
  quotaBytes?: number;
  /** Names are given anew, ids are not: what is there under the name and belongs to another id has to make way. */
  claimed: boolean;
}

export interface FoundFolders {
  /** Those with rooms of their own. */
  rooms: readonly { folder: string; quotaBytes?: number }[];
  /** Whose each folder is known to be. */
  owners: ReadonlyMap<string, string>;
}

/** What tells one owner of a folder from another of the same name. */
export const ownerOf = ({ uid, gid }: Pick<WantedFolder, 'uid' | 'gid'>): string => `${uid}:${gid}`;

export const workspaceOf = (user: string): string => `notebooks/${user}`;
export const groupFolderOf = (group: string): string => `groups/${group}`;

/**
 * The folders, each once, in the order of their paths.
 *
 * @param usualQuota of people who have none of their own
 */
export function wantedFolders(
  users: readonly FolderOwner[],
  groups: readonly FolderGroup[],
  usualQuota: number | undefined,
): WantedFolder[] {
  const folders = [
    ...users.map(({ name, uid, gid, person, quota }): WantedFolder => ({
      ...{ folder: workspaceOf(name), uid, gid, mode: 0o700, claimed: person },
      ...limit(quota ?? (person ? usualQuota : undefined)),
    })),
    ...groups.map(({ name, gid, quota }): WantedFolder => ({
      ...{ folder: groupFolderOf(name), uid: 0, gid, mode: 0o2770, claimed: true },
      ...limit(quota),
    })),
  ];
  const byPath = new Map<string, WantedFolder>();
  // An admin user's name may be that of another pool's: the first to come has the folder, as on one machine.
  for (const one of folders) if (!byPath.has(one.folder)) byPath.set(one.folder, one);
  return [...byPath.values()].toSorted((a, b) => (a.folder < b.folder ? -1 : 1));
}

/**
 * Those to be made, to be given another quota, or of which nobody has made sure yet that they belong to nobody else; none where all is
 * as it is wanted. What is there without a room of its own is asked for each time: it may have been moved away.
 */
export function planWorkspaces(wanted: readonly WantedFolder[], { rooms, owners }: FoundFolders): WantedFolder[] {
  const found = new Map(rooms.map((room) => [room.folder, room]));
  return wanted.filter((one) => {
    const room = found.get(one.folder);
    const mayBeOthers = one.claimed && owners.get(one.folder) !== ownerOf(one);
    return room === undefined || room.quotaBytes !== one.quotaBytes || mayBeOthers;
  });
}

function limit(quota: number | 'none' | undefined): Pick<WantedFolder, 'quotaBytes'> {
  return typeof quota === 'number' ? { quotaBytes: quota } : {};
}
