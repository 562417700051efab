/**
 * Work on what shares hold. It is done by the file server, a service instance of ours that has every share attached: no process of
 * the host follows a path inside a share. A path is a list of names, and no step of it is ever followed through a link.
 */
import type { Readable } from 'node:stream';
import type { EpochMillis } from '../core/time.ts';

/** Something in a share, or in a snapshot of it. */
export interface SharePlace {
  account: string;
  share: string;
  /** Undefined: as it is now. */
  snapshot?: string;
  /** From the share's root; [] for the root itself. No name is '', '.' or '..', holds '/' or NUL, or is longer than 255 bytes. */
  path: readonly string[];
}

export interface ShareEntry {
  name: string;
  kind: 'file' | 'folder';
  size: number;
  modifiedAt: EpochMillis;
  createdAt: EpochMillis;
  /** Changes whenever the file does. */
  etag: string;
  /** What clients keep with it, such as a content type. */
  metadata: Readonly<Record<string, string>>;
}

export interface ShareListing {
  /** Ordered by name. Links, sockets and devices are not shown. */
  entries: ShareEntry[];
  /** To go on with; undefined at the end. */
  next?: string;
}

/**
 * Every method may fail with `Unavailable` (retryable: the file server does not answer, or is still being made) and stops early when its
 * signal aborts. `NotFound` where there is no such thing (or a link is in the way), `Conflict` where something else is in its place,
 * `OperationNotAllowed` for changes in a snapshot, `QuotaExceeded` where it does not fit. `Unavailable` is also what a share is that the file
 * server does not have attached yet.
 */
export interface ShareFiles {
  find(place: SharePlace, signal: AbortSignal): Promise<ShareEntry>;
  /** Without metadata: `find` tells it. */
  list(
    place: SharePlace,
    options: { prefix?: string; after?: string; most: number },
    signal: AbortSignal,
  ): Promise<ShareListing>;
  /** A folder's owner is that of the folder above it, and so is a file's. */
  makeFolder(place: SharePlace, metadata: Readonly<Record<string, string>>, signal: AbortSignal): Promise<ShareEntry>;
  /** `Conflict` where it is not empty. */
  removeFolder(place: SharePlace, signal: AbortSignal): Promise<void>;
  /** An empty file of this size, in place of what file there was. */
  createFile(
    place: SharePlace,
    file: { size: number; metadata: Readonly<Record<string, string>> },
    signal: AbortSignal,
  ): Promise<ShareEntry>;
  removeFile(place: SharePlace, signal: AbortSignal): Promise<void>;
  /** Changes what is named; the rest stays. */
  change(
    place: SharePlace,
    change: { size?: number; metadata?: Readonly<Record<string, string>>; modifiedAt?: EpochMillis },
    signal: AbortSignal,
  ): Promise<ShareEntry>;
  rename(from: SharePlace, to: SharePlace, options: { replace: boolean }, signal: AbortSignal): Promise<void>;
  /**
   * A copy of a file, of another share, too, in place of what file there was: all of it, or the one before. Where the file system can,
   * both have the same blocks.
   */
  copy(
    from: SharePlace,
    to: SharePlace,
    file: { metadata: Readonly<Record<string, string>> },
    signal: AbortSignal,
  ): Promise<ShareEntry>;
  /** Bytes from `from` on, `length` of them or as many as there are. */
  read(place: SharePlace, range: { from: number; length?: number }, signal: AbortSignal): Promise<Readable>;
  write(place: SharePlace, from: number, bytes: Readable | Uint8Array, signal: AbortSignal): Promise<ShareEntry>;
  /** A range becomes zeros, and takes no room. */
  clear(place: SharePlace, range: { from: number; length: number }, signal: AbortSignal): Promise<ShareEntry>;
  /**
   * Makes what is at a place the same as it was in a snapshot: the file, or a folder with all in it, what was made since is removed.
   * What is the same already is not touched, so that it can be done again where it was cut off. `.snapshots` are left alone. Folders with
   * rooms of their own are restored from their own snapshot of that name; one that has none (it was made since) stays as it is.
   * What people move, remove or make in it meanwhile stays as they have it.
   */
  restore(place: SharePlace & { snapshot: string }, signal: AbortSignal): Promise<{ files: number; removed: number }>;
  /**
   * A tar (pax) of all that is at a place: owners by number, modes, times, links as links, extended attributes; no `.snapshots`. Of a
   * share's snapshot with what folders with rooms of their own have kept in theirs. Breaks off, with an error, where it cannot go on.
   */
  pack(place: SharePlace, signal: AbortSignal): Promise<Readable>;
  /** The other way round, into a folder that is there; nothing leaves the folder, whatever the tar says. Other files stay. */
  unpack(place: SharePlace, tar: Readable, signal: AbortSignal): Promise<{ files: number }>;
}
