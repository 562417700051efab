import { spawn } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { homeAt } from '../core/home.ts';
import { lockFolder, lockHome } from './lock.ts';
import { silentProgress } from './progress.ts';

describe('the lock', () => {
  let folder: string;
  const { signal } = new AbortController();
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'poolhouse-lock-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  /** Who waits tells so: what is waited for here. */
  function waiter(): { told: Promise<string>; lock: Promise<() => Promise<void>>; stop: AbortController } {
    const stop = new AbortController();
    const told = Promise.withResolvers<string>();
    const progress = { ...silentProgress, note: (text: string) => told.resolve(text) };
    return { told: told.promise, lock: lockFolder(folder, progress, stop.signal), stop };
  }

  it('is held by one at a time, and says by whom', async () => {
    const unlock = await lockFolder(folder, silentProgress, signal);
    const second = waiter();
    expect(await second.told).toContain(`(pid ${process.pid})`);
    await unlock();
    await (
      await second.lock
    )();
  });

  it('is never held by two of many', async () => {
    let inside = 0;
    let most = 0;
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        const unlock = await lockFolder(folder, silentProgress, signal);
        inside += 1;
        most = Math.max(most, inside);
        await new Promise((resolve) => setImmediate(resolve));
        inside -= 1;
        await unlock();
      }),
    );
    expect(most).toBe(1);
  });

  it('is free again when its holder was killed', async () => {
    const module = new URL('./lock.ts', import.meta.url).href;
    const text = `const { lockFolder } = await import(${JSON.stringify(module)});
      await lockFolder(${JSON.stringify(folder)}, { note() {} }, new AbortController().signal);
      console.log('held'); setInterval(() => {}, 1000);`;
    const holder = spawn(process.execPath, ['--input-type=module', '-e', text], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise((resolve) => holder.stdout.once('data', resolve));
    const next = waiter();
    expect(await next.told).toContain(`(pid ${holder.pid ?? 0})`);
    holder.kill('SIGKILL');
    await (
      await next.lock
    )();
  });

  it('is not taken on a file that was removed while it was held', async () => {
    const unlock = await lockFolder(folder, silentProgress, signal);
    const old = waiter();
    await old.told;
    for (const name of await readdir(folder)) await rm(join(folder, name));
    const unlockNew = await waiter().lock;
    await unlock();
    const another = waiter();
    await another.told;
    old.stop.abort(new Error('enough'));
    await expect(old.lock).rejects.toThrow();
    await unlockNew();
    await (
      await another.lock
    )();
  });

  it('is not waited for when the command is stopped', async () => {
    const unlock = await lockFolder(folder, silentProgress, signal);
    const second = waiter();
    await second.told;
    second.stop.abort();
    await expect(second.lock).rejects.toThrow();
    await unlock();
  });

  it('says what to do where it cannot be taken', async () => {
    await writeFile(join(folder, 'file'), '');
    await expect(lockHome(homeAt(join(folder, 'file', 'home')), silentProgress, signal)).rejects.toMatchObject({
      code: 'HostNotReady',
      message: expect.stringContaining('set POOLHOUSE_HOME') as string,
    });
    await expect(lockFolder(join(folder, 'gone'), silentProgress, signal)).rejects.toMatchObject({
      code: 'HostNotReady',
    });
  });
});
