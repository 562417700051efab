/** For tests: the real worker, on a folder of this machine. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { programFiles } from '../core/program-files.ts';

const python = '/usr/bin/python3';
const program = join(programFiles.root, 'images/recipes/fileserver/files/share-files');

/** Why it cannot be run here; undefined where it can. */
export const workerMissing = existsSync(python) ? undefined : 'needs python3';

export interface TestWorker {
  /** Shares are folders in it: `ACCOUNT/SHARE`. */
  root: string;
  socketPath: string;
  makeShare(account: string, share: string): Promise<string>;
  start(): void;
  /** At once, whatever it does. */
  kill(): Promise<void>;
  remove(): Promise<void>;
}

/** Not started yet. */
export async function prepareWorker(options: readonly string[] = []): Promise<TestWorker> {
  const ground = await mkdtemp(join(tmpdir(), 'ph-files-'));
  const [root, socketPath] = [join(ground, 'shares'), join(ground, 'share-files.sock')];
  await mkdir(root);
  let child: ChildProcess | undefined;
  const kill = async () => {
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child?.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  };
  return {
    root,
    socketPath,
    async makeShare(account, share) {
      const folder = join(root, account, share);
      await mkdir(folder, { recursive: true });
      return folder;
    },
    start() {
      child = spawn(python, ['-I', program, '--socket', socketPath, '--root', root, '--folders', ...options], {
        stdio: ['ignore', 'ignore', 'inherit'],
      });
    },
    kill,
    async remove() {
      await kill();
      await rm(ground, { recursive: true, force: true });
    },
  };
}
