/**
 * Quotas of shares: the file system counts what each subvolume refers to (`0/ID`), and what all of a share do together (`1/ID` of the volume's
 * own subvolume, in which all the others are). What only snapshots keep comes on top of what a share may hold.
 */
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { PoolhouseError } from '../../core/errors.ts';
import type { Btrfs, QuotaGroup, Subvolume } from './btrfs.ts';
import { parseMounts } from './folder-mounts.ts';

export interface Usage {
  usedBytes: number;
  snapshotBytes: number;
}

/** A share as its quota sees it. */
export interface CountedShare {
  /** Of the volume's own subvolume. */
  id: number;
  quotaBytes: number;
  /** Its folders with rooms of their own. */
  rooms: readonly Pick<Subvolume, 'id'>[];
}

const mebibyte = 2 ** 20;
/** EDQUOT, on all architectures that we run on; Node knows no name for it. */
const quotaExceeded = 122;
/** The deepest tree whose removal the file system still counts; by itself it stops at 3, and counts all anew. */
const countedDepth = '8';

/** @param pool the root of the file system */
export function createShareQuotas(btrfs: Btrfs, pool: string) {
  /** What the kernel tells of the file system's quotas. */
  async function ownFolder(): Promise<string> {
    const mounts = parseMounts(await readFile('/proc/self/mountinfo', 'utf8'));
    const device =
      mounts
        .find(({ target }) => target === pool)
        ?.source.split('/')
        .at(-1) ?? '';
    for (const id of await readdir('/sys/fs/btrfs').catch((): string[] => [])) {
      const devices = await readdir(`/sys/fs/btrfs/${id}/devices`).catch((): string[] => []);
      if (devices.includes(device)) return `/sys/fs/btrfs/${id}/qgroups`;
    }
    return '/sys/fs/btrfs/unknown/qgroups';
  }

  /** Where its counts are not right it enforces nothing, until all is counted anew. */
  async function mend(signal: AbortSignal): Promise<void> {
    const said = await readFile(`${await ownFolder()}/inconsistent`, 'utf8').catch(() => '0');
    if (said.trim() === '1') await btrfs.recount(signal);
  }

  function usageOf({ id, rooms }: Pick<CountedShare, 'id' | 'rooms'>, groups: ReadonlyMap<string, QuotaGroup>): Usage {
    const referenced = (group: string) => groups.get(group)?.referenced ?? 0;
    const all = [id, ...rooms.map((room) => room.id)];
    const usedBytes = all.reduce((sum, one) => sum + referenced(`0/${String(one)}`), 0);
    return { usedBytes, snapshotBytes: Math.max(0, referenced(`1/${String(id)}`) - usedBytes) };
  }

  async function limitsOf({ id, rooms }: Pick<CountedShare, 'id' | 'rooms'>, signal: AbortSignal) {
    const groups = await btrfs.groups(signal);
    const own = [id, ...rooms.map((room) => room.id)].map((one) => `0/${String(one)}`);
    return [`1/${String(id)}`, ...own].flatMap((group) => {
      const bytes = groups.get(group)?.limit;
      return bytes === undefined ? [] : [{ group, bytes }];
    });
  }

  return {
    async prepare(signal: AbortSignal): Promise<void> {
      await btrfs.countQuotas(signal);
      // Older kernels always count, and a unit of systemd's may not say so.
      await writeFile(`${await ownFolder()}/drop_subtree_threshold`, countedDepth).catch(() => undefined);
      await mend(signal);
    },

    /** The group that all of a share is in, which is made where it is missing. */
    async groupOf(id: number, signal: AbortSignal): Promise<string> {
      const group = await btrfs.ensureGroup(id, signal);
      await mend(signal);
      return group;
    },

    /** What a share holds; what snapshots keep is looked at, so that its quota goes on meaning what it says. */
    async keepUp(share: CountedShare, groups: ReadonlyMap<string, QuotaGroup>, signal: AbortSignal): Promise<Usage> {
      const usage = usageOf(share, groups);
      const group = `1/${String(share.id)}`;
      const wanted = share.quotaBytes + Math.ceil(usage.snapshotBytes / mebibyte) * mebibyte;
      if (groups.has(group) && groups.get(group)?.limit !== wanted) await btrfs.limit(group, wanted, signal);
      return usage;
    },

    /** Of one subvolume alone; undefined: none. */
    async limitOf(id: number, signal: AbortSignal): Promise<number | undefined> {
      return (await btrfs.groups(signal)).get(`0/${String(id)}`)?.limit;
    },
    limit: (id: number, bytes: number | undefined, signal: AbortSignal) =>
      btrfs.limit(`0/${String(id)}`, bytes, signal),

    /** Before a share is removed: what is full cannot even be removed. */
    async unlimit(share: Pick<CountedShare, 'id' | 'rooms'>, signal: AbortSignal): Promise<void> {
      for (const { group } of await limitsOf(share, signal)) await btrfs.limit(group, undefined, signal);
    },

    /** Where a share is so full that not even this fits, its limits are lifted for as long as it takes. */
    async despite<T>(
      counted: () => Promise<Pick<CountedShare, 'id' | 'rooms'>>,
      signal: AbortSignal,
      work: () => Promise<T>,
    ): Promise<T> {
      try {
        return await work();
      } catch (error) {
        if (!isQuotaExceeded(error)) throw error;
      }
      const limits = await limitsOf(await counted(), signal);
      try {
        for (const { group } of limits) await btrfs.limit(group, undefined, signal);
        return await work();
      } finally {
        for (const { group, bytes } of limits) await btrfs.limit(group, bytes, AbortSignal.timeout(10_000));
      }
    },

    /** What was counted for a share that is gone. */
    async forget(id: number | undefined, signal: AbortSignal): Promise<void> {
      if (id !== undefined) await btrfs.removeGroup(`1/${String(id)}`, signal).catch(() => undefined); // it counts nothing any more
    },
  };
}

export type ShareQuotas = ReturnType<typeof createShareQuotas>;

function isQuotaExceeded(error: unknown): boolean {
  if ((error as NodeJS.ErrnoException | undefined)?.errno === -quotaExceeded) return true;
  return error instanceof PoolhouseError && /quota exceeded/i.test(error.message);
}
