/**
 * Shares as custom volumes in a storage pool of their own. That pool is mounted `nosuid,nodev`, and every mount that
 * is made from it inherits this, locked: inside an instance not even root can take it off.
 */
import { z } from 'zod';
import { PoolhouseError } from '../../core/errors.ts';
import type { Attachment, ShareSpec, ShareState } from '../engine.ts';
import { removeEmptyVolume } from './empty-volume.ts';
import { attachmentPrefix, deviceName, readyKey, volumeName, type EngineNames } from './names.ts';
import { DaemonError, isMissing, isPresent, unless, type RestClient } from './rest-client.ts';

const volumeSchema = z.object({
  name: z.string(),
  type: z.string(),
  config: z.record(z.string(), z.string()),
  used_by: z.array(z.string()).nullish(),
});
/** The daemon leaves `used` out while the volume is empty. */
const stateSchema = z.object({ usage: z.object({ used: z.number().optional() }).nullish() });
const attachmentSchema = z.object({ account: z.string(), share: z.string(), folder: z.string(), path: z.string() });

export interface InstanceConfiguration {
  config: Record<string, string>;
  devices: Record<string, Record<string, string>>;
  status: string;
}

export function createShareVolumes(client: RestClient, names: EngineNames) {
  const { project, sharePool } = names;
  const volumes = `/1.0/storage-pools/${sharePool}/volumes/custom`;

  async function isMade(name: string, signal: AbortSignal): Promise<boolean> {
    const found = await unless(isMissing, () => client.get(`${volumes}/${name}?project=${project}`, signal));
    return found !== undefined && volumeSchema.parse(found).config[readyKey] !== 'no';
  }

  const removeEmpty = (name: string) =>
    removeEmptyVolume(client.socketPath, { pool: sharePool, kind: 'custom', project, name });

  return {
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
    },

    async list(signal: AbortSignal): Promise<ShareState[]> {
      const found = z.array(volumeSchema).parse(await client.get(`${volumes}?project=${project}&recursion=1`, signal));
      const result: ShareState[] = [];
      for (const volume of found) {
        const account = volume.config['user.poolhouse.account'];
        const share = volume.config['user.poolhouse.share'];
        if (volume.type !== 'custom' || account === undefined || share === undefined) continue;
        const answer = await unless(isMissing, () =>
          client.get(`${volumes}/${volume.name}/state?project=${project}`, signal),
        );
        if (answer === undefined) continue; // removed meanwhile
        const state = stateSchema.parse(answer);
        result.push({
          account,
          share,
          quotaBytes: Number(volume.config['size'] ?? 0),
          usedBytes: state.usage?.used ?? 0,
          snapshotBytes: 0,
        });
      }
      return result;
    },

    async remove(account: string, share: string, signal: AbortSignal): Promise<void> {
      const name = volumeName(account, share);
      const drop = () =>
        unless(isMissing, () => client.change('DELETE', `${volumes}/${name}?project=${project}`, undefined, signal));
      try {
        await drop().catch(async (error: unknown) => {
          const isCutOff = error instanceof DaemonError && !(await isMade(name, signal));
          if (!isCutOff || !(await removeEmpty(name))) throw error;
          await drop();
        });
      } catch (error) {
        if (!(error instanceof DaemonError) || !/in use/i.test(error.message)) throw error;
        throw new PoolhouseError('Conflict', `The share '${share}' of '${account}' is still attached to an instance.`, {
          cause: error,
          retryable: true,
        });
      }
    },

    /** True when it was made to its end. */
    exists: (account: string, share: string, signal: AbortSignal) => isMade(volumeName(account, share), signal),

    /** The device that shows the share, and the key that remembers what it shows. */
    deviceFor(attachment: Attachment): { name: string; device: Record<string, string>; key: string; value: string } {
      const name = deviceName(attachment.path);
      return {
        name,
        device: {
          type: 'disk',
          pool: sharePool,
          source: volumeName(attachment.account, attachment.share),
          path: attachment.path,
        },
        key: `${attachmentPrefix}${name}`,
        value: JSON.stringify(attachment),
      };
    },
  };
}

/** What an instance has attached, as its configuration remembers it. */
export function attachmentsOf(config: Readonly<Record<string, string>>): Attachment[] {
  return Object.entries(config).flatMap(([key, value]) => {
    if (!key.startsWith(attachmentPrefix)) return [];
    const parsed = attachmentSchema.safeParse(JSON.parse(value));
    return parsed.success ? [parsed.data] : [];
  });
}
