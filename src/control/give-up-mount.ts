/**
 * An operator gives up a share of an instance: it is detached, and not mended any more. An `umount` inside is no such word: what
 * the engine has attached is wanted, and comes back.
 */
import { z } from 'zod';
import { PoolhouseError } from '../core/errors.ts';
import { parseRequest, requireNamedInstance } from './operator-request.ts';
import type { World } from './world.ts';

const limit = 60_000;
const requestSchema = z.strictObject({ instance: z.string().max(200), path: z.string().max(1024) });

export interface GiveUpAnswer {
  instance: string;
  account: string;
  share: string;
  folder: string;
  path: string;
}

/** Carries out a request as it came. `ResourceNotFound` where there is no such instance, or nothing is attached at the path. */
export function createGiveUpMount({
  store,
  engine,
  log,
  changed,
}: Pick<World, 'store' | 'engine' | 'log' | 'changed'>): (request: unknown) => Promise<GiveUpAnswer> {
  return async (request) => {
    const asked = parseRequest(requestSchema, request);
    const path = asked.path.replace(/(.)\/+$/, '$1');
    const instance = await requireNamedInstance(store.db, asked.instance);
    const signal = AbortSignal.timeout(limit);
    const attachments = (await engine.list(signal)).find((one) => one.name === instance.name)?.attachments ?? [];
    const attached = attachments.find((one) => one.path === path);
    if (attached === undefined)
      throw new PoolhouseError(
        'ResourceNotFound',
        attachments.length === 0
          ? `No share is attached to '${instance.hostname}'.`
          : `No share is attached at '${path}' of '${instance.hostname}', but at ${attachments.map((one) => one.path).join(', ')}.`,
      );
    await engine.detachShare(instance.name, path, signal);
    const { account, share, folder } = attached;
    log.info(
      { audit: 'share detached', instance: instance.hostname, account, share, folder, path },
      'a mount is given up',
    );
    changed();
    return { instance: instance.hostname, account, share, folder, path };
  };
}
