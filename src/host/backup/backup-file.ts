/**
 * The file that a backup becomes: written under another name, and given its own when it is whole. What is left of an
 * attempt that failed is taken away.
 */
import { createHash, type Hash } from 'node:crypto';
import { lstat, open, rename, rm, type FileHandle } from 'node:fs/promises';
import { basename, dirname, resolve, sep } from 'node:path';
import { PoolhouseError } from '../../core/errors.ts';
import { tarEnd, tarHeader, tarPadding } from '../../files/plain-tar.ts';
import { renderSums, sumsName, whole, type Sum } from './manifest.ts';

export interface BackupFile {
  /** One member. Its body has to have exactly this size. */
  add(name: string, size: number, body: AsyncIterable<Buffer>): Promise<void>;
  addText(name: string, text: string): Promise<void>;
  /** Ends the tar with the sums of all, and gives the file its name. @returns its size */
  finish(): Promise<number>;
  /** Nothing is left of it. Nil once it is finished. */
  discard(): Promise<void>;
}

/** `InvalidParameter` where a backup must not lie there, `HostNotReady` where none can be written there. */
export async function createBackupFile(file: string, homeFolder: string): Promise<BackupFile> {
  const path = resolve(file);
  if (path.startsWith(`${resolve(homeFolder)}${sep}`))
    throw new PoolhouseError(
      'InvalidParameter',
      `${path} lies in ${homeFolder}, and would go with it. Put backups elsewhere, best on another disk.`,
    );
  const present = await lstat(path).catch(() => undefined);
  if (present !== undefined && !present.isFile())
    throw new PoolhouseError('InvalidParameter', `${path} is there already, and no file. Choose another name.`);
  const partial = `${path}.partial`;
  await rm(partial, { force: true }).catch(() => undefined); // of an attempt whose machine lost its power
  const handle = await open(partial, 'wx', 0o600).catch((error: unknown) => {
    throw new PoolhouseError('HostNotReady', `${partial} cannot be written: ${(error as Error).message}`, {
      cause: error,
    });
  });
  return createWriter(handle, path, partial);
}

function createWriter(handle: FileHandle, path: string, partial: string): BackupFile {
  const sums = new Map<string, { hash: Hash; bytes: number; parts: number }>();
  let size = 0;
  let isOpen = true;

  async function write(bytes: Buffer): Promise<void> {
    try {
      for (let at = 0; at < bytes.length;) at += (await handle.write(bytes, at)).bytesWritten;
    } catch (error) {
      throw new PoolhouseError(
        'HostNotReady',
        (error as NodeJS.ErrnoException).code === 'ENOSPC' || (error as NodeJS.ErrnoException).code === 'EDQUOT'
          ? `${dirname(path)} is full: the backup does not fit. Nothing of it was kept. Make room there, or write it elsewhere.`
          : `${partial} could not be written: ${(error as Error).message}. Nothing of it was kept.`,
        { cause: error },
      );
    }
    size += bytes.length;
  }

  async function add(name: string, memberSize: number, body: AsyncIterable<Buffer>): Promise<void> {
    const of = whole(name).name;
    const sum = sums.get(of) ?? { hash: createHash('sha256'), bytes: 0, parts: 0 };
    sums.set(of, sum);
    await write(tarHeader({ name, size: memberSize }));
    let found = 0;
    for await (const chunk of body) {
      found += chunk.length;
      if (found > memberSize) break;
      sum.hash.update(chunk);
      await write(chunk);
    }
    if (found !== memberSize)
      throw new PoolhouseError('Unavailable', `'${name}' was changed while it was read. Try again.`, {
        retryable: true,
      });
    sum.bytes += memberSize;
    sum.parts += 1;
    await write(tarPadding(memberSize));
  }

  const addText = (name: string, text: string) => {
    const bytes = Buffer.from(text);
    return add(name, bytes.length, one(bytes));
  };

  return {
    add,
    addText,
    async finish() {
      const said = new Map<string, Sum>(
        [...sums].map(([name, { hash, bytes, parts }]) => [name, { bytes, parts, sha256: hash.digest('hex') }]),
      );
      await addText(sumsName, renderSums(said));
      await write(tarEnd);
      await handle.sync();
      const [own, named] = [await handle.stat(), await lstat(partial).catch(() => undefined)];
      if (named?.ino !== own.ino)
        throw new PoolhouseError(
          'Conflict',
          `Another backup was begun with the name ${basename(path)}. Give each a name of its own.`,
        );
      await rename(partial, path);
      isOpen = false;
      await handle.close();
      const folder = await open(dirname(path), 'r');
      await folder.sync().finally(() => folder.close());
      return size;
    },
    async discard() {
      if (!isOpen) return;
      isOpen = false;
      const own = await handle.stat();
      const named = await lstat(partial).catch(() => undefined);
      if (named?.ino === own.ino) await rm(partial, { force: true });
      await handle.close();
    },
  };
}

export async function* one(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}
