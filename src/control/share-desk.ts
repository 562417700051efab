/** Shares for the operator: which there are and how full, their snapshots, restores, and those that were deleted. */
import { z } from 'zod';
import { PoolhouseError } from '../core/errors.ts';
import { keyOf } from '../core/resource-id.ts';
import { percentUsed } from '../pool/judge-fullness.ts';
import { describeSchedule } from '../pool/plan-snapshots.ts';
import {
  accountIdOf,
  daysLeft,
  findDeletedShares,
  purgeShare,
  type DeletedShare,
} from '../providers/storage/deleted-shares.ts';
import { shareQuotaGiB } from '../providers/storage/file-shares.ts';
import { engineNamesOf, takeSnapshot } from '../providers/storage/share-service.ts';
import {
  nextSnapshotTime,
  parseSnapshotName,
  snapshotName,
  snapshotTime,
  type SnapshotKind,
} from '../providers/storage/snapshot-names.ts';
import { readSnapshotTag } from '../providers/storage/snapshot-tag.ts';
import { findResources, type ResourceRecord } from '../store/resource-records.ts';
import { findShareRestores, saveShareRestore, type ShareRestore } from '../store/share-restores.ts';
import { parseRequest } from './operator-request.ts';
import { parsePlacePath, parseShare } from './share-place.ts';
import type { World } from './world.ts';

export interface ShareDocument {
  /** `ACCOUNT/SHARE` */
  name: string;
  id: string;
  quotaBytes: number;
  usedBytes: number;
  percentUsed: number;
  /** What snapshots keep beside that. */
  snapshotBytes: number;
  snapshots: number;
  /** As the tag of its account says it. */
  schedule: string;
  /** Of one that was deleted, and is kept. */
  deleted?: { at: string; daysLeft: number; version: string };
}

export interface SnapshotDocument {
  name: string;
  /** As az wants it: `--snapshot`. */
  time: string | null;
  takenBy: SnapshotKind | 'other';
}

export interface WorkspaceDocument {
  folder: string;
  usedBytes: number;
  quotaBytes: number | null;
}

export interface RestoreDocument {
  id: string;
  share: string;
  path: string;
  snapshot: string;
  /** The snapshot of how it was before. */
  before: string;
  state: ShareRestore['state'];
  files: number;
  removed: number;
  message: string;
  startedAt: string;
  endedAt: string | null;
}

export interface ShareDetails extends ShareDocument {
  workspaces: WorkspaceDocument[];
  snapshotList: SnapshotDocument[];
  restores: RestoreDocument[];
}

const gibibyte = 2 ** 30;
const restoreSchema = z.strictObject({
  do: z.literal('restore'),
  share: z.string().max(200),
  snapshot: z.string().max(100),
  path: z.string().max(4_096).default(''),
});
const requestSchema = z.discriminatedUnion('do', [
  restoreSchema,
  z.strictObject({ do: z.literal('snapshot'), share: z.string().max(200) }),
  z.strictObject({ do: z.literal('undelete'), share: z.string().max(200) }),
  z.strictObject({ do: z.literal('purge'), share: z.string().max(200) }),
]);

export interface ShareDesk {
  list(signal: AbortSignal): Promise<ShareDocument[]>;
  /** `ResourceNotFound` where there is no such share. */
  show(name: string, signal: AbortSignal): Promise<ShareDetails>;
  /** Carries out a request as it came. */
  order(request: unknown, signal: AbortSignal): Promise<object>;
}

