import { describe, expect, it, vi } from 'vitest';
import type { Attachment } from '../engines/engine.ts';
import type { MountFound } from '../pool/judge-mounts.ts';
import { findActivities } from '../store/activity-log.ts';
import type { AskMounts, Mended } from './ask-mounts.ts';
import { createMountWatch } from './mount-watch.ts';
import { nobodyObserves } from './observer.ts';
import { openTestPool, scaleSetId } from './test-support.ts';

const second = 1_000;
const attachment: Attachment = { account: 'team', share: 'notebooks', folder: '', path: '/mnt/shared' };
const missing: MountFound = {
  ...{ path: '/mnt/shared', origin: 'attached', state: 'missing', what: 'the share team/notebooks', message: '' },
};

async function prepare({
  attachments = [attachment],
  mended = 'mended',
}: { attachments?: Attachment[]; mended?: Mended } = {}) {
  const pool = await openTestPool({ engine: { attachments } });
  await pool.change({ provisioned: 'p' });
  let found: MountFound[] = [];
  let power: 'running' | 'stopped' = 'running';
  const look = vi.fn<AskMounts['look']>(() => Promise.resolve(found));
  const mend = vi.fn<AskMounts['mend']>(() => Promise.resolve(mended));
  const { live } = pool.world;
  const world = {
    ...pool.world,
    observer: nobodyObserves,
    engine: {
      ...pool.world.engine,
      capabilities: () => ({ ...pool.world.engine.capabilities(), real: true, cpus: 2 }),
    },
    live: { ...live, engineInstances: () => live.engineInstances().map((one) => ({ ...one, power })) },
  };
  const watch = createMountWatch(world, { look, mend });
  const { name } = await pool.instance();
  return {
    ...{ pool, look, mend, name },
    held: () => live.mounts(name),
    /** A pass so many seconds after the one before, with all that it begins. */
    after: async (seconds: number, now: MountFound[] = found, is: typeof power = 'running') => {
      pool.now.at += seconds * second;
      found = now;
      power = is;
      const delay = await watch.pass(AbortSignal.timeout(10_000));
      await watch.idle();
      return delay;
    },
  };
}

describe('the mounts of an instance', () => {
  it('are looked at every fifteen seconds, and hardly ever where there are none', async () => {
    const { after, look } = await prepare();
    for (const seconds of [0, 14, 1, 1]) await after(seconds);
    expect(look).toHaveBeenCalledTimes(2);
    const bare = await prepare({ attachments: [] });
    for (const seconds of [0, 59, 1]) await bare.after(seconds);
    expect(bare.look).toHaveBeenCalledTimes(2);
  });

  it('are not looked at before it is prepared, nor while a script runs or it is at rest', async () => {
    const { after, look, pool } = await prepare();
    const script = { version: '', status: 'running' as const, message: '', startedAt: 0, generation: 1 };
    for (const state of [{ provisioned: undefined }, { provisioned: 'p', extensions: { script } }]) {
      await pool.change(state as { extensions?: Record<string, typeof script> });
      await after(60);
    }
    await pool.change({ extensions: {} });
    await after(60, [], 'stopped');
    expect(look).not.toHaveBeenCalled();
    await after(0);
    expect(look).toHaveBeenCalledOnce();
  });

  it('keep new people away when one is bad twice, are mended, and bring them back', async () => {
    const { after, held, mend, pool } = await prepare();
    await after(0, [missing]);
    expect([held(), mend.mock.calls.length]).toEqual([undefined, 0]);
    await after(5);
    expect(held()).toEqual({ reason: 'the share team/notebooks is not mounted at /mnt/shared', unhealthy: false });
    expect(mend.mock.calls.map(([, repair]) => repair)).toEqual([
      { repair: 'attach', path: '/mnt/shared', uncover: false },
    ]);
    await after(0, [{ ...missing, state: 'well' }]);
    expect(held()).toBeUndefined();
    const told = await findActivities(pool.world.store.db, { resourceId: scaleSetId });
    expect(told.map(({ status, level }) => [status, level])).toEqual(
      expect.arrayContaining([
        ['Failed', 'Warning'],
        ['Succeeded', 'Informational'],
      ]),
    );
    expect(told).toHaveLength(2);
  });

  it('make it unhealthy when mending does not help, and say what to do', async () => {
    const { after, held, mend, pool } = await prepare({ mended: { failure: 'the share is gone' } });
    await after(0, [missing]);
    for (let seconds = 0; seconds < 120; seconds += 5) await after(5);
    expect(mend).toHaveBeenCalledTimes(4);
    expect(held()).toMatchObject({ unhealthy: true });
    expect(held()?.reason).toMatch(/mounting it again failed: the share is gone; mending does not help: .*reimage/);
    const [last] = await findActivities(pool.world.store.db, { resourceId: scaleSetId, most: 1 });
    expect(last).toMatchObject({ level: 'Error', status: 'Failed' });
  });

  it('are looked at as those of people’s folders as long as these are shown, whatever the tag says by now', async () => {
    const { after, look, pool } = await prepare();
    const mount = { account: 'team', share: 'notebooks', target: '/mnt/shared' };
    for (const shown of ['share', 'workspaces'] as const) {
      await pool.change({ mounts: [{ ...mount, shown }] });
      await after(60);
    }
    expect(look.mock.calls.map(([, { isolated }]) => isolated)).toEqual([false, true]);
  });

  it('are tried again at once when the engine was away', async () => {
    const { after, mend } = await prepare({ mended: 'not tried' });
    await after(0, [missing]);
    for (let seconds = 0; seconds < 60; seconds += 5) await after(5);
    expect(mend).toHaveBeenCalledTimes(12);
  });

  it('are as they were last when nobody can say', async () => {
    const { after, held, look, pool } = await prepare();
    await after(0, [missing]);
    await after(5);
    look.mockRejectedValue(new Error('no answer'));
    await after(5);
    expect(held()).toBeDefined();
    expect(pool.logged.some(({ level, message }) => level === 'warn' && message.includes('asked again'))).toBe(true);
  });

  it('are forgotten when it stops', async () => {
    const { after, held } = await prepare();
    await after(0, [missing]);
    await after(5);
    await after(1, [missing], 'stopped');
    expect(held()).toBeUndefined();
  });
});
