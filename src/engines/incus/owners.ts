/**
 * Who owns what on a volume. Instances count people from 0; on disk every number is moved up by the instances' id map. The daemon moves the
 * owners of a volume when it is first shown to an instance, and cannot where it holds what may not be changed; so it is done here, before
 * anything else is, and the daemon finds it done.
 */
import { lchown, lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

/** Where the daemon notes how the owners on a volume were moved. */
export const movedKey = 'volatile.idmap.last';
/** How they are to be moved. */
export const toMoveKey = 'volatile.idmap.next';

const mapSchema = z.array(
  z.object({
    Isuid: z.boolean(),
    Isgid: z.boolean(),
    Hostid: z.number(),
    Nsid: z.number(),
    Maprange: z.number(),
  }),
);

export interface IdMap {
  /** As the daemon writes it. */
  text: string;
  uid(inside: number): number;
  gid(inside: number): number;
  /** The other way round; undefined for numbers of the host's own. */
  uidInside(onHost: number): number | undefined;
  gidInside(onHost: number): number | undefined;
}

/** Undefined where the daemon has noted nothing, or that nothing was moved. */
export function readIdMap(text: string | undefined): IdMap | undefined {
  if (text === undefined || text === '') return undefined;
  const ranges = mapSchema.parse(JSON.parse(text));
  if (ranges.length === 0) return undefined;
  const moved = (kind: 'Isuid' | 'Isgid') => (inside: number) => {
    const range = ranges.find((one) => one[kind] && inside >= one.Nsid && inside < one.Nsid + one.Maprange);
    if (range === undefined)
      throw new RangeError(`the number ${String(inside)} is in no range of the instances' id map`);
    return range.Hostid + inside - range.Nsid;
  };
  const back = (kind: 'Isuid' | 'Isgid') => (onHost: number) => {
    const range = ranges.find((one) => one[kind] && onHost >= one.Hostid && onHost < one.Hostid + one.Maprange);
    return range === undefined ? undefined : range.Nsid + onHost - range.Hostid;
  };
  return {
    ...{ text, uid: moved('Isuid'), gid: moved('Isgid') },
    ...{ uidInside: back('Isuid'), gidInside: back('Isgid') },
  };
}

/** Moves the owners of all that is in a folder which nobody but root has ever reached. What was moved already stays. */
export async function moveOwners(folder: string, map: IdMap): Promise<void> {
  const { uid, gid } = await lstat(folder);
  const base = map.uid(0);
  if (uid < base) await lchown(folder, map.uid(uid), map.gid(gid));
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await moveOwners(path, map);
    else {
      const found = await lstat(path);
      if (found.uid < base) await lchown(path, map.uid(found.uid), map.gid(found.gid));
    }
  }
}
