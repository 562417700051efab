/**
 * Azure Files' REST interface, as control serves it: accounts and shares are resources, made and deleted as by the management API, and
 * files are worked on by the file server.
 */
import type { Server } from 'node:https';
import type { Logger } from 'pino';
import { untilEnded } from '../arm/answer-shares.ts';
import { PoolhouseError } from '../core/errors.ts';
import { dig, isObject, textOf, type JsonObject } from '../core/json.ts';
import type { ResourceId } from '../core/resource-id.ts';
import { RestError } from '../files/rest/rest-error.ts';
import type { RestAccounts, RestShare } from '../files/rest/rest-parts.ts';
import { createRestServer } from '../files/rest/rest-server.ts';
import type { Operation } from '../providers/resource-service.ts';
import type { ShareService } from '../providers/storage/share-service.ts';
import { findSnapshot } from '../providers/storage/snapshot-names.ts';
import { keysOf } from '../providers/storage/storage-accounts.ts';
import { findResource, findResources, nameOf, type ResourceRecord } from '../store/resource-records.ts';
import type { World } from './world.ts';

/** How long a share that was just made may take until the file server has it. */
const attachLimit = 30_000;
const lookEvery = 200;

export interface FilesApiParts {
  world: World;
  shares: ShareService;
  tls: { key: string; cert: string };
  /** `https://127.0.0.1:PORT/` */
  url: string;
  /** Shares are being filled from a backup: until that is done nobody reads or writes them. */
  isRestoring?: () => boolean;
}

/** Not listening yet. */
export function createFilesApi({ world, shares, tls, url, isRestoring = () => false }: FilesApiParts): Server {
  return createRestServer({
    accounts: createRestAccounts(world, shares, isRestoring),
    files: world.shareFiles,
    tls,
    endpointOf: (account) => `${url}${account}/`,
    newId: () => world.newId(),
    clock: world.clock,
    log: world.log,
  });
}

type AccountWorld = Pick<World, 'store' | 'secrets' | 'service' | 'engine' | 'shareFiles' | 'clock'>;

