/**
 * Folders of shares with rooms of their own, and snapshots: subvolumes beneath the volume of a share, all of them in one quota group, `1/ID` of the
 * volume's own subvolume. Anything new is made in a folder that is root's alone and moved into its place by handle, so that no link that
 * somebody has planted in the share leads it elsewhere.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, readdir, rename, rmdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PoolhouseError } from '../../core/errors.ts';
import type { ShareFolderSpec, ShareFolderState, ShareSnapshot } from '../engine.ts';
import { createBtrfs, type QuotaGroup, type Subvolume } from './btrfs.ts';
import { halfSnapshots } from './half-snapshots.ts';
import { isThere, openBelow, openIn, openOrMake, openTrusted, putAside, type FolderHandle } from './handles.ts';
import { moveOwners, type IdMap } from './owners.ts';

/** A share's volume, as these need it. */
export interface ShareVolume {
  /** Its folder on the host. */
  folder: string;
  quotaBytes: number;
  /** How owners are moved; undefined as long as no instance has ever been made. */
  idMap: IdMap | undefined;
}

export interface Usage {
  usedBytes: number;
  snapshotBytes: number;
}

const snapshots = '.snapshots';
const snapshotName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const mebibyte = 2 ** 20;
/** EDQUOT, on all architectures that we run on. */
const quotaExceeded = 122;
/** Ids of people and groups, which nobody else ever gets. */
const givenOnce = { first: 10_000, last: 39_999 };
/** The deepest tree whose removal the file system still counts; by itself it stops at 3, and counts all anew. */
const countedDepth = '8';

