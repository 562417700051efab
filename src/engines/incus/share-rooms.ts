/**
 * Folders of shares with rooms of their own: subvolumes beneath the volume of a share. Here they are made and found; `share-quotas.ts` limits them,
 * `share-snapshots.ts` keeps them. Nothing is done by a path that somebody in the share could bend (`handles.ts`, `workshop.ts`).
 */
import { join } from 'node:path';
import { PoolhouseError } from '../../core/errors.ts';
import type { ShareFolderSpec, ShareFolderState, ShareSnapshot } from '../engine.ts';
import { createBtrfs, type Subvolume } from './btrfs.ts';
import {
  isThere,
  noFolder,
  openBelow,
  openIn,
  openOrMake,
  openTrusted,
  putAside,
  type FolderHandle,
} from './handles.ts';
import { moveOwners, type IdMap } from './owners.ts';
import { createShareQuotas, type Usage } from './share-quotas.ts';
import { createShareSnapshots, isRoom, shelfName } from './share-snapshots.ts';
import { createWorkshop } from './workshop.ts';

/** A share's volume, as these need it. */
export interface ShareVolume {
  /** Its folder on the host. */
  folder: string;
  quotaBytes: number;
  /** How owners are moved; undefined as long as no instance has ever been made. */
  idMap: IdMap | undefined;
}

/** Ids of people and groups, which nobody else ever gets. */
const givenOnce = { first: 10_000, last: 39_999 };

