/**
 * Snapshots of shares: subvolumes in `.snapshots` of the share, and of each of its folders with a room of its own. People own those folders, so
 * what is in the way there is theirs, and a snapshot is found by its name wherever they have moved it.
 */
import { rmdir, symlink } from 'node:fs/promises';
import { PoolhouseError } from '../../core/errors.ts';
import type { ShareSnapshot } from '../engine.ts';
import type { Btrfs, Subvolume } from './btrfs.ts';
import { halfSnapshots } from './half-snapshots.ts';
import {
  isThere,
  noFolder,
  openBelow,
  openIn,
  openOrMake,
  openTrusted,
  putAside,
  type FolderHandle,
} from './handles.ts';
import type { Workshop } from './workshop.ts';

/** A share, as its snapshots need it. Paths are from the share's root. */
export interface KeptShare {
  /** On the host. */
  folder: string;
  /** The quota group that all of it is in. */
  group: string;
  root: { uid: number; gid: number; mode: number };
  /** False as long as no instance was ever made: then nobody can reach it, and its owners have still to be moved. */
  isSealable: boolean;
}

export const shelfName = '.snapshots';
const snapshotName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

/** A subvolume that was made as a snapshot is no room, wherever its owner has moved it. */
export const isRoom = ({ path, createdAt }: Pick<Subvolume, 'path' | 'createdAt'>) =>
  createdAt === undefined && !path.split('/').includes(shelfName);

export function createShareSnapshots(btrfs: Btrfs, workshop: Workshop) {
  /** The `.snapshots` of a folder. What its owner has put there instead gets another name. */
  async function openShelf({ root }: KeptShare, folder: FolderHandle): Promise<FolderHandle> {
    for (;;) {
      const found = await openIn(folder, shelfName).catch(noFolder);
      if (found !== undefined && (await found.owner()).uid === root.uid) return found;
      await found?.[Symbol.asyncDispose]();
      if (found === undefined && !(await isThere(folder, shelfName))) return openOrMake(folder, shelfName, root);
      await putAside(folder, shelfName, `${shelfName}-moved`);
    }
  }

  /** A snapshot of a folder, in its own `.snapshots`, once. `Conflict` where something else has its name. */
  async function keep(
    share: KeptShare,
    folder: FolderHandle,
    name: string,
    signal: AbortSignal,
    prepare?: (piece: string) => Promise<void>,
  ): Promise<void> {
    await using shelf = await openShelf(share, folder);
    await shelf.chmod(share.root.mode);
    if (!(await isThere(shelf, name)))
      await workshop.deliver({ parent: shelf, name }, async (piece) => {
        await btrfs.snapshot(folder.path, piece, share.group, signal);
        await prepare?.(piece);
      });
    await using kept = await openIn(shelf, name);
    if (kept === undefined || !(await kept.isSubvolume()))
      throw new PoolhouseError('Conflict', `Something else is in the place of the snapshot '${name}': move it away.`);
    if (share.isSealable) await btrfs.seal(kept.path, true, signal);
  }

  /** Removes a snapshot that lies there, by the names that lead to it. */
  async function drop(folder: string, names: readonly string[], signal: AbortSignal): Promise<void> {
    const name = names.at(-1) ?? '';
    await using shelf = await openBelow(folder, names.slice(0, -1)).catch(noFolder);
    if (shelf === undefined) return;
    {
      await using kept = await openIn(shelf, name).catch(noFolder);
      if (kept === undefined || !(await kept.isSubvolume())) return;
      await btrfs.seal(kept.path, false, signal);
    }
    await workshop.takeOut({ parent: shelf, name }, signal);
  }

  /** Removes all that was kept by that name. The share's own goes last: as long as it is there, what is left of it is found again. */
  async function remove(folder: string, present: readonly Subvolume[], name: string, signal: AbortSignal) {
    checkName(name);
    const kept = present
      .filter(({ path, createdAt }) => createdAt !== undefined && path.split('/').at(-1) === name)
      .map(({ path }) => path.split('/'))
      .toSorted((one, other) => other.length - one.length);
    for (const names of kept) await drop(folder, names, signal);
  }

  return {
    remove,

    /** `present` says what there is of the share, when it is asked. */
    async take(
      share: KeptShare,
      present: (signal: AbortSignal) => Promise<Subvolume[]>,
      name: string,
      signal: AbortSignal,
    ) {
      checkName(name);
      const rooms = (await present(signal)).filter(isRoom);
      await using root = await openTrusted(share.folder);
      try {
        await keep(share, root, name, signal, async (piece) => {
          for (const { path } of rooms) {
            await using room = await openBelow(share.folder, path.split('/')).catch(noFolder);
            if (room === undefined) continue;
            const isKept = await keep(share, room, name, signal).then(
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
        // What cannot be removed now goes when the engine is prepared the next time. Not by the signal that may have cut it off.
        const late = AbortSignal.timeout(60_000);
        await using shelf = await openIn(root, shelfName).catch(noFolder);
        const isWhole = shelf !== undefined && (await isThere(shelf, name));
        if (!isWhole) await remove(share.folder, await present(late), name, late).catch(() => undefined);
        throw error;
      }
    },

    /** Removes what snapshots that were cut off have left in rooms. Only while none is being taken. */
    async removeHalves(folder: string, present: readonly Subvolume[], signal: AbortSignal): Promise<void> {
      for (const { room, name } of halfSnapshots(present.map(({ path }) => path)))
        await drop(folder, [...room.split('/'), shelfName, name], signal).catch(() => undefined); // the next time
    },

    /** Those of the share itself, newest last. */
    list(present: readonly Subvolume[]): ShareSnapshot[] {
      return present
        .flatMap(({ path, createdAt }) => {
          const [shelf, name = '', ...rest] = path.split('/');
          return shelf === shelfName && rest.length === 0 && createdAt !== undefined ? [{ name, createdAt }] : [];
        })
        .sort((one, other) => one.createdAt - other.createdAt || one.name.localeCompare(other.name));
    },
  };
}

/** In a share's snapshot a room is an empty folder: a link in its place leads to what the room has kept itself. */
async function showKept(piece: string, room: string, name: string): Promise<void> {
  const names = room.split('/');
  await using parent = await openBelow(piece, names.slice(0, -1));
  if (parent === undefined) return;
  const last = names.at(-1) ?? '';
  await rmdir(parent.at(last)).catch(() => undefined); // it may have been made since
  const up = '../'.repeat(names.length + 1);
  await symlink(`${up}${room}/${shelfName}/${name}`, parent.at(last)).catch(() => undefined);
}

function checkName(name: string): void {
  if (!snapshotName.test(name))
    throw new PoolhouseError(
      'InvalidParameter',
      `'${name.slice(0, 80)}' is no name of a snapshot: expected are letters, digits, '.', '_' and '-'.`,
    );
}
