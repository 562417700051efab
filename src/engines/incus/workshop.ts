/** Where subvolumes are made before they come into a share: a folder of the pool where nobody but root comes. */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { PoolhouseError } from '../../core/errors.ts';
import type { Btrfs } from './btrfs.ts';
import type { FolderHandle } from './handles.ts';

const inTheWay = ['EEXIST', 'ENOTEMPTY', 'ENOTDIR', 'EISDIR'];

export function createWorkshop(btrfs: Btrfs, pool: string) {
  const folder = join(pool, 'poolhouse');

  async function discard(piece: string, signal: AbortSignal): Promise<void> {
    await btrfs.seal(piece, false, signal).catch(() => undefined); // it may be none that could be sealed
    await btrfs.remove(piece, signal);
  }

  return {
    /** Makes the folder, and clears away what a call that was cut off has left. */
    async prepare(signal: AbortSignal): Promise<void> {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      // What is no subvolume is nothing of ours.
      for (const left of await readdir(folder)) await discard(join(folder, left), signal).catch(() => undefined);
    },

    /**
     * Makes a subvolume, and moves it into a share: by handle, so that no link that is planted there leads it elsewhere. Nothing is left of it where
     * that fails. `Conflict` where something is in its place.
     */
    async deliver(to: { parent: FolderHandle; name: string }, make: (piece: string) => Promise<void>): Promise<void> {
      const piece = join(folder, randomBytes(8).toString('hex'));
      try {
        await make(piece);
        await rename(piece, to.parent.at(to.name));
      } catch (error) {
        await discard(piece, AbortSignal.timeout(10_000)).catch(() => undefined); // it may not have been made yet
        const { code = '' } = error as NodeJS.ErrnoException;
        if (!inTheWay.includes(code)) throw error;
        throw new PoolhouseError('Conflict', `Something else was put in the place of '${to.name}' meanwhile.`, {
          cause: error,
          retryable: true,
        });
      }
    },

    /** Empties a volume, whose place is root's alone: by a new one there. Nothing in it is walked, however deep it is. */
    async renew(volume: string, signal: AbortSignal): Promise<void> {
      const piece = join(folder, randomBytes(8).toString('hex'));
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await rename(volume, piece);
      await btrfs.create(volume, undefined, signal);
      await btrfs.remove(piece, signal);
    },

    /** Takes a subvolume out of a share, and removes it. */
    async takeOut(from: { parent: FolderHandle; name: string }, signal: AbortSignal): Promise<void> {
      const piece = join(folder, randomBytes(8).toString('hex'));
      await rename(from.parent.at(from.name), piece);
      await btrfs.remove(piece, signal);
    },
  };
}

export type Workshop = ReturnType<typeof createWorkshop>;
