/**
 * Shares as custom volumes in a storage pool of their own. That pool is mounted `nosuid,nodev`, and every mount that
 * is made from it inherits this, locked: inside an instance not even root can take it off.
 */
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { PoolhouseError } from '../../core/errors.ts';
import { createTurns } from '../../core/turns.ts';
import type { Attachment, ShareSpec, ShareState } from '../engine.ts';
import type { DaemonInstances } from './daemon-instances.ts';
import { removeEmptyVolume } from './empty-volume.ts';
import { createFolderMounts } from './folder-mounts.ts';
import { attachmentPrefix, deviceName, readyKey, volumeName, type EngineNames } from './names.ts';
import { movedKey, readIdMap, toMoveKey } from './owners.ts';
import { createShareRooms, type ShareVolume } from './share-rooms.ts';
import { DaemonError, isMissing, isPresent, unless, type RestClient } from './rest-client.ts';

const volumeSchema = z.object({
  name: z.string(),
  type: z.string(),
  config: z.record(z.string(), z.string()),
  used_by: z.array(z.string()).nullish(),
});
const attachmentSchema = z.object({ account: z.string(), share: z.string(), folder: z.string(), path: z.string() });

export interface InstanceConfiguration {
  config: Record<string, string>;
  devices: Record<string, Record<string, string>>;
  status: string;
}

