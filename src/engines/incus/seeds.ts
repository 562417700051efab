/**
 * Images as *seeds*: for each a stopped instance whose files have their owners mapped already, which is most of the time
 * that a container made from an image takes. New instances are copies of it.
 */
import { createReadStream } from 'node:fs';
import { z } from 'zod';
import type { DaemonInstances } from './daemon-instances.ts';
import { hostnameKey, readyKey, seedName, type EngineNames } from './names.ts';
import { DaemonError, isMissing, isPresent, unless, type RestClient } from './rest-client.ts';

const imageLimit = 600_000;

export interface Seeds {
  state(fingerprint: string, signal: AbortSignal): Promise<'ready' | 'unfinished' | 'absent'>;
  prepare(fingerprint: string, file: string, signal: AbortSignal): Promise<void>;
  remove(fingerprint: string, signal: AbortSignal): Promise<void>;
}

export function createSeeds(client: RestClient, instances: DaemonInstances, names: EngineNames): Seeds {
  const { project } = names;
  const images = (rest = '') => `/1.0/images${rest}?project=${project}`;

  async function state(fingerprint: string, signal: AbortSignal): Promise<'ready' | 'unfinished' | 'absent'> {
    const found = await instances.find(seedName(fingerprint), signal);
    if (found === undefined) return 'absent';
    return found.config[readyKey] === 'yes' ? 'ready' : 'unfinished';
  }

  return {
    state,

    async prepare(fingerprint, file, signal) {
      const seed = seedName(fingerprint);
      const now = await state(fingerprint, signal);
      if (now === 'ready') return;
      if (now === 'unfinished') await instances.remove(seed, signal);
      const alias = fingerprint.slice(0, 32);
      const known = await unless(isMissing, () => client.get(images(`/aliases/${alias}`), signal));
      if (known === undefined) {
        const uploaded = z.object({ fingerprint: z.string() }).parse(
          await client
            .upload(
              images(),
              createReadStream(file),
              { 'content-type': 'application/octet-stream', 'x-lxd-filename': 'image', 'x-incus-filename': 'image' },
              signal,
              imageLimit,
            )
            .catch((error: unknown) => {
              // A copy that was taken in before it got its alias.
              const match =
                error instanceof DaemonError ? /fingerprint[^0-9a-f]*([0-9a-f]{64})/i.exec(error.message) : null;
              if (match === null) throw error;
              return { fingerprint: match[1] };
            }),
        );
        await unless(isPresent, () =>
          client.change('POST', images('/aliases'), { name: alias, target: uploaded.fingerprint }, signal),
        );
      }
      const devices = { root: { type: 'disk', path: '/', pool: names.instancePool } };
      await client.change(
        'POST',
        instances.path(),
        {
          name: seed,
          type: 'container',
          devices,
          profiles: [],
          config: { 'boot.autostart': 'false', [hostnameKey]: 'seed', 'raw.lxc': 'lxc.init.cmd = /bin/sleep 120' },
          source: { type: 'image', alias },
        },
        signal,
        imageLimit,
      );
      // The first start maps the owners of all files; a copy need not do it again. Nothing of the system is booted in
      // it, so that no machine id, host key or log is born that copies would share.
      await instances.setState(seed, 'start', signal);
      await instances.setState(seed, 'stop', signal, true);
      await instances.patch(seed, { config: { [readyKey]: 'yes', 'raw.lxc': '' } }, signal);
    },

    async remove(fingerprint, signal) {
      await instances.remove(seedName(fingerprint), signal);
      const alias = await unless(isMissing, () => client.get(images(`/aliases/${fingerprint.slice(0, 32)}`), signal));
      if (alias === undefined) return;
      const { target } = z.object({ target: z.string() }).parse(alias);
      await unless(isMissing, () => client.change('DELETE', images(`/${target}`), undefined, signal));
    },
  };
}
