/** What the REST interface is made of, and what it asks of the house. */
import type { Readable } from 'node:stream';
import type { EpochMillis } from '../../core/time.ts';
import type { ShareFiles, SharePlace } from '../share-files.ts';
import type { HeaderValues } from './shared-key.ts';
import type { RestTarget } from './read-target.ts';

export interface RestShare {
  name: string;
  quotaGiB: number;
  etag: string;
  changedAt: EpochMillis;
  metadata: Readonly<Record<string, string>>;
  /** The time of a snapshot, as Azure writes it; undefined for the share itself. */
  snapshot?: string;
}

/** Accounts and shares, which are resources: every method fails with a `PoolhouseError` or a `RestError`. */
export interface RestAccounts {
  /** The account's keys; undefined where there is no such account. */
  keysOf(account: string): Promise<readonly string[] | undefined>;
  /** With its snapshots where they are wanted; ordered by name, a share after its snapshots. */
  listShares(account: string, wanted: { snapshots: boolean }, signal: AbortSignal): Promise<RestShare[]>;
  /** `ShareNotFound` where there is none. */
  findShare(account: string, share: string, signal: AbortSignal): Promise<RestShare>;
  /** Waits until it can be used. `ShareAlreadyExists` where there is one. */
  createShare(
    account: string,
    share: string,
    asked: { quotaGiB: number | undefined; metadata: Readonly<Record<string, string>> },
    signal: AbortSignal,
  ): Promise<RestShare>;
  changeShare(
    account: string,
    share: string,
    change: { quotaGiB?: number; metadata?: Readonly<Record<string, string>> },
    signal: AbortSignal,
  ): Promise<RestShare>;
  deleteShare(account: string, share: string, wanted: { snapshots: boolean }, signal: AbortSignal): Promise<void>;
  usedBytes(account: string, share: string, signal: AbortSignal): Promise<number>;
  takeSnapshot(account: string, share: string, signal: AbortSignal): Promise<RestShare>;
  /** How the engine calls the snapshot of this time. `ShareSnapshotNotFound` where there is none. */
  snapshotName(account: string, share: string, time: string, signal: AbortSignal): Promise<string>;
  deleteSnapshot(account: string, share: string, time: string, signal: AbortSignal): Promise<void>;
}

export interface RestRequest {
  method: string;
  target: RestTarget;
  headers: HeaderValues;
  /** The account's address, with a slash at its end. */
  endpoint: string;
  remoteAddress: string;
  body: Readable;
  now: EpochMillis;
  signal: AbortSignal;
}

export interface RestAnswer {
  status: number;
  headers?: Readonly<Record<string, string | number>>;
  /** XML, or what a file holds. */
  body?: string | Uint8Array | Readable;
}

export interface RestParts {
  accounts: RestAccounts;
  files: ShareFiles;
  newId: () => string;
}

/** A request about one share, which is there. */
export interface ShareRequest extends RestRequest {
  share: string;
  place: SharePlace;
}