export function createShareDesk(world: World): ShareDesk {
  const { store, engine, shareFiles, service, clock, log } = world;

  async function present(): Promise<{ record: ResourceRecord; account: string; share: string }[]> {
    const records = await findResources(store.db, { type: 'Microsoft.Storage/storageAccounts/fileServices/shares' });
    return records.map((record) => ({ record, ...engineNamesOf(record.id) }));
  }
  async function require(name: string) {
    const { account, share } = parseShare(name);
    const found = (await present()).find((one) => one.account === account && one.share === share);
    if (found !== undefined && found.record.deletingSince === undefined) return found;
    throw new PoolhouseError('ResourceNotFound', `There is no share '${account}/${share}'. 'poolhouse shares list' shows those that there are.`); // prettier-ignore
  }
  async function requireDeleted(name: string): Promise<DeletedShare> {
    const { account, share } = parseShare(name);
    const found = (await findDeletedShares(store.db)).find((one) => one.account === account && one.share === share);
    if (found !== undefined) return found;
    throw new PoolhouseError('ResourceNotFound', `No deleted share '${account}/${share}' is kept. 'poolhouse shares list' shows those that are.`); // prettier-ignore
  }

  async function snapshotsOf(account: string, share: string, signal: AbortSignal): Promise<SnapshotDocument[]> {
    const list = await engine.listSnapshots(account, share, signal).catch((error: unknown) => {
      if (error instanceof PoolhouseError && error.code === 'ShareNotFound') return []; // it is not made yet
      throw error;
    });
    return list.map(({ name }) => {
      const label = parseSnapshotName(name);
      return label === undefined
        ? { name, time: null, takenBy: 'other' }
        : { name, time: snapshotTime(label.takenAt), takenBy: label.kind };
    });
  }

  async function list(signal: AbortSignal): Promise<ShareDocument[]> {
    const accounts = await findResources(store.db, { type: 'Microsoft.Storage/storageAccounts' });
    const usage = new Map((await engine.listShares(signal)).map((one) => [`${one.account}/${one.share}`, one]));
    const describe = async (record: ResourceRecord, account: string, share: string, accountKey: string) => {
      const name = `${account}/${share}`;
      const used = usage.get(name);
      const quotaBytes = shareQuotaGiB(record.document) * gibibyte;
      const document = accounts.find(({ key }) => key === accountKey)?.document ?? {};
      return {
        ...{ name, id: record.id, quotaBytes, usedBytes: used?.usedBytes ?? 0 },
        percentUsed: percentUsed(used?.usedBytes ?? 0, quotaBytes),
        snapshotBytes: used?.snapshotBytes ?? 0,
        snapshots: (await snapshotsOf(account, share, signal)).length,
        schedule: describeSchedule(readSnapshotTag(document)),
      };
    };
    const documents: ShareDocument[] = [];
    for (const { record, account, share } of await present())
      documents.push(await describe(record, account, share, keyOf(accountIdOf(record))));
    for (const deleted of await findDeletedShares(store.db)) {
      const { record, account, share, version } = deleted;
      documents.push({
        ...(await describe(record, account, share, record.parentKey)),
        deleted: { at: new Date(deleted.deletedAt).toISOString(), daysLeft: daysLeft(deleted, clock.now()), version },
      });
    }
    return documents.toSorted((one, other) => (one.name < other.name ? -1 : 1));
  }

  async function beginRestore(asked: z.infer<typeof restoreSchema>, signal: AbortSignal): Promise<RestoreDocument> {
    const { account, share } = await require(asked.share);
    const path = parsePlacePath(asked.path);
    const snapshots = (await snapshotsOf(account, share, signal)).map(({ name }) => name);
    if (!snapshots.includes(asked.snapshot))
      throw new PoolhouseError('ResourceNotFound', `The share '${account}/${share}' has no snapshot '${asked.snapshot}'. 'poolhouse shares snapshots ${account}/${share}' lists them.`); // prettier-ignore
    // What is not in the snapshot is told at once. A file server that is away for a moment is waited for later.
    await shareFiles.find({ account, share, snapshot: asked.snapshot, path }, signal).catch((error: unknown) => {
      if (!(error instanceof PoolhouseError) || !error.retryable) throw error;
    });
    const restore: ShareRestore = {
      ...{ id: world.newId(), account, share, snapshot: asked.snapshot, path, state: 'Running', files: 0, removed: 0 },
      beforeName: snapshotName({ kind: 'restore', takenAt: nextSnapshotTime(snapshots, clock.now()) }),
      ...{ message: 'It is under way.', startedAt: clock.now(), endedAt: undefined },
    };
    await store.transaction(async (tx) => {
      const [running] = await findShareRestores(tx, { account, share, state: 'Running' });
      if (running !== undefined)
        throw new PoolhouseError('Conflict', `The share '${account}/${share}' is being restored already, from ${running.snapshot}. 'poolhouse shares show ${account}/${share}' tells how far it is.`); // prettier-ignore
      await saveShareRestore(tx, restore);
    });
    log.info({ audit: 'restore', restore: restore.id, share: `${account}/${share}`, path: path.join('/'), snapshot: asked.snapshot }, 'an operator restores a share'); // prettier-ignore
    world.changed();
    return restoreDocument(restore);
  }

  return {
    list,
    async show(name, signal) {
      const { account, share } = parseShare(name);
      const document = (await list(signal)).find((one) => one.name === `${account}/${share}`);
      if (document === undefined) await require(name);
      const folders = document === undefined ? [] : await engine.listFolders(account, share, signal).catch(() => []); // its volume is not there (yet)
      return {
        ...(document as ShareDocument), // or it was refused above
        workspaces: folders
          .map(({ folder, usedBytes, quotaBytes }) => ({ folder, usedBytes, quotaBytes: quotaBytes ?? null }))
          .toSorted((one, other) => (one.folder < other.folder ? -1 : 1)),
        snapshotList: await snapshotsOf(account, share, signal),
        restores: (await findShareRestores(store.db, { account, share })).map(restoreDocument),
      };
    },
    async order(request, signal) {
      const data = parseRequest(requestSchema, request);
      switch (data.do) {
        case 'restore':
          return beginRestore(data, signal);
        case 'snapshot': {
          const { account, share } = await require(data.share);
          const { name } = await takeSnapshot(world, { account, share }, 'hand', signal);
          return { share: `${account}/${share}`, snapshot: name };
        }
        case 'undelete': {
          const { account, share, version, record } = await requireDeleted(data.share);
          const id = `${record.id.split('/').slice(0, -2).join('/')}/fileServices/default/shares/${share}`;
          const body = { deletedShareName: share, deletedShareVersion: version };
          await service.act(id as Parameters<typeof service.act>[0], 'restore', body); // made from an id
          return { share: `${account}/${share}` };
        }
        case 'purge': {
          const deleted = await requireDeleted(data.share);
          if (!(await store.transaction((tx) => purgeShare(tx, deleted))))
            throw new PoolhouseError('Conflict', `The share '${deleted.account}/${deleted.share}' was restored meanwhile: it stays.`); // prettier-ignore
          log.info({ audit: 'purge', share: `${deleted.account}/${deleted.share}` }, 'an operator gives up a share');
          world.changed();
          return { share: `${deleted.account}/${deleted.share}` };
        }
      }
    },
  };
}

function restoreDocument(restore: ShareRestore): RestoreDocument {
  return {
    ...{ id: restore.id, share: `${restore.account}/${restore.share}`, path: restore.path.join('/') },
    ...{ snapshot: restore.snapshot, before: restore.beforeName, state: restore.state, files: restore.files },
    ...{ removed: restore.removed, message: restore.message, startedAt: new Date(restore.startedAt).toISOString() },
    endedAt: restore.endedAt === undefined ? null : new Date(restore.endedAt).toISOString(),
  };
}
