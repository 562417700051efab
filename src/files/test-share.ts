/** For tests of the worker: a share that it serves on a folder of this machine, and short words for what is asked of it. */
import { spawnSync } from 'node:child_process';
import { chmod, mkdir, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import { PoolhouseError } from '../core/errors.ts';
import type { ShareFiles, SharePlace } from './share-files.ts';
import { prepareWorker } from './test-worker.ts';
import { createWorkerLink } from './worker-link.ts';

export const never = new AbortController().signal;
export const at = (path: string, snapshot?: string): SharePlace => ({
  account: 'teamfiles',
  share: 'files',
  path: path === '' ? [] : path.split('/'),
  ...(snapshot === undefined ? {} : { snapshot }),
});
export const inSnapshot = (path: string, snapshot: string) => ({ ...at(path), snapshot });

export async function prepareShare() {
  const worker = await prepareWorker();
  const share = await worker.makeShare('teamfiles', 'files');
  const linkToIt = createWorkerLink({ log: pino({ level: 'silent' }), patience: 3_000 });
  onTestFinished(async () => {
    await worker.remove();
    await linkToIt.close();
  });
  await linkToIt.listen(worker.socketPath);
  worker.start();
  return { worker, share, files: linkToIt.files, link: linkToIt };
}

export const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'done',
    (error: unknown) => (error instanceof PoolhouseError ? error.code : String(error)),
  );
export const content = async (files: ShareFiles, path: string, snapshot?: string) =>
  text(await files.read(at(path, snapshot), { from: 0 }, never));
export async function put(files: ShareFiles, path: string, bytes: Uint8Array | string) {
  const whole = Buffer.from(bytes);
  await files.createFile(at(path), { size: whole.length, metadata: {} }, never);
  return files.write(at(path), 0, whole, never);
}

/** A share with two workspaces, and a snapshot of it as the engine makes one. */
export async function prepareSnapshotted() {
  const prepared = await prepareShare();
  const { share } = prepared;
  for (const [path, words] of [
    ['a', 'one'],
    ['dir/b', 'two'],
    ['dir/same', 'same'],
    ['gone/c', 'three'],
    ['notebooks/ada/x', 'hers'],
  ] as const) {
    // prettier-ignore
    await mkdir(join(share, path, '..'), { recursive: true });
    await writeFile(join(share, path), words);
  }
  await symlink('b', join(share, 'dir/link'));
  await chmod(join(share, 'a'), 0o640);
  await utimes(join(share, 'a'), 1_600_000_000, 1_600_000_000);
  const [whole, hers] = [join(share, '.snapshots/one'), join(share, 'notebooks/ada/.snapshots/one')];
  for (const folder of [whole, hers]) await mkdir(folder, { recursive: true });
  for (const name of ['a', 'dir', 'gone']) spawnSync('cp', ['-a', join(share, name), whole]);
  spawnSync('cp', ['-a', join(share, 'notebooks/ada/x'), hers]);
  await mkdir(join(whole, 'notebooks'));
  await symlink('../../../notebooks/ada/.snapshots/one', join(whole, 'notebooks/ada'));
  await symlink('../../../notebooks/ada/.snapshots/one', join(whole, 'notebooks/eve')); // leads to somebody else
  return prepared;
}