export function createShareVolumes(client: RestClient, names: EngineNames, instances: Pick<DaemonInstances, 'all'>) {
  const { project, sharePool } = names;
  const pool = join(dirname(client.socketPath), 'storage-pools', sharePool);
  const rooms = createShareRooms(pool);
  const turns = createTurns();
  const mounts = createFolderMounts({ folder: names.folders, pool });
  const volumes = `/1.0/storage-pools/${sharePool}/volumes/custom`;

  async function isMade(name: string, signal: AbortSignal): Promise<boolean> {
    const found = await unless(isMissing, () => client.get(`${volumes}/${name}?project=${project}`, signal));
    return found !== undefined && volumeSchema.parse(found).config[readyKey] !== 'no';
  }

  const removeEmpty = (name: string) =>
    removeEmptyVolume(client.socketPath, { pool: sharePool, kind: 'custom', project, name });

  const volumeFor = (account: string, share: string, config: Readonly<Record<string, string>>): ShareVolume => ({
    folder: join(pool, 'custom', `${project}_${volumeName(account, share)}`),
    quotaBytes: Number(config['size'] ?? 0),
    idMap: readIdMap(config[movedKey]),
  });

  /**
   * The volume of a share, with its owners moved as soon as there is an instance that tells how: what nobody has been shown yet can still be
   * moved. `ShareNotFound` where there is none that was made to its end.
   */
  async function volumeOf(account: string, share: string, signal: AbortSignal): Promise<ShareVolume> {
    const path = `${volumes}/${volumeName(account, share)}?project=${project}`;
    const found = await unless(isMissing, () => client.get(path, signal));
    const config = found === undefined ? undefined : volumeSchema.parse(found).config;
    if (config === undefined || config[readyKey] === 'no')
      throw new PoolhouseError('ShareNotFound', `The account '${account}' has no share '${share}'.`);
    const volume = volumeFor(account, share, config);
    if (volume.idMap !== undefined) return volume;
    // One at a time: what another call has moved may be shown to instances already.
    return turns.take(path, signal, async () => {
      const again = await unless(isMissing, () => client.get(path, signal));
      return again === undefined ? volume : moved(volume, volumeSchema.parse(again).config, path, signal);
    });
  }

  async function moved(
    volume: ShareVolume,
    config: Readonly<Record<string, string>>,
    path: string,
    signal: AbortSignal,
  ): Promise<ShareVolume> {
    const done = readIdMap(config[movedKey]);
    if (done !== undefined) return { ...volume, idMap: done };
    const idMap = (await instances.all(signal))
      .map((one) => readIdMap(one.config[toMoveKey]))
      .find((one) => one !== undefined);
    if (idMap === undefined) return volume;
    await rooms.moveOwners(volume, idMap, signal);
    await client.change('PATCH', path, { config: { [movedKey]: idMap.text, [toMoveKey]: idMap.text } }, signal);
    return { ...volume, idMap };
  }

  async function all(signal: AbortSignal): Promise<{ account: string; share: string; volume: ShareVolume }[]> {
    const found = z.array(volumeSchema).parse(await client.get(`${volumes}?project=${project}&recursion=1`, signal));
    return found.flatMap(({ type, config }) => {
      const account = config['user.poolhouse.account'];
      const share = config['user.poolhouse.share'];
      if (type !== 'custom' || account === undefined || share === undefined) return [];
      return [{ account, share, volume: volumeFor(account, share, config) }];
    });
  }

  return {
    rooms,
    mounts,
    volumeOf,
    async ensure({ account, share, quotaBytes }: ShareSpec, signal: AbortSignal): Promise<void> {
      const name = volumeName(account, share);
      const config = { size: String(quotaBytes), 'user.poolhouse.account': account, 'user.poolhouse.share': share };
      const make = () =>
        client.change(
          'POST',
          `${volumes}?project=${project}`,
          { name, type: 'custom', content_type: 'filesystem', config: { ...config, [readyKey]: 'no' } },
          signal,
        );
      const isNew = await unless(isPresent, () => make().then(() => true));
      // Cut off while it was made: what is there is an empty folder that no instance has ever been shown.
      if (isNew !== true && !(await isMade(name, signal)) && (await removeEmpty(name))) {
        await client.change('DELETE', `${volumes}/${name}?project=${project}`, undefined, signal);
        await make();
      }
      await client.change(
        'PATCH',
        `${volumes}/${name}?project=${project}`,
        { config: { ...config, [readyKey]: 'yes' } },
        signal,
      );
      await rooms.limit(await volumeOf(account, share, signal), signal);
    },

    /** Clears away what calls that were cut off have left. Only while nothing else is under way. */
    async prepare(signal: AbortSignal): Promise<void> {
      await rooms.prepare(signal);
      await rooms.removeHalves(
        (await all(signal)).map(({ volume }) => volume),
        signal,
      );
    },

    async list(signal: AbortSignal): Promise<ShareState[]> {
      const shares = await all(signal);
      const usages = await rooms.usages(
        shares.map(({ volume }) => volume),
        signal,
      );
      return shares.map(({ account, share, volume: { quotaBytes } }, index) => ({
        ...{ account, share, quotaBytes, usedBytes: 0, snapshotBytes: 0 },
        ...usages[index], // none of one that was removed meanwhile
      }));
    },

    async remove(account: string, share: string, signal: AbortSignal): Promise<void> {
      const name = volumeName(account, share);
      const holder = (await instances.all(signal)).find(({ config }) =>
        attachmentsOf(config).some((one) => one.account === account && one.share === share && one.folder !== ''),
      );
      if (holder !== undefined) throw stillAttached(account, share);
      await rooms.unlimit(volumeFor(account, share, {}), signal).catch(() => undefined); // it may be gone
      const counted = await rooms.idOf(volumeFor(account, share, {}), signal).catch(() => undefined); // it may be gone
      const drop = () =>
        unless(isMissing, () => client.change('DELETE', `${volumes}/${name}?project=${project}`, undefined, signal));
      try {
        await drop().catch(async (error: unknown) => {
          // It is in use by nobody: that the daemon looks at before.
          if (error instanceof DaemonError && /file name too long/i.test(error.message)) {
            await rooms.empty(volumeFor(account, share, {}), signal);
            await drop();
            return;
          }
          const isCutOff = error instanceof DaemonError && !(await isMade(name, signal));
          if (!isCutOff || !(await removeEmpty(name))) throw error;
          await drop();
        });
      } catch (error) {
        if (!(error instanceof DaemonError) || !/in use/i.test(error.message)) throw error;
        throw stillAttached(account, share, error);
      }
      await rooms.forget(counted, signal);
    },

    /**
     * The device that shows the share or a folder of it, and the key that remembers what it shows. `ShareNotFound` where there is no such
     * share; a folder that is missing is made as root's.
     */
    async deviceFor(
      attachment: Attachment,
      signal: AbortSignal,
    ): Promise<{ name: string; device: Record<string, string>; key: string; value: string }> {
      const { account, share, folder, path } = attachment;
      const volume = await volumeOf(account, share, signal);
      const name = deviceName(path);
      const shown = async () => {
        if (folder === '') return { pool: sharePool, source: volumeName(account, share) };
        const find = () => rooms.subvolumeOf(volume, folder, signal);
        let subvolume = await find();
        if (subvolume === undefined) {
          await rooms.ensureFolder(volume, { account, share, folder, uid: 0, gid: 0, mode: 0o755 }, signal);
          subvolume = await find();
        }
        if (subvolume === undefined)
          throw new PoolhouseError('Conflict', `The folder '${folder}' was removed while it was made.`, {
            retryable: true,
          });
        const source = await mounts.mount(subvolume, signal);
        // After a start of the host it is mounted by us, and instances may start before.
        return { source, required: 'false' };
      };
      return {
        name,
        device: { type: 'disk', path, ...(await shown()) },
        key: `${attachmentPrefix}${name}`,
        value: JSON.stringify(attachment),
      };
    },
  };
}

function stillAttached(account: string, share: string, cause?: unknown): PoolhouseError {
  return new PoolhouseError('Conflict', `The share '${share}' of '${account}' is still attached to an instance.`, {
    retryable: true,
    ...(cause === undefined ? {} : { cause }),
  });
}

/** What an instance has attached, as its configuration remembers it. */
export function attachmentsOf(config: Readonly<Record<string, string>>): Attachment[] {
  return Object.entries(config).flatMap(([key, value]) => {
    if (!key.startsWith(attachmentPrefix)) return [];
    const parsed = attachmentSchema.safeParse(JSON.parse(value));
    return parsed.success ? [parsed.data] : [];
  });
}
