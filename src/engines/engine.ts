/**
 * The engine contract: where instances come from. Everything above speaks to this interface only, and every engine
 * passes the same suite (`conformance/`).
 *
 * An engine keeps no truth of ours but the labels it stores with each instance. It touches only what carries the
 * installation's own names; what others keep in the same daemon is invisible here.
 */

/** Names an instance in the engine: unique in the installation, chosen by us (1–60 of `a-z0-9-`, begins with a letter). */
export type InstanceName = string;

export type { Power } from '../pool/power.ts';
import type { Power } from '../pool/power.ts';
import type { EpochMillis } from '../core/time.ts';
import type { InstanceLink } from '../pool/render-redirects.ts';

/** Where an instance's image comes from: a recipe's content hash, prepared beforehand with `prepareImage`. */
export interface ImageReference {
  /** Hex; what the image was built from. */
  fingerprint: string;
}

export interface InstanceSpec {
  name: InstanceName;
  /** What `hostname` answers inside. */
  hostname: string;
  image: ImageReference;
  /** CPUs that the instance may use. */
  cpus: number;
  memoryBytes: number;
  /** IPv4 address on the installation's network, chosen by the caller from `Engine.network()`. */
  address: string;
  /** Kept with the instance in the engine, given back by `list`. Keys `[a-z0-9-]+`; no secrets. */
  labels: Readonly<Record<string, string>>;
  /**
   * A folder of the host whose sockets the instance's root, and nobody else in it, reaches in `/var/lib/poolhouse/control`,
   * and cannot change: its way to control. It has to be there whenever the instance starts.
   */
  controlFolder?: string;
  /**
   * It runs programs of ours only, and may make system calls for which an engine's usual list gives ordinary instances an answer of
   * its own (`open_by_handle_at`, which a server of NFS needs). Its rights are those of any instance.
   */
  service?: boolean;
}

export interface Attachment {
  account: string;
  share: string;
  /** Folder inside the share, '' for all of it. */
  folder: string;
  /** Absolute path inside the instance. */
  path: string;
}

export interface EngineInstance {
  name: InstanceName;
  hostname: string;
  power: Power;
  address: string;
  labels: Readonly<Record<string, string>>;
  attachments: readonly Attachment[];
  /** False where a `create` was cut off, or is under way: `create` makes it whole, `delete` removes it, nothing else works. */
  made: boolean;
  /** The host's end of its network; undefined where it has none of its own. */
  link?: InstanceLink;
}

export interface ExecResult {
  exitCode: number;
  /**
   * The last `ExecOptions.keepBytes` of each stream. LXD 5.0.2 on a busy machine loses, once in some hundred times, what a program
   * wrote right before its end: whoever reads it has to see whether it is whole (JSON is), and to ask again.
   */
  stdout: string;
  stderr: string;
}

export interface ExecOptions {
  stdin?: string | Uint8Array;
  /** Bytes kept of each stream; what comes before is dropped as it arrives. Default 64 KiB. */
  keepBytes?: number;
  /** Limit in milliseconds; then the process is killed and the call fails with `Unavailable`. Default 60 s. */
  timeoutMs?: number;
  environment?: Readonly<Record<string, string>>;
  cwd?: string;
}

/** What a running instance uses. What is counted begins anew when the instance starts. */
export interface InstanceMetrics {
  name: InstanceName;
  /** CPU seconds used since the instance started, of all its CPUs together. */
  cpuSeconds: number;
  /** In use, without what could be given back at once. */
  memoryBytes: number;
  /** What it may use at most. */
  memoryLimitBytes: number;
  networkInBytes: number;
  networkOutBytes: number;
  diskReadBytes: number;
  diskWriteBytes: number;
}

export interface ShareSpec {
  account: string;
  share: string;
  quotaBytes: number;
}

/** What a share is found to be. */
export interface ShareState extends ShareSpec {
  /** What its files use now: of these its quota speaks. Without what only snapshots keep. */
  usedBytes: number;
  /** What snapshots keep beside that. */
  snapshotBytes: number;
}

/** A folder of a share with a room of its own: it has an owner, may have a quota, and has snapshots of its own. */
export interface ShareFolderSpec {
  account: string;
  share: string;
  /** From the share's root, such as `notebooks/alice`; never ''. What is above it is made as root's, 0755. */
  folder: string;
  uid: number;
  gid: number;
  /** Of the folder, when it is made; such as 0o700 or 0o2770. */
  mode: number;
  /** Undefined: no other limit than the share's. */
  quotaBytes?: number;
  /** True: a folder of the name that belongs to somebody else makes way. Otherwise it is theirs, and stays as it is. */
  claimed?: boolean;
}

export interface ShareFolderState {
  folder: string;
  usedBytes: number;
  quotaBytes?: number;
}

export interface ShareSnapshot {
  /** 1 to 63 of `A-Za-z0-9._-`, begins with a letter or digit. */
  name: string;
  createdAt: EpochMillis;
}

export interface EngineNetwork {
  /** CIDR, such as `10.77.4.0/22`. */
  subnet: string;
  /** The host's own address in it. */
  gateway: string;
}

/** What an engine can and cannot do, as data, so that callers decide instead of trying. */
export interface EngineCapabilities {
  /** Instances have real addresses and processes: probes and scripts mean something. */
  readonly real: boolean;
  readonly freeze: boolean;
  readonly shares: boolean;
  /** Physical room: what may be promised to instances altogether. */
  readonly memoryBytes: number;
  readonly cpus: number;
}

