import { describe, expect, it, vi } from 'vitest';
import type { Engine } from '../engines/engine.ts';
import { createGiveUpMount } from './give-up-mount.ts';
import { openTestPool } from './test-support.ts';

const attachment = { account: 'team', share: 'notebooks', folder: '', path: '/mnt/shared' };

async function prepare(attachments = [attachment]) {
  const { world, instance } = await openTestPool();
  const { name, hostname } = await instance();
  const detachShare = vi.fn<(name: string, path: string) => Promise<void>>(() => Promise.resolve());
  const engine = { detachShare, list: () => Promise.resolve([{ name, attachments }]) } as unknown as Engine; // as much as is asked
  return { giveUp: createGiveUpMount({ ...world, engine }), detachShare, name, hostname };
}

describe('a mount that is given up', () => {
  it.each(['/mnt/shared', '/mnt/shared/'])('is detached: %s', async (path) => {
    const { giveUp, detachShare, name, hostname } = await prepare();
    expect(await giveUp({ instance: hostname, path })).toEqual({ instance: hostname, ...attachment });
    expect(detachShare.mock.calls.map(([one, where]) => [one, where])).toEqual([[name, '/mnt/shared']]);
  });

  it.each([
    [
      'nothing is attached there',
      '/mnt/other',
      undefined,
      /No share is attached at '\/mnt\/other' of .*, but at \/mnt\/shared/,
    ],
    ['nothing is attached at all', '/mnt/shared', [], /No share is attached to/],
  ])('is refused where %s', async (_what, path, attachments, message) => {
    const { giveUp, hostname, detachShare } = await prepare(attachments);
    await expect(giveUp({ instance: hostname, path })).rejects.toThrow(message);
    expect(detachShare).not.toHaveBeenCalled();
  });

  it.each([
    ['an unknown instance', { instance: 'nobody', path: '/mnt' }, 'ResourceNotFound'],
    ['no path', { instance: 'nobody' }, 'InvalidParameter'],
  ])('is refused for %s', async (_what, request, code) => {
    await expect((await prepare()).giveUp(request)).rejects.toMatchObject({ code });
  });
});