export function createShareRooms(pool: string) {
  const btrfs = createBtrfs(pool);
  const quotas = createShareQuotas(btrfs, pool);
  const workshop = createWorkshop(btrfs, pool);
  const snapshots = createShareSnapshots(btrfs, workshop);
  const rootOf = ({ idMap }: ShareVolume) => ({ uid: idMap?.uid(0) ?? 0, gid: idMap?.gid(0) ?? 0, mode: 0o755 });

  /** All subvolumes beneath a volume, by their paths from there. */
  function below({ folder }: Pick<ShareVolume, 'folder'>, found: readonly Subvolume[]): Subvolume[] {
    const prefix = `${folder.slice(pool.length + 1)}/`;
    return found.flatMap((one) =>
      one.path.startsWith(prefix) ? [{ ...one, path: one.path.slice(prefix.length) }] : [],
    );
  }
  const idOf = (volume: Pick<ShareVolume, 'folder'>, signal: AbortSignal) => btrfs.idOf(volume.folder, signal);
  const groupOf = async (volume: ShareVolume, signal: AbortSignal) =>
    quotas.groupOf(await idOf(volume, signal), signal);
  const present = async (volume: Pick<ShareVolume, 'folder'>, signal: AbortSignal) =>
    below(volume, await btrfs.list(signal));
  const counted = async (volume: ShareVolume, signal: AbortSignal) => ({
    id: await idOf(volume, signal),
    rooms: (await present(volume, signal)).filter(isRoom),
  });
  const despiteQuotas = <T>(volume: ShareVolume, signal: AbortSignal, work: () => Promise<T>) =>
    quotas.despite(() => counted(volume, signal), signal, work);

  /** The folder that a new one goes into, with what leads to it made as root's. */
  async function openAbove(volume: ShareVolume, names: readonly string[]): Promise<FolderHandle> {
    let here = await openTrusted(volume.folder);
    for (const name of names) {
      await using above = here;
      here = await openOrMake(above, name, rootOf(volume));
    }
    return here;
  }

  /** Whose folder it is where not the one's who is to have it: ids of people and groups are given once. */
  async function othersId(
    { idMap }: ShareVolume,
    found: FolderHandle,
    spec: ShareFolderSpec,
  ): Promise<number | undefined> {
    const { uid, gid } = await found.owner();
    const isOthers = (id: number | undefined, own: number): id is number =>
      id !== undefined && id !== own && id >= givenOnce.first && id <= givenOnce.last;
    const user = idMap === undefined ? uid : idMap.uidInside(uid);
    if (isOthers(user, spec.uid)) return user;
    const group = idMap === undefined ? gid : idMap.gidInside(gid);
    return spec.uid === 0 && isOthers(group, spec.gid) ? group : undefined;
  }

  /** What has the name that somebody claims makes way for them: others' folders, links, files. Followed it is by nobody. */
  async function makeWay(
    volume: ShareVolume,
    parent: FolderHandle,
    name: string,
    spec: ShareFolderSpec,
  ): Promise<void> {
    await using found = await openIn(parent, name).catch(noFolder);
    const other = found === undefined ? undefined : await othersId(volume, found, spec);
    if (other !== undefined) await putAside(parent, name, `${name}-${String(other)}`);
    else if (found === undefined && (await isThere(parent, name))) await putAside(parent, name, `${name}-moved`);
  }

  async function ensureFolder(
    volume: ShareVolume,
    spec: ShareFolderSpec,
    signal: AbortSignal,
  ): Promise<'made' | 'kept' | 'plain'> {
    const group = await groupOf(volume, signal);
    const names = spec.folder.split('/');
    const name = names.pop() ?? '';
    await using parent = await openAbove(volume, names);
    if (spec.claimed === true) await makeWay(volume, parent, name, spec);
    await using found = await openIn(parent, name);
    if (found !== undefined) {
      if (!(await found.isSubvolume())) return 'plain';
      const own = await btrfs.idOf(found.path, signal);
      if ((await quotas.limitOf(own, signal)) !== spec.quotaBytes) await quotas.limit(own, spec.quotaBytes, signal);
      return 'kept';
    }
    await workshop.deliver({ parent, name }, async (piece) => {
      await btrfs.create(piece, group, signal);
      await using made = await openTrusted(piece);
      await made.chown(volume.idMap?.uid(spec.uid) ?? spec.uid, volume.idMap?.gid(spec.gid) ?? spec.gid);
      await made.chmod(spec.mode);
      if (spec.quotaBytes !== undefined) await quotas.limit(await btrfs.idOf(piece, signal), spec.quotaBytes, signal);
    });
    return 'made';
  }

  return {
    idOf,
    forget: (id: number | undefined, signal: AbortSignal) => quotas.forget(id, signal),

    /** Makes ready what these stand on, and clears away what a call that was cut off has left. */
    async prepare(signal: AbortSignal): Promise<void> {
      await quotas.prepare(signal);
      await workshop.prepare(signal);
    },

    /** What is on the volume is moved to the instances' numbers; `idMap` says how. Only before anything was ever shown of it. */
    async moveOwners(volume: ShareVolume, idMap: IdMap, signal: AbortSignal): Promise<void> {
      await moveOwners(volume.folder, idMap);
      for (const { path } of await present(volume, signal))
        if (path.split('/').at(-2) === shelfName) await btrfs.seal(join(volume.folder, path), true, signal);
    },

    /** Before a share is removed: what is full cannot even be removed. */
    unlimit: async (volume: ShareVolume, signal: AbortSignal) => quotas.unlimit(await counted(volume, signal), signal),

    /** Before a share is removed for good: the daemon walks all that is in it, and people can make paths that are too long for it. */
    async empty(volume: ShareVolume, signal: AbortSignal): Promise<void> {
      const depth = ({ path }: Subvolume) => path.split('/').length;
      const inner = (await present(volume, signal)).toSorted((one, other) => depth(other) - depth(one));
      for (const { id } of inner) await btrfs.removeById(id, signal);
      await workshop.renew(volume.folder, signal);
    },

    /** The share's quota holds for all that is in it. */
    async limit(volume: ShareVolume, signal: AbortSignal): Promise<void> {
      await groupOf(volume, signal);
      const share = { ...(await counted(volume, signal)), quotaBytes: volume.quotaBytes };
      await quotas.keepUp(share, await btrfs.groups(signal), signal);
    },

    /** What each volume holds, in their order; undefined of one that is gone. */
    async usages(volumes: readonly ShareVolume[], signal: AbortSignal): Promise<(Usage | undefined)[]> {
      const [found, groups] = [await btrfs.list(signal), await btrfs.groups(signal)];
      const ids = new Map(found.map(({ id, path }) => [join(pool, path), id]));
      const result: (Usage | undefined)[] = [];
      for (const volume of volumes) {
        const id = ids.get(volume.folder);
        const rooms = below(volume, found).filter(isRoom);
        const share = id === undefined ? undefined : { id, rooms, quotaBytes: volume.quotaBytes };
        result.push(share === undefined ? undefined : await quotas.keepUp(share, groups, signal));
      }
      return result;
    },

    ensureFolder: (volume: ShareVolume, spec: ShareFolderSpec, signal: AbortSignal) =>
      despiteQuotas(volume, signal, () => ensureFolder(volume, spec, signal)),

    async listFolders(volume: ShareVolume, signal: AbortSignal): Promise<ShareFolderState[]> {
      const rooms = (await present(volume, signal)).filter(isRoom);
      const groups = await btrfs.groups(signal);
      return rooms.map(({ id, path }) => {
        const group = groups.get(`0/${String(id)}`);
        return {
          folder: path,
          usedBytes: group?.referenced ?? 0,
          ...(group?.limit === undefined ? {} : { quotaBytes: group.limit }),
        };
      });
    },

    /** The number of a folder's subvolume; undefined where there is no such folder. `Conflict` where it has no room of its own. */
    async subvolumeOf(volume: ShareVolume, folder: string, signal: AbortSignal): Promise<number | undefined> {
      await using found = await openBelow(volume.folder, folder.split('/'));
      if (found === undefined) return undefined;
      if (await found.isSubvolume()) return await btrfs.idOf(found.path, signal);
      throw new PoolhouseError(
        'Conflict',
        `The folder '${folder}' has no room of its own, so that it cannot be shown without the rest of its share: move it away, and it is made anew.`,
      );
    },

    async snapshot(volume: ShareVolume, name: string, signal: AbortSignal): Promise<void> {
      const share = {
        folder: volume.folder,
        group: await groupOf(volume, signal),
        root: rootOf(volume),
        isSealable: volume.idMap !== undefined,
      };
      await despiteQuotas(volume, signal, () => snapshots.take(share, (one) => present(volume, one), name, signal));
    },

    listSnapshots: async (volume: ShareVolume, signal: AbortSignal): Promise<ShareSnapshot[]> =>
      snapshots.list(await present(volume, signal)),

    deleteSnapshot: (volume: ShareVolume, name: string, signal: AbortSignal): Promise<void> =>
      despiteQuotas(volume, signal, async () =>
        snapshots.remove(volume.folder, await present(volume, signal), name, signal),
      ),

    /** Removes what snapshots that were cut off have left in the rooms of these. Only while none is being taken. */
    async removeHalves(volumes: readonly ShareVolume[], signal: AbortSignal): Promise<void> {
      const found = await btrfs.list(signal);
      for (const volume of volumes) await snapshots.removeHalves(volume.folder, below(volume, found), signal);
    },
  };
}

export type ShareRooms = ReturnType<typeof createShareRooms>;