export function createShareRooms(pool: string) {
  const btrfs = createBtrfs(pool);
  /** Where things are made: nobody but root comes here. */
  const workshop = join(pool, 'poolhouse');
  const workpiece = () => join(workshop, randomBytes(8).toString('hex'));
  const rootOf = ({ idMap }: ShareVolume) => ({ uid: idMap?.uid(0) ?? 0, gid: idMap?.gid(0) ?? 0, mode: 0o755 });
  const below = (volume: ShareVolume, found: readonly Subvolume[]) => {
    const prefix = `${volume.folder.slice(pool.length + 1)}/`;
    return found.flatMap((one) =>
      one.path.startsWith(prefix) ? [{ ...one, path: one.path.slice(prefix.length) }] : [],
    );
  };
  // A snapshot is none, wherever its owner has moved it.
  const roomsOf = (volume: ShareVolume, found: readonly Subvolume[]) =>
    below(volume, found).filter(
      ({ path, createdAt }) => createdAt === undefined && !path.split('/').includes(snapshots),
    );

  async function groupOf(volume: ShareVolume, signal: AbortSignal): Promise<string> {
    const id = await btrfs.idOf(volume.folder, signal);
    const group = await btrfs.ensureGroup(id, signal);
    if (await isMiscounted()) await btrfs.recount(signal);
    return group;
  }

  function usageOf(id: number, rooms: readonly Subvolume[], groups: ReadonlyMap<string, QuotaGroup>): Usage {
    const referenced = (group: string) => groups.get(group)?.referenced ?? 0;
    const usedBytes = [id, ...rooms.map((room) => room.id)].reduce(
      (sum, one) => sum + referenced(`0/${String(one)}`),
      0,
    );
    return { usedBytes, snapshotBytes: Math.max(0, referenced(`1/${String(id)}`) - usedBytes) };
  }

  /** The limit is on all that is in the group: what snapshots keep comes on top of what the share may hold. */
  async function limit(
    volume: ShareVolume,
    id: number,
    kept: number,
    groups: ReadonlyMap<string, QuotaGroup>,
    signal: AbortSignal,
  ) {
    const group = `1/${String(id)}`;
    const wanted = volume.quotaBytes + Math.ceil(kept / mebibyte) * mebibyte;
    if (groups.has(group) && groups.get(group)?.limit !== wanted) await btrfs.limit(group, wanted, signal);
  }

  async function filesystemId(): Promise<string> {
    // The kernel shows each file system by its id, and the devices that it is on.
    const source = (await readFile('/proc/self/mountinfo', 'utf8'))
      .split('\n')
      .find((line) => line.split(' ')[4] === pool)
      ?.split(' - ')[1]
      ?.split(' ')[1];
    const device = source?.split('/').at(-1) ?? '';
    for (const id of await readdir('/sys/fs/btrfs').catch((): string[] => [])) {
      const devices = await readdir(`/sys/fs/btrfs/${id}/devices`).catch((): string[] => []);
      if (devices.includes(device)) return id;
    }
    return '';
  }

  async function isMiscounted(): Promise<boolean> {
    const file = `/sys/fs/btrfs/${await filesystemId()}/qgroups/inconsistent`;
    return (await readFile(file, 'utf8').catch(() => '0')).trim() === '1';
  }

  /** Whatever of a share has a limit. */
  async function limitsOf(volume: ShareVolume, signal: AbortSignal): Promise<{ group: string; bytes: number }[]> {
    const id = await btrfs.idOf(volume.folder, signal);
    const rooms = roomsOf(volume, await btrfs.list(signal));
    const groups = await btrfs.groups(signal);
    return [`1/${String(id)}`, ...[id, ...rooms.map((room) => room.id)].map((one) => `0/${String(one)}`)].flatMap(
      (group) => {
        const bytes = groups.get(group)?.limit;
        return bytes === undefined ? [] : [{ group, bytes }];
      },
    );
  }

  /** Where a share is so full that not even this fits, its limits are lifted for as long as it takes. */
  async function despiteQuotas<T>(volume: ShareVolume, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!isQuotaExceeded(error)) throw error;
    }
    const limits = await limitsOf(volume, signal);
    try {
      for (const { group } of limits) await btrfs.limit(group, undefined, signal);
      return await work();
    } finally {
      for (const { group, bytes } of limits) await btrfs.limit(group, bytes, AbortSignal.timeout(10_000));
    }
  }

  /** Into its place; `Conflict` where something is there. */
  async function place(piece: string, parent: FolderHandle, name: string): Promise<void> {
    try {
      await rename(piece, parent.at(name));
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      if (!['EEXIST', 'ENOTEMPTY', 'ENOTDIR', 'EISDIR'].includes(code)) throw error;
      throw new PoolhouseError('Conflict', `Something else was put in the place of '${name}' meanwhile.`, {
        cause: error,
        retryable: true,
      });
    }
  }

  /** The folder that a new one goes into, with what leads to it made as root's. */
  async function openAbove(volume: ShareVolume, names: readonly string[]): Promise<FolderHandle> {
    let here = await openTrusted(volume.folder);
    for (const name of names) {
      await using above = here;
      here = await openOrMake(above, name, rootOf(volume));
    }
    return here;
  }

  /** The `.snapshots` of a folder. What its owner has put there instead is theirs, and gets another name. */
  async function openShelf(volume: ShareVolume, folder: FolderHandle): Promise<FolderHandle> {
    const root = rootOf(volume);
    for (;;) {
      const found = await openIn(folder, snapshots).catch(noFolder);
      if (found !== undefined && (await found.owner()).uid === root.uid) return found;
      await found?.[Symbol.asyncDispose]();
      if (found === undefined && !(await isThere(folder, snapshots))) return openOrMake(folder, snapshots, root);
      await putAside(folder, snapshots, `${snapshots}-moved`);
    }
  }

  /** A snapshot of a folder, in its own `.snapshots`, once. */
  async function keep(
    volume: ShareVolume,
    folder: FolderHandle,
    name: string,
    group: string,
    signal: AbortSignal,
    prepare?: (piece: string) => Promise<void>,
  ) {
    await using shelf = await openShelf(volume, folder);
    await shelf.chmod(rootOf(volume).mode);
    if (!(await isThere(shelf, name))) {
      const piece = workpiece();
      await btrfs.snapshot(folder.path, piece, group, signal);
      await prepare?.(piece);
      await place(piece, shelf, name);
    }
    await using kept = await openIn(shelf, name);
    if (kept === undefined || !(await kept.isSubvolume()))
      throw new PoolhouseError('Conflict', `Something else is in the place of the snapshot '${name}': move it away.`);
    // Before any instance was made nobody can reach it, and its owners have still to be moved.
    if (volume.idMap !== undefined) await btrfs.seal(kept.path, true, signal);
  }

  /** Removes a snapshot that lies there, by the names that lead to it. */
  async function drop(volume: ShareVolume, names: readonly string[], signal: AbortSignal): Promise<void> {
    const name = names.at(-1) ?? '';
    await using shelf = await openBelow(volume.folder, names.slice(0, -1)).catch(noFolder);
    if (shelf === undefined) return;
    {
      await using kept = await openIn(shelf, name).catch(noFolder);
      if (kept === undefined || !(await kept.isSubvolume())) return;
      await btrfs.seal(kept.path, false, signal);
    }
    const piece = workpiece();
    await rename(shelf.at(name), piece);
    await btrfs.remove(piece, signal);
  }

  /** Whose folder it is where not the one's who is to have it: ids of people and groups are given once. */
  async function othersId(
    volume: ShareVolume,
    found: FolderHandle,
    spec: ShareFolderSpec,
  ): Promise<number | undefined> {
    if (spec.claimed !== true) return undefined;
    const { uid, gid } = await found.owner();
    const isOthers = (id: number | undefined, own: number): id is number =>
      id !== undefined && id !== own && id >= givenOnce.first && id <= givenOnce.last;
    const user = volume.idMap === undefined ? uid : volume.idMap.uidInside(uid);
    if (isOthers(user, spec.uid)) return user;
    const group = volume.idMap === undefined ? gid : volume.idMap.gidInside(gid);
    return spec.uid === 0 && isOthers(group, spec.gid) ? group : undefined;
  }

  /** Removes all that was kept by that name. The share's own goes last: as long as it is there, what is left of it is found again. */
  async function dropNamed(volume: ShareVolume, name: string, signal: AbortSignal): Promise<void> {
    const kept = below(volume, await btrfs.list(signal))
      .filter(({ path, createdAt }) => createdAt !== undefined && path.split('/').at(-1) === name)
      .map(({ path }) => path.split('/'))
      .toSorted((one, other) => other.length - one.length);
    for (const names of kept) await drop(volume, names, signal);
  }

  /** What rooms have kept of a snapshot that could not be taken. One that is on the share's own shelf is whole, and stays. */
  async function dropHalf(volume: ShareVolume, root: FolderHandle, name: string): Promise<void> {
    await using shelf = await openIn(root, snapshots);
    if (shelf !== undefined && (await isThere(shelf, name))) return;
    // Not by the signal of who asked for it: that one may be why it was cut off.
    await dropNamed(volume, name, AbortSignal.timeout(60_000));
  }

  const rooms = {
    /** Makes ready what these stand on, and clears away what a call that was cut off has left. */
    async prepare(signal: AbortSignal): Promise<void> {
      await mkdir(workshop, { recursive: true, mode: 0o700 });
      await btrfs.countQuotas(signal);
      for (const left of await readdir(workshop)) {
        const path = join(workshop, left);
        await btrfs.seal(path, false, signal).catch(() => undefined);
        await btrfs.remove(path, signal).catch(() => undefined); // what is no subvolume is nothing of ours
      }
      const depth = `/sys/fs/btrfs/${await filesystemId()}/qgroups/drop_subtree_threshold`;
      await writeFile(depth, countedDepth).catch(() => undefined); // older kernels always count, and a unit of systemd's may not
      if (await isMiscounted()) await btrfs.recount(signal);
    },

    /** What is on the volume is moved to the instances' numbers; `idMap` says how. Only before anything was ever shown of it. */
    async moveOwners(volume: ShareVolume, idMap: IdMap, signal: AbortSignal): Promise<void> {
      await moveOwners(volume.folder, idMap);
      for (const { path } of below(volume, await btrfs.list(signal)))
        if (path.split('/').at(-2) === snapshots) await btrfs.seal(join(volume.folder, path), true, signal);
    },

    /** Before a share is removed: what is full cannot even be removed. */
    async unlimit(volume: ShareVolume, signal: AbortSignal): Promise<void> {
      for (const { group } of await limitsOf(volume, signal)) await btrfs.limit(group, undefined, signal);
    },

    /** The share's quota holds for all that is in it. */
    async limit(volume: ShareVolume, signal: AbortSignal): Promise<void> {
      await groupOf(volume, signal);
      const id = await btrfs.idOf(volume.folder, signal);
      const [found, groups] = [await btrfs.list(signal), await btrfs.groups(signal)];
      await limit(volume, id, usageOf(id, roomsOf(volume, found), groups).snapshotBytes, groups, signal);
    },

    /** What each volume holds, in their order; what snapshots keep is looked at, so that quotas go on meaning what they say. */
    async usages(volumes: readonly ShareVolume[], signal: AbortSignal): Promise<(Usage | undefined)[]> {
      const [found, groups] = [await btrfs.list(signal), await btrfs.groups(signal)];
      const ids = new Map(found.map(({ id, path }) => [join(pool, path), id]));
      const result: (Usage | undefined)[] = [];
      for (const volume of volumes) {
        const id = ids.get(volume.folder);
        const usage = id === undefined ? undefined : usageOf(id, roomsOf(volume, found), groups);
        if (id !== undefined && usage !== undefined) await limit(volume, id, usage.snapshotBytes, groups, signal);
        result.push(usage);
      }
      return result;
    },

    async ensureFolder(
      volume: ShareVolume,
      spec: ShareFolderSpec,
      signal: AbortSignal,
    ): Promise<'made' | 'kept' | 'plain'> {
      const group = await groupOf(volume, signal);
      const names = spec.folder.split('/');
      const name = names.pop() ?? '';
      await using parent = await openAbove(volume, names);
      const isClaimed = spec.claimed === true;
      await using found = await openIn(parent, name).catch(isClaimed ? noFolder : rethrow);
      // A link or a file is nobody's workspace: it makes way, and is followed by nobody.
      if (isClaimed && found === undefined && (await isThere(parent, name)))
        await putAside(parent, name, `${name}-moved`);
      const other = found === undefined ? undefined : await othersId(volume, found, spec);
      if (other !== undefined) await putAside(parent, name, `${name}-${String(other)}`);
      else if (found !== undefined) {
        if (!(await found.isSubvolume())) return 'plain';
        const own = `0/${String(await btrfs.idOf(found.path, signal))}`;
        const before = (await btrfs.groups(signal)).get(own)?.limit;
        if (before !== spec.quotaBytes) await btrfs.limit(own, spec.quotaBytes, signal);
        return 'kept';
      }
      const piece = workpiece();
      await btrfs.create(piece, group, signal);
      {
        await using made = await openTrusted(piece);
        await made.chown(volume.idMap?.uid(spec.uid) ?? spec.uid, volume.idMap?.gid(spec.gid) ?? spec.gid);
        await made.chmod(spec.mode);
      }
      if (spec.quotaBytes !== undefined)
        await btrfs.limit(`0/${String(await btrfs.idOf(piece, signal))}`, spec.quotaBytes, signal);
      await place(piece, parent, name);
      return 'made';
    },

    async listFolders(volume: ShareVolume, signal: AbortSignal): Promise<ShareFolderState[]> {
      const [found, groups] = [await btrfs.list(signal), await btrfs.groups(signal)];
      return roomsOf(volume, found).map(({ id, path }) => {
        const group = groups.get(`0/${String(id)}`);
        return {
          folder: path,
          usedBytes: group?.referenced ?? 0,
          ...(group?.limit === undefined ? {} : { quotaBytes: group.limit }),
        };
      });
    },

    /** The number of a folder's subvolume; undefined where there is no such folder. `Conflict` where it has no room of its own. */
    async subvolumeOf(volume: ShareVolume, folder: string, signal: AbortSignal): Promise<number | undefined> {
      await using found = await openBelow(volume.folder, folder.split('/'));
      if (found === undefined) return undefined;
      if (await found.isSubvolume()) return await btrfs.idOf(found.path, signal);
      throw new PoolhouseError(
        'Conflict',
        `The folder '${folder}' has no room of its own, so that it cannot be shown without the rest of its share: move it away, and it is made anew.`,
      );
    },

    async snapshot(volume: ShareVolume, name: string, signal: AbortSignal): Promise<void> {
      checkName(name);
      const group = await groupOf(volume, signal);
      const rooms = roomsOf(volume, await btrfs.list(signal)).map(({ path }) => path);
      await using root = await openTrusted(volume.folder);
      try {
        await keep(volume, root, name, group, signal, async (piece) => {
          for (const path of rooms) {
            await using room = await openBelow(volume.folder, path.split('/')).catch(noFolder);
            if (room === undefined) continue;
            const isKept = await keep(volume, room, name, group, signal).then(
              () => true,
              (error: unknown) => {
                noFolder(error);
                return false;
              },
            );
            if (isKept) await showKept(piece, path, name);
          }
        });
      } catch (error) {
        // What cannot be removed now goes when the engine is prepared the next time.
        await dropHalf(volume, root, name).catch(() => undefined);
        throw error;
      }
    },

    /** Removes what snapshots that were cut off have left in the rooms of these. Only while no snapshot is being taken. */
    async removeHalves(volumes: readonly ShareVolume[], signal: AbortSignal): Promise<void> {
      const found = await btrfs.list(signal);
      for (const volume of volumes)
        for (const { room, name } of halfSnapshots(below(volume, found).map(({ path }) => path)))
          await drop(volume, [...room.split('/'), snapshots, name], signal).catch(() => undefined); // the next time
    },

    async listSnapshots(volume: ShareVolume, signal: AbortSignal): Promise<ShareSnapshot[]> {
      return below(volume, await btrfs.list(signal))
        .flatMap(({ path, createdAt }) => {
          const [shelf, name = '', ...rest] = path.split('/');
          return shelf === snapshots && rest.length === 0 && createdAt !== undefined ? [{ name, createdAt }] : [];
        })
        .sort((one, other) => one.createdAt - other.createdAt || one.name.localeCompare(other.name));
    },

    async deleteSnapshot(volume: ShareVolume, name: string, signal: AbortSignal): Promise<void> {
      checkName(name);
      await dropNamed(volume, name, signal);
    },

    /** What was counted for a share that is gone. */
    async forget(id: number | undefined, signal: AbortSignal): Promise<void> {
      if (id !== undefined) await btrfs.removeGroup(`1/${String(id)}`, signal).catch(() => undefined); // it counts nothing any more
    },
    idOf: (volume: Pick<ShareVolume, 'folder'>, signal: AbortSignal) => btrfs.idOf(volume.folder, signal),
  };
  return {
    ...rooms,
    ensureFolder: (volume: ShareVolume, spec: ShareFolderSpec, signal: AbortSignal) =>
      despiteQuotas(volume, signal, () => rooms.ensureFolder(volume, spec, signal)),
    snapshot: (volume: ShareVolume, name: string, signal: AbortSignal) =>
      despiteQuotas(volume, signal, () => rooms.snapshot(volume, name, signal)),
    deleteSnapshot: (volume: ShareVolume, name: string, signal: AbortSignal) =>
      despiteQuotas(volume, signal, () => rooms.deleteSnapshot(volume, name, signal)),
  };
}

