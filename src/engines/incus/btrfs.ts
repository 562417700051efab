/** The file system that shares lie on: subvolumes, and quota groups. Each call is one run of `btrfs`, which takes milliseconds. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { PoolhouseError } from '../../core/errors.ts';
import type { EpochMillis } from '../../core/time.ts';

const limitMs = 60_000;
/** Rows of all subvolumes of a pool. */
const longestAnswer = 64 * 2 ** 20;

export interface QuotaGroup {
  /** `0/ID` of a subvolume, `1/ID` of a share with all its subvolumes. */
  id: string;
  /** Bytes that its files refer to, each of them once. */
  referenced: number;
  /** Undefined: none. */
  limit: number | undefined;
  /** The groups that it is in. */
  parents: readonly string[];
}

export interface Subvolume {
  id: number;
  /** Of one that was made as a snapshot. */
  createdAt: EpochMillis | undefined;
  /** From the file system's root. */
  path: string;
}

/** @param pool the root of the file system */
export function createBtrfs(pool: string) {
  async function run(argv: readonly string[], signal: AbortSignal): Promise<string> {
    try {
      const env = { ...process.env, TZ: 'UTC', LC_ALL: 'C' };
      const options = { timeout: limitMs, maxBuffer: longestAnswer, env, signal };
      return (await promisify(execFile)('btrfs', [...argv], options)).stdout;
    } catch (error) {
      if (signal.aborted) throw error;
      const { stderr = '', code } = error as { stderr?: string; code?: string | number };
      if (code === 'ENOENT')
        throw new PoolhouseError('HostNotReady', `The program 'btrfs' is missing: install the package btrfs-progs.`);
      const words = stderr.trim().split('\n').at(-1) ?? '';
      throw new PoolhouseError('EngineFailed', `btrfs ${argv.slice(0, 2).join(' ')} failed: ${words}`, {
        cause: error,
        retryable: true,
      });
    }
  }
  const groups = async (signal: AbortSignal): Promise<Map<string, QuotaGroup>> => {
    const text = await run(['qgroup', 'show', '--raw', '-p', '-r', pool], signal).catch((error: unknown) => {
      if (error instanceof PoolhouseError && /quotas not enabled/.test(error.message)) return '';
      throw error;
    });
    return new Map(parseGroups(text).map((group) => [group.id, group]));
  };

  return {
    /** Makes an empty one; the path must be root's alone. */
    async create(path: string, group: string | undefined, signal: AbortSignal): Promise<void> {
      await run(['subvolume', 'create', ...(group === undefined ? [] : ['-i', group]), path], signal);
    },
    /** What `source` holds now, writable until `seal`. */
    async snapshot(source: string, path: string, group: string, signal: AbortSignal): Promise<void> {
      // In the same group as its source: anything else makes the file system count anew, and not enforce meanwhile.
      await run(['subvolume', 'snapshot', '-i', group, source, path], signal);
    },
    async seal(path: string, readOnly: boolean, signal: AbortSignal): Promise<void> {
      await run(['property', 'set', '-t', 'subvol', path, 'ro', String(readOnly)], signal);
    },
    /** The path must be root's alone. */
    async remove(path: string, signal: AbortSignal): Promise<void> {
      await run(['subvolume', 'delete', path], signal);
    },
    /** By its number: nothing that leads to it is walked. */
    async removeById(id: number, signal: AbortSignal): Promise<void> {
      await run(['subvolume', 'delete', '--subvolid', String(id), pool], signal);
    },
    /** Of the subvolume that it is, or is in. */
    async idOf(path: string, signal: AbortSignal): Promise<number> {
      return Number((await run(['inspect-internal', 'rootid', path], signal)).trim());
    },
    async list(signal: AbortSignal): Promise<Subvolume[]> {
      const [all, snapshots] = [
        parseSubvolumes(await run(['subvolume', 'list', pool], signal)),
        parseSnapshots(await run(['subvolume', 'list', '-s', pool], signal)),
      ];
      return all.map((one) => ({ ...one, createdAt: snapshots.get(one.id) }));
    },
    groups,
    /** Makes the group `1/ID` of a share, with the share's own subvolume in it. Idempotent. */
    async ensureGroup(id: number, signal: AbortSignal): Promise<string> {
      const group = `1/${String(id)}`;
      const found = await groups(signal);
      if (!found.has(group)) await run(['qgroup', 'create', group, pool], signal);
      // A call that was cut off may have made it and put nothing in.
      if (found.get(`0/${String(id)}`)?.parents.includes(group) !== true)
        await run(['qgroup', 'assign', `0/${String(id)}`, group, pool], signal);
      return group;
    },
    async limit(group: string, bytes: number | undefined, signal: AbortSignal): Promise<void> {
      await run(['qgroup', 'limit', bytes === undefined ? 'none' : String(bytes), group, pool], signal);
    },
    async removeGroup(group: string, signal: AbortSignal): Promise<void> {
      await run(['qgroup', 'destroy', group, pool], signal);
    },
    /** From now on it counts who uses how much. Idempotent. */
    async countQuotas(signal: AbortSignal): Promise<void> {
      if ((await groups(signal)).size === 0) await run(['quota', 'enable', pool], signal);
    },
    /**
     * Has the file system count anew, where it says that its counts are not right: until that is done it enforces no quota. It goes on by
     * itself; where it does already, it goes on.
     */
    async recount(signal: AbortSignal): Promise<void> {
      await run(['quota', 'rescan', pool], signal).catch((error: unknown) => {
        if (!(error instanceof PoolhouseError) || !/in progress/i.test(error.message)) throw error;
      });
    },
  };
}

export type Btrfs = ReturnType<typeof createBtrfs>;

/** Rows of `btrfs qgroup show --raw -p -r`: id, referenced, exclusive, limit, parents. */
export function parseGroups(text: string): QuotaGroup[] {
  return text.split('\n').flatMap((line) => {
    const [id = '', referenced, , limit, parents = '-'] = line.trim().split(/\s+/);
    if (!/^\d+\/\d+$/.test(id)) return [];
    const quota = limit === 'none' ? undefined : Number(limit);
    return [{ id, referenced: Number(referenced), limit: quota, parents: parents === '-' ? [] : parents.split(',') }];
  });
}

/** Rows of `btrfs subvolume list`: `ID 257 gen 9 top level 256 path custom/…`. */
export function parseSubvolumes(text: string): Omit<Subvolume, 'createdAt'>[] {
  return text.split('\n').flatMap((line) => {
    const found = /^ID (\d+) gen \d+ top level \d+ path (.*)$/.exec(line);
    return found === null ? [] : [{ id: Number(found[1]), path: found[2] ?? '' }];
  });
}

/** Rows of `btrfs subvolume list -s`, in UTC: when each was made, by id. */
export function parseSnapshots(text: string): Map<number, EpochMillis> {
  return new Map(
    text.split('\n').flatMap((line) => {
      const found = /^ID (\d+) gen \d+ cgen \d+ top level \d+ otime (\S+) (\S+) path /.exec(line);
      return found === null ? [] : [[Number(found[1]), Date.parse(`${found[2] ?? ''}T${found[3] ?? ''}Z`)]];
    }),
  );
}