/** A file for an instance, with its owner inside. */
export interface InstanceFile {
  path: string;
  content: string | Uint8Array;
  mode: number;
  uid: number;
  gid: number;
}

/**
 * Every method may fail with `EngineUnavailable` (retryable: the daemon does not answer) and stops early when its
 * signal aborts. Where an instance is named that does not exist: `InstanceNotFound` (not retryable), unless said otherwise.
 */
export interface Engine {
  readonly kind: 'incus' | 'sim';
  capabilities(): EngineCapabilities;
  network(): EngineNetwork;

  /** All instances of this installation, in no order. Never the engine's own seeds or helpers. */
  list(signal: AbortSignal): Promise<EngineInstance[]>;
  /**
   * Makes the instance, stopped. Idempotent by name: one that was made already is left as it is.
   * `PlatformImageNotFound`: the image was not prepared. `AllocationFailed`: the host cannot hold it.
   * Nothing is left behind by a failure, or a later call with the same name completes it.
   */
  create(spec: InstanceSpec, signal: AbortSignal): Promise<void>;
  /** Idempotent. */
  setPower(name: InstanceName, power: Power, signal: AbortSignal): Promise<void>;
  /** Stops it and removes it with its own disk; shares stay. Nil when already gone. */
  delete(name: InstanceName, signal: AbortSignal): Promise<void>;
  /**
   * Runs a program as root inside a running instance. A program that ends with any exit code is a result, not an error:
   * 127 where there is no such program, 126 where it cannot be run. `OperationNotAllowed` (retryable) where the instance
   * does not run. A child that keeps the program's outputs open counts as the program still running.
   */
  exec(name: InstanceName, argv: readonly string[], options: ExecOptions, signal: AbortSignal): Promise<ExecResult>;
  /** Writes a whole file, making its folders (0755 root). Works on running and stopped instances. `mode` such as 0o600. */
  writeFile(name: InstanceName, file: InstanceFile, signal: AbortSignal): Promise<void>;

  /** Makes the share's volume, or changes its quota. Idempotent. */
  ensureShare(spec: ShareSpec, signal: AbortSignal): Promise<void>;
  /** All shares of this installation, with the bytes that they use. */
  listShares(signal: AbortSignal): Promise<ShareState[]>;
  /**
   * Makes a folder with a room of its own, or changes its quota; owner and mode are given when it is made, and left alone later.
   * Idempotent. Where it is claimed, a folder of that name that belongs to another person (or to another group, where `uid` is 0: ids from 10,000 to 39,999 are
   * given once) is kept as `NAME-ID`, and is made anew. `ShareNotFound` where there is no such share; `Conflict` where a file or a link is in the way.
   *
   * @returns `plain` where a folder is there already that has no room of its own: it stays so, and has no quota.
   */
  ensureFolder(spec: ShareFolderSpec, signal: AbortSignal): Promise<'made' | 'kept' | 'plain'>;
  /** The folders of a share that have rooms of their own. `ShareNotFound` where there is no such share. */
  listFolders(account: string, share: string, signal: AbortSignal): Promise<ShareFolderState[]>;
  /**
   * Keeps what a share holds now, read-only, all of it at one moment but for its folders with rooms of their own, each of which is kept at
   * a moment of its own right after. It is seen in the share as `.snapshots/NAME`, and in each such folder as `FOLDER/.snapshots/NAME`
   * (in the share's snapshot a link in the folder's place leads there). What it keeps does not count for quotas. Idempotent by name.
   */
  snapshotShare(account: string, share: string, name: string, signal: AbortSignal): Promise<void>;
  /** Newest last. */
  listSnapshots(account: string, share: string, signal: AbortSignal): Promise<ShareSnapshot[]>;
  /** Nil when already gone. */
  deleteSnapshot(account: string, share: string, name: string, signal: AbortSignal): Promise<void>;
  /** Removes the share and all it holds, snapshots too. Nil when already gone. `Conflict` while an instance has it attached. */
  deleteShare(account: string, share: string, signal: AbortSignal): Promise<void>;
  /**
   * Shows a share (or a folder of it, which is made when missing, and which must not lead through a link) at a path of
   * a running or stopped instance, `nosuid,nodev`. Stays over restarts of the instance. Idempotent; a path that shows
   * another share already is a `Conflict`. `ShareNotFound` where there is no such share.
   */
  attachShare(name: InstanceName, attachment: Attachment, signal: AbortSignal): Promise<void>;
  /** Nil when nothing is attached there. */
  detachShare(name: InstanceName, path: string, signal: AbortSignal): Promise<void>;

  /** One call for all running instances. */
  metrics(signal: AbortSignal): Promise<InstanceMetrics[]>;

  /** True when instances can be made from this image at once. */
  hasImage(image: ImageReference, signal: AbortSignal): Promise<boolean>;
  /**
   * Takes in an image file (a rootfs tar with the engine's metadata, built by `images/`), and prepares the mapped, stopped copy
   * that new instances are copied from. Idempotent.
   */
  prepareImage(image: ImageReference, file: string, signal: AbortSignal): Promise<void>;
  /** Images that no longer serve: removed with their prepared copy. Nil when already gone. */
  deleteImage(image: ImageReference, signal: AbortSignal): Promise<void>;

  /** Makes the installation's own project, network and storage where they are missing. Idempotent. */
  prepare(signal: AbortSignal): Promise<void>;
  /** Removes exactly what `prepare` and everything after it made: instances, shares, images, network, storage, project. */
  destroy(signal: AbortSignal): Promise<void>;
}