export type ShareRooms = ReturnType<typeof createShareRooms>;

/** In a share's snapshot a room is an empty folder: a link in its place leads to what the room has kept itself. */
async function showKept(piece: string, room: string, name: string): Promise<void> {
  const names = room.split('/');
  await using parent = await openBelow(piece, names.slice(0, -1));
  if (parent === undefined) return;
  const last = names.at(-1) ?? '';
  await rmdir(parent.at(last)).catch(() => undefined); // it may have been made since
  const up = '../'.repeat(names.length + 1);
  await symlink(`${up}${room}/${snapshots}/${name}`, parent.at(last)).catch(() => undefined);
}

/** What people have put in the place of a folder is theirs: nothing is done there. */
function noFolder(error: unknown): undefined {
  if (error instanceof PoolhouseError && error.code === 'Conflict') return undefined;
  throw error;
}

function isQuotaExceeded(error: unknown): boolean {
  // Node knows no name for it.
  if ((error as NodeJS.ErrnoException | undefined)?.errno === -quotaExceeded) return true;
  return error instanceof PoolhouseError && /quota exceeded/i.test(error.message);
}

function rethrow(error: unknown): never {
  throw error;
}

function checkName(name: string): void {
  if (!snapshotName.test(name))
    throw new PoolhouseError(
      'InvalidParameter',
      `'${name.slice(0, 80)}' is no name of a snapshot: expected are letters, digits, '.', '_' and '-'.`,
    );
}
