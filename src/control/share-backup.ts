/**
 * What shares hold, for a backup and back from one. A snapshot of each share is taken first, and packed by the file server while people
 * go on; it goes when it is packed, when whoever asked for it goes away, and after a crash.
 */
import type { Readable } from 'node:stream';
import { PoolhouseError } from '../core/errors.ts';
import { encodePackedShares, type PackedShare } from '../files/packed-shares.ts';
import { shareQuotaGiB } from '../providers/storage/file-shares.ts';
import { findResources, nameOf, type ResourceRecord } from '../store/resource-records.ts';
import { snapshotsInUse } from '../store/share-restores.ts';
import type { World } from './world.ts';

const gibibyte = 2 ** 30;
/** As much as no pool has. */
const noLimit = 2 ** 52;
const settledDelay = 3_600_000;
const retryDelay = 10_000;
/** A file server that nobody needed until now is made first, which may take an image. */
const readyLimit = 15 * 60_000;
const readyDelay = 500;
const ownName = /^backup-\d{8}T\d{6}Z-[0-9a-f]{8}$/;

export interface ShareBackup {
  /**
   * Takes the snapshots, and gives the stream of `packed-shares.ts`. Ends with its signal at the latest.
   *
   * @param begins when somebody reads what comes after the list: the file server does not pack for long for nobody
   */
  open(signal: AbortSignal, begins?: Promise<void>): Promise<AsyncGenerator<Buffer>>;
  /**
   * Makes a share and its folders with rooms of their own, without limits, before anything is unpacked into them: what shared its blocks
   * may need more room than its quota as long as it is being unpacked, and may have been above its quota before. `OperationNotAllowed` where nothing is
   * being restored; `ShareNotFound` where the store knows no such share: it was deleted; `Unavailable` until the file server has it.
   */
  prepare(share: PackedShare, signal: AbortSignal): Promise<void>;
  /** Unpacks into a share that is prepared. Can be done again. */
  fill(share: { account: string; share: string }, tar: Readable, signal: AbortSignal): Promise<{ files: number }>;
  /** One that is filled gets its quotas, and those of its folders. Can be done again. */
  finish(share: PackedShare, signal: AbortSignal): Promise<void>;
  /** A loop's: removes snapshots that a backup has left behind. */
  sweep(signal: AbortSignal): Promise<number>;
}