function createRestAccounts(world: AccountWorld, shares: ShareService, isRestoring: () => boolean): RestAccounts {
  const { store, secrets, service, engine, shareFiles, clock } = world;

  async function findAccount(account: string): Promise<ResourceRecord | undefined> {
    if (isRestoring())
      throw new RestError('ServerBusy', 'The shares are being restored from a backup: try again later.');
    const accounts = await findResources(store.db, { type: 'Microsoft.Storage/storageAccounts' });
    return accounts.find((one) => nameOf(one.id).toLowerCase() === account && one.deletingSince === undefined);
  }
  async function shareId(account: string, share: string): Promise<ResourceId> {
    const found = await findAccount(account);
    if (found === undefined) throw noShare(account, share);
    return `${found.id}/fileServices/default/shares/${share}` as ResourceId; // names that were checked
  }
  /** The share, where it is there and does not go. */
  async function present(account: string, share: string): Promise<ResourceId> {
    const id = await shareId(account, share);
    const record = await findResource(store.db, id);
    if (record === undefined) throw noShare(account, share);
    if (record.deletingSince !== undefined)
      throw new RestError('ShareBeingDeleted', `The share '${share}' is being deleted.`);
    return id;
  }
  const find = async (id: ResourceId) => asShare(await service.get(id));
  async function ended(operation: Operation | undefined): Promise<void> {
    if (operation === undefined) return;
    const { status, error } = await untilEnded(service, operation);
    if (error !== undefined) throw new RestError('InternalError', error.message);
    if (status === 'InProgress')
      throw new RestError('ServerBusy', 'The share is still being worked on. Try again in a moment.');
  }
  /** A share is of no use before the file server has it; where there is none, nobody waits for it. */
  async function untilAttached(account: string, share: string, signal: AbortSignal): Promise<void> {
    for (const deadline = clock.now() + attachLimit; clock.now() < deadline;) {
      const isThere = await shareFiles.find({ account, share, path: [] }, signal).then(
        () => true,
        (error: unknown) => !(error instanceof PoolhouseError && error.code === 'Unavailable'),
      );
      if (isThere) return;
      await clock.sleep(lookEvery, signal);
    }
  }

  return {
    async keysOf(account) {
      const record = await findAccount(account);
      if (record === undefined) return undefined;
      const keys = await keysOf(record, { queries: store.db, secrets });
      return keys.map(({ value }) => textOf(value)).filter((value) => value !== '');
    },

    async listShares(account, wanted, signal) {
      const found = await findAccount(account);
      if (found === undefined) return [];
      const records = await findResources(store.db, { parentKey: `${found.key}/fileservices/default` });
      const all: RestShare[] = [];
      for (const { id, deletingSince } of records) {
        if (deletingSince !== undefined) continue;
        if (wanted.snapshots) all.push(...(await shares.snapshots(id, signal)).map(asShare));
        all.push(await find(id));
      }
      return all.toSorted((one, other) => (orderOf(one) < orderOf(other) ? -1 : 1));
    },

    findShare: async (account, share) => find(await present(account, share)),

    async createShare(account, share, { quotaGiB, metadata }, signal) {
      const id = await shareId(account, share);
      const record = await findResource(store.db, id);
      if (record?.deletingSince !== undefined)
        throw new RestError('ShareBeingDeleted', `The share '${share}' is being deleted. Try again in a moment.`);
      if (record !== undefined) throw alreadyThere(share);
      const properties = { ...(quotaGiB === undefined ? {} : { shareQuota: quotaGiB }), metadata: { ...metadata } };
      const { operation } = await service.put(id, { properties }, { mustNotExist: true }).catch((error: unknown) => {
        if (error instanceof PoolhouseError && error.code === 'PreconditionFailed') throw alreadyThere(share);
        if (error instanceof PoolhouseError && error.code === 'Conflict')
          throw new RestError('ShareBeingDeleted', error.message, { cause: error });
        throw error;
      });
      await ended(operation);
      await untilAttached(account, share, signal);
      return find(id);
    },

    async changeShare(account, share, { quotaGiB, metadata }) {
      const id = await present(account, share);
      const { properties } = (await findResource(store.db, id))?.document ?? {};
      const changed: JsonObject = {
        ...(isObject(properties) ? properties : {}),
        ...(quotaGiB === undefined ? {} : { shareQuota: quotaGiB }),
        ...(metadata === undefined ? {} : { metadata: { ...metadata } }),
      };
      const { operation } = await service.put(id, { properties: changed }, {});
      await ended(operation);
      return find(id);
    },

    async deleteShare(account, share, wanted, signal) {
      const id = await present(account, share);
      if (!wanted.snapshots && (await shares.snapshots(id, signal)).length > 0)
        throw new RestError(
          'ShareHasSnapshots',
          `The share has snapshots, and is deleted with them only: say so ('--delete-snapshots include').`,
        );
      await ended((await service.remove(id)).operation);
    },

    usedBytes: async (account, share, signal) => shares.usedBytes(await present(account, share), signal),

    async takeSnapshot(account, share, signal) {
      const document = await shares.takeSnapshot(await present(account, share), signal).catch((error: unknown) => {
        if (error instanceof PoolhouseError && error.code === 'QuotaExceeded')
          throw new RestError('ShareSnapshotCountExceeded', error.message, { cause: error });
        throw error;
      });
      return asShare(document);
    },

    async snapshotName(account, share, time, signal) {
      await present(account, share);
      const found = findSnapshot(await engine.listSnapshots(account, share, signal), time);
      if (found === undefined) throw noSnapshot(share, time);
      return found.name;
    },

    async deleteSnapshot(account, share, time, signal) {
      const { existed } = await shares.removeSnapshot(await present(account, share), time, signal);
      if (!existed) throw noSnapshot(share, time);
    },
  };
}

function asShare(document: JsonObject): RestShare {
  const metadata = dig(document, 'properties', 'metadata');
  const snapshot = textOf(dig(document, 'properties', 'snapshotTime'));
  return {
    name: textOf(document['name']),
    quotaGiB: Number(dig(document, 'properties', 'shareQuota') ?? 0),
    etag: textOf(document['etag']).replace(/^W\//, '').replaceAll('"', ''),
    changedAt: Date.parse(textOf(dig(document, 'properties', 'lastModifiedTime'))),
    metadata: isObject(metadata)
      ? Object.fromEntries(Object.entries(metadata).map(([name, value]) => [name.toLowerCase(), textOf(value)]))
      : {},
    ...(snapshot === '' ? {} : { snapshot }),
  };
}

const orderOf = ({ name, snapshot }: RestShare) => `${name} ${snapshot ?? '~'}`;

function noShare(account: string, share: string): RestError {
  return new RestError('ShareNotFound', `The account '${account}' has no share '${share}'.`);
}

function alreadyThere(share: string): RestError {
  return new RestError('ShareAlreadyExists', `There is a share '${share}' already.`);
}

function noSnapshot(share: string, time: string): RestError {
  return new RestError('ShareSnapshotNotFound', `The share '${share}' has no snapshot of '${time.slice(0, 40)}'.`);
}

/** Where something else has the port, all else goes on: only files are not served. */
export async function listenForFiles(server: Server, port: number | undefined, log: Logger): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, '127.0.0.1', resolve);
  }).catch((error: unknown) => {
    log.error(
      { err: error },
      `files are not served: 127.0.0.1:${port ?? 0} cannot be listened on. 'poolhouse down' and 'up' choose another port.`,
    );
  });
}
