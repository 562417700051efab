/** `poolhouse backup`: one file with all that makes this installation another time, consistent while it runs. */
import { randomUUID } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import { promisify } from 'node:util';
import { constants, zstdCompress } from 'node:zlib';
import { PoolhouseError } from '../../core/errors.ts';
import { runtimeFolderOf, type Home } from '../../core/home.ts';
import { masterKeyNameOf } from '../../secrets/keyring.ts';
import { copyStore } from '../../store/backup.ts';
import { buildName, readBuild } from '../build.ts';
import { readConfigFile } from '../config-file.ts';
import { readInstallation } from '../installations.ts';
import type { Progress } from '../progress.ts';
import { createBackupFile, one, type BackupFile } from './backup-file.ts';
import { filesElsewhere, findHomeFiles, type HomeFile } from './home-files.ts';
import { homePrefix, manifestName, newManifest, packName, partName, type Manifest } from './manifest.ts';
import { openShareBackup, type ShareBackupStream } from './control-streams.ts';

const compress = promisify(zstdCompress);
/** With a sum of its own: a part that is changed between its check and its use does not open. */
const compression = { params: { [constants.ZSTD_c_checksumFlag]: 1 } };

export interface BackupResult {
  manifest: Manifest;
  /** Of the file. */
  bytes: number;
}

/** Nothing is left where it fails or is stopped; a file of the same name is replaced once the new one is whole. */
export async function writeBackup(
  home: Home,
  options: { file: string; shares: boolean },
  progress: Progress,
  signal: AbortSignal,
): Promise<BackupResult> {
  const installation = await readInstallation(home);
  if (installation === undefined)
    throw new PoolhouseError('HostNotReady', `There is no installation in ${home.folder}: there is nothing to keep.`);
  const masterKey = masterKeyNameOf(home.store);
  if (masterKey === undefined)
    throw new PoolhouseError(
      'HostNotReady',
      `Control has not run yet: there is nothing to keep. 'poolhouse up' starts it.`,
    );
  const { config } = await readConfigFile(home.config);
  const file = await createBackupFile(options.file, home.folder);
  const storeCopy = `${options.file}.store.partial`;
  const run = runtimeFolderOf(home, installation.id, process.getuid?.() === 0);
  // What shares hold is kept first: what the store says of them is then never older than it.
  const shares = options.shares
    ? await progress
        .step('the file server, and snapshots of all shares', () => openShareBackup(run.adminSocket, signal))
        .catch(async (error: unknown) => {
          await file.discard();
          throw error;
        })
    : undefined;
  try {
    const homeFiles = await openFiles(await findHomeFiles(home));
    try {
      const storeVersion = await progress.step('a copy of the store', () => copyStore(home.store, storeCopy));
      const manifest = newManifest({
        backup: randomUUID(),
        createdAt: new Date().toISOString(),
        poolhouse: buildName(readBuild()),
        installation: installation.id,
        engine: installation.engine,
        storeVersion,
        masterKey: { name: masterKeyNameOf(storeCopy) ?? masterKey, kind: config.masterKey },
        elsewhere: filesElsewhere(config),
        ...(shares === undefined ? {} : { shares: shares.list }),
      });
      await file.addText(manifestName, `${JSON.stringify(manifest, null, 2)}\n`);
      for (const { name, handle } of homeFiles) await addHandle(file, name, handle, signal);
      const store = await open(storeCopy, 'r');
      await addHandle(file, 'store.sqlite', store, signal).finally(() => store.close());
      if (shares !== undefined)
        await progress.step('what shares hold', (phase) => addShares(file, shares, phase, signal));
      signal.throwIfAborted();
      return { manifest, bytes: await file.finish() };
    } finally {
      for (const { handle } of homeFiles) await handle.close().catch(() => undefined);
    }
  } finally {
    await rm(storeCopy, { force: true });
    shares?.close();
    await file.discard();
  }
}

/** All at one moment: what is replaced meanwhile is read as it was. */
async function openFiles(files: readonly HomeFile[]) {
  return Promise.all(files.map(async ({ name, path }) => ({ name, handle: await open(path, 'r') })));
}

async function addHandle(
  file: BackupFile,
  name: string,
  handle: Awaited<ReturnType<typeof open>>,
  signal: AbortSignal,
): Promise<void> {
  const { size } = await handle.stat();
  await file.add(`${homePrefix}${name}`, size, readWhole(handle, signal));
}

/** Opened when it is read and no sooner: a stream that is stopped before anybody reads it would end the program. */
async function* readWhole(handle: Awaited<ReturnType<typeof open>>, signal: AbortSignal): AsyncGenerator<Buffer> {
  signal.throwIfAborted();
  for await (const chunk of handle.createReadStream({ autoClose: false })) {
    yield chunk as Buffer;
    signal.throwIfAborted();
  }
}

async function addShares(
  file: BackupFile,
  shares: ShareBackupStream,
  phase: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  let bytes = 0;
  for await (const part of shares.parts) {
    signal.throwIfAborted();
    const share = shares.list[part.share];
    if (share === undefined) throw new Error(`a part of share ${part.share}, which was not announced`);
    const small = await compress(part.bytes, compression);
    await file.add(partName(packName(share), part.part), small.length, one(small));
    bytes += part.bytes.length;
    phase(`${share.account}/${share.share}, ${(bytes / 2 ** 20).toFixed(0)} MiB so far`);
  }
}
