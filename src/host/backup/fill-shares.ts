/** Puts what a backup holds of shares back into them, one after the other; one that is filled already is passed over. */
import { setTimeout as sleep } from 'node:timers/promises';
import { PoolhouseError } from '../../core/errors.ts';
import type { Home } from '../../core/home.ts';
import type { PackedShare } from '../../files/packed-shares.ts';
import { tellControl } from '../local-api.ts';
import { fillShare } from './control-streams.ts';
import { packName } from './manifest.ts';
import type { CheckedBackup } from './read-backup.ts';
import { readRestoring, writeRestoring } from './restoring.ts';

/** The file server is made after a start, which may take an image. */
const readyLimit = 15 * 60_000;
const retryDelay = 1_000;
const prepareLimit = 120_000;

export interface Filled {
  shares: number;
  /** Of the backup, which were deleted since in the store that belongs to it. */
  passedOver: string[];
}

export async function fillShares(
  home: Home,
  socketPath: string,
  backup: CheckedBackup,
  phase: (text: string) => void,
  signal: AbortSignal,
): Promise<Filled> {
  const filled: Filled = { shares: 0, passedOver: [] };
  for (const share of backup.manifest.shares ?? []) {
    const name = `${share.account}/${share.share}`;
    const before = await readRestoring(home);
    if (before?.filled.includes(packName(share)) !== true) {
      phase(`${name}: waiting for the file server`);
      if (!(await tell('prepare', socketPath, share, signal))) {
        filled.passedOver.push(name);
        continue;
      }
      await insist(() => {
        const tar = counted(backup.openPack(packName(share), signal), (bytes) => {
          phase(`${name}, ${(bytes / 2 ** 20).toFixed(0)} MiB`);
        });
        return fillShare(socketPath, share, tar, signal);
      }, signal);
      phase(`${name}: its quotas`);
      await tell('finish', socketPath, share, signal);
      await note(home, packName(share));
    }
    filled.shares += 1;
  }
  return filled;
}

async function note(home: Home, pack: string): Promise<void> {
  const before = await readRestoring(home);
  if (before !== undefined) await writeRestoring(home, { ...before, filled: [...before.filled, pack] });
}

/** False where the share was deleted between its snapshot and the copy of the store. */
async function tell(
  what: 'prepare' | 'finish',
  socketPath: string,
  share: PackedShare,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await insist(() => tellControl(socketPath, `/v1/share-restore/${what}`, share, prepareLimit), signal);
    return true;
  } catch (error) {
    if (error instanceof PoolhouseError && error.code === 'ShareNotFound') return false;
    throw error;
  }
}

/** Again and again while what is in the way passes by itself: a file server that is being made, a control that is being started. */
async function insist(work: () => Promise<unknown>, signal: AbortSignal): Promise<void> {
  const deadline = Date.now() + readyLimit;
  for (;;) {
    try {
      await work();
      return;
    } catch (error) {
      const passes = error instanceof PoolhouseError && error.retryable;
      if (!passes || Date.now() > deadline) throw error;
    }
    await sleep(retryDelay, undefined, { signal });
  }
}

async function* counted(source: AsyncIterable<Buffer>, tell: (bytes: number) => void): AsyncGenerator<Buffer> {
  let bytes = 0;
  for await (const chunk of source) {
    yield chunk;
    bytes += chunk.length;
    tell(bytes);
  }
}