/** @param isRestoring whether a backup is being restored, and nobody is let in */
export function createShareBackup(world: World, isRestoring: () => boolean): ShareBackup {
  const { store, engine, shareFiles, clock, log } = world;
  const inUse = new Set<string>();
  /** Of a process before this one there may be some. */
  let mayBeLeft = true;

  async function records(): Promise<Map<string, ResourceRecord>> {
    const found = await findResources(store.db, { type: 'Microsoft.Storage/storageAccounts/fileServices/shares' });
    const living = found.filter(({ deletingSince }) => deletingSince === undefined);
    return new Map(living.map((record) => [`${accountOf(record)}/${nameOf(record.id)}`, record]));
  }

  async function recordOf(account: string, share: string): Promise<ResourceRecord> {
    if (!isRestoring())
      throw new PoolhouseError('OperationNotAllowed', 'No backup is being restored: nothing is put into shares.');
    const record = (await records()).get(`${account}/${share}`);
    if (record !== undefined) return record;
    throw new PoolhouseError('ShareNotFound', `The account '${account}' has no share '${share}' any more.`);
  }

  /** Waits until the file server has the share. */
  async function untilServed(account: string, share: string, signal: AbortSignal): Promise<void> {
    const deadline = clock.now() + readyLimit;
    for (;;) {
      try {
        await shareFiles.find({ account, share, path: [] }, signal);
        return;
      } catch (error) {
        const passes = error instanceof PoolhouseError && (error.retryable || error.code === 'NotFound');
        if (!passes || clock.now() > deadline) throw error;
      }
      await clock.sleep(readyDelay, signal);
    }
  }

  /** It gets its owner and its mode from what is unpacked into it. */
  const ensureFolder = (
    folder: { account: string; share: string; folder: string; quotaBytes?: number | undefined },
    signal: AbortSignal,
  ) => {
    const { quotaBytes, ...place } = folder;
    const limit = quotaBytes === undefined ? {} : { quotaBytes };
    return engine.ensureFolder({ ...place, uid: 0, gid: 0, mode: 0o700, ...limit }, signal);
  };

  async function remove(account: string, share: string, name: string): Promise<void> {
    const work = async () => {
      // An operator may restore from it, too: then it goes later.
      if ((await snapshotsInUse(store.db, account, share)).has(name)) mayBeLeft = true;
      // Not by the signal of who asked for the backup: that one may be gone.
      else await engine.deleteSnapshot(account, share, name, AbortSignal.timeout(60_000));
    };
    await work().catch((error: unknown) => {
      mayBeLeft = true;
      log.warn({ err: error, account, share, snapshot: name }, 'the snapshot of a backup could not be removed yet');
    });
  }

  return {
    async open(signal, begins) {
      const name = `backup-${new Date(clock.now()).toISOString().replace(/[-:]|\.\d+/g, '')}-${shortId(world.newId())}`;
      const known = await records();
      const shares = (await engine.listShares(signal)).filter(({ account, share }) => known.has(`${account}/${share}`));
      for (const { account, share } of shares) await untilServed(account, share, signal);
      const list: PackedShare[] = [];
      inUse.add(name);
      try {
        for (const { account, share } of shares) {
          await engine.snapshotShare(account, share, name, signal);
          const folders = await engine.listFolders(account, share, signal);
          list.push({
            account,
            share,
            folders: folders.map(({ folder, quotaBytes }) => ({
              folder,
              ...(quotaBytes === undefined ? {} : { quotaBytes }),
            })),
          });
        }
      } catch (error) {
        await removeAll();
        throw error;
      }
      // Whoever asked may be gone before the first byte was asked for.
      signal.addEventListener('abort', () => void removeAll(), { once: true });
      signal.throwIfAborted();

      async function removeAll(): Promise<void> {
        if (!inUse.delete(name)) return;
        for (const { account, share } of shares) await remove(account, share, name);
      }

      const pack = async ({ account, share }: PackedShare): Promise<AsyncIterable<Buffer>> => {
        await begins;
        return shareFiles.pack({ account, share, snapshot: name, path: [] }, signal);
      };

      log.info({ snapshot: name, shares: shares.length }, 'a backup of shares begins');
      async function* stream(): AsyncGenerator<Buffer> {
        try {
          yield* encodePackedShares(list, pack, (error) => {
            if (signal.aborted) log.info({ snapshot: name }, 'a backup of shares was given up by who asked for it');
            else log.error({ err: error, snapshot: name }, 'a backup of shares failed');
          });
        } finally {
          await removeAll();
          log.info({ snapshot: name }, 'a backup of shares ended');
        }
      }
      return stream();
    },

    async prepare({ account, share, folders }, signal) {
      await recordOf(account, share);
      await engine.ensureShare({ account, share, quotaBytes: noLimit }, signal);
      for (const { folder } of folders)
        if ((await ensureFolder({ account, share, folder }, signal)) === 'plain')
          log.warn(
            { account, share, folder },
            'a folder is there already, and has no room of its own: it has no quota',
          );
      await shareFiles.find({ account, share, path: [] }, signal).catch((error: unknown) => {
        if (!(error instanceof PoolhouseError) || error.code !== 'NotFound') throw error;
        throw new PoolhouseError('Unavailable', `The file server does not have '${account}/${share}' yet.`, {
          cause: error,
          retryable: true,
        });
      });
    },

    async fill({ account, share }, tar, signal) {
      await recordOf(account, share);
      return shareFiles.unpack({ account, share, path: [] }, tar, signal);
    },

    async finish({ account, share, folders }, signal) {
      const record = await recordOf(account, share);
      for (const folder of folders) await ensureFolder({ account, share, ...folder }, signal);
      await engine.ensureShare({ account, share, quotaBytes: shareQuotaGiB(record.document) * gibibyte }, signal);
    },

    async sweep(signal) {
      if (!mayBeLeft) return settledDelay;
      mayBeLeft = false;
      try {
        for (const { account, share } of await engine.listShares(signal)) {
          for (const { name } of await engine.listSnapshots(account, share, signal)) {
            if (!ownName.test(name) || inUse.has(name)) continue;
            log.warn({ account, share, snapshot: name }, 'the snapshot of a backup was left behind: it is removed');
            await remove(account, share, name);
          }
        }
      } catch (error) {
        mayBeLeft = true;
        throw error;
      }
      return retryDelay;
    },
  };
}

/** `/…/storageAccounts/ACCOUNT/fileServices/default/shares/SHARE` → its account. */
function accountOf(share: ResourceRecord): string {
  return share.key.split('/').at(-5) ?? '';
}

/** Eight hexadecimal digits of an id. */
function shortId(id: string): string {
  return id
    .replace(/[^0-9a-f]/g, '')
    .slice(0, 8)
    .padStart(8, '0');
}
