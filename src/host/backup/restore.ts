/**
 * `poolhouse restore`: the same installation again, on a machine that has nothing of it. The home is laid out, processes are started as `up`
 * starts them, and shares are filled before any instance is: a note in the home (`restoring.ts`) has control wait, and the same command
 * go on where it was cut off.
 */
import { createWriteStream, existsSync } from 'node:fs';
import { chmod, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { PoolhouseError } from '../../core/errors.ts';
import type { Home } from '../../core/home.ts';
import { masterKeyName, masterKeyNameOf } from '../../secrets/keyring.ts';
import { keyOfPassphrase, readMasterKey } from '../../secrets/master-key.ts';
import { ownStoreVersion } from '../../store/store.ts';
import { readConfigFile } from '../config-file.ts';
import type { AskPassphrase } from '../master-key.ts';
import type { Progress } from '../progress.ts';
import { up, type UpResult } from '../up.ts';
import { fillShares, type Filled } from './fill-shares.ts';
import type { Manifest } from './manifest.ts';
import { checkBackup, type CheckedBackup } from './read-backup.ts';
import { refusePresent, refuseUsedHome } from './refuse-present.ts';
import { endRestoring, readRestoring, writeRestoring } from './restoring.ts';

export interface RestoreOptions {
  file: string;
  /** The 32 bytes that were kept apart from the backup. */
  masterKeyFile?: string;
  passphrase: AskPassphrase;
  /** Asked once everything has been looked at, and before anything is changed; fails where it is not wanted. Not where a restore goes on. */
  confirm(manifest: Manifest): Promise<void>;
}

export interface RestoreResult extends UpResult {
  manifest: Manifest;
  filled: Filled;
  /** What has to be looked at, in words. */
  warnings: string[];
}

/** The home's lock is held by the caller. Nothing is touched where it is refused. */
export async function restore(
  home: Home,
  options: RestoreOptions,
  progress: Progress,
  signal: AbortSignal,
): Promise<RestoreResult> {
  const backup = await progress.step(`${basename(options.file)} is read and checked`, (phase) =>
    checkBackup(options.file, (read, of) => phase(`${Math.floor((100 * read) / Math.max(1, of))} %`), signal),
  );
  const { manifest } = backup;
  refuseNewer(manifest, options.file);
  const before = await readRestoring(home);
  if (before !== undefined && before.backup !== manifest.backup)
    throw new PoolhouseError(
      'Conflict',
      `In ${home.folder} the backup of ${before.createdAt} is being restored, and ${options.file} is another one. Go on with that one, or give it up: poolhouse down --destroy`,
    );
  if (before === undefined) {
    await refuseUsedHome(home);
    await refusePresent(home, manifest.installation, signal);
  }
  const unlocked = await unlock(manifest, options);
  if (before === undefined) await options.confirm(manifest);
  if (before?.phase !== 'shares')
    await progress.step('the home is laid out', () => layOut(home, backup, unlocked.key, signal));

  const result = await up(home, { passphrase: unlocked.passphrase, restoring: true }, progress, signal);
  const filled = await progress.step('shares are filled', (phase) =>
    fillShares(home, result.run.adminSocket, backup, phase, signal),
  );
  await endRestoring(home);
  return { ...result, manifest, filled, warnings: await findWarnings(home, manifest) };
}

function refuseNewer(manifest: Manifest, file: string): void {
  if (manifest.storeVersion <= ownStoreVersion) return;
  throw new PoolhouseError(
    'InvalidConfiguration',
    `${file} was written by a newer Poolhouse (${manifest.poolhouse}; its store's version is ${manifest.storeVersion}, this program knows ${ownStoreVersion}). Restore it with that version, or a newer one. Nothing was touched.`,
  );
}

/** What opens the secrets, as the configuration of the backup wants it: it is known to fit before anything is done. */
async function unlock(
  { masterKey, installation }: Manifest,
  options: RestoreOptions,
): Promise<{ key?: Buffer; passphrase: AskPassphrase }> {
  if (masterKey.kind === 'passphrase') {
    const passphrase = await options.passphrase(false);
    if (passphrase === undefined)
      throw new PoolhouseError(
        'HostNotReady',
        `The secrets in this backup are sealed with a passphrase. Run this at a terminal, or with --passphrase-file FILE.`,
      );
    if (masterKeyName(await keyOfPassphrase(passphrase, installation)) !== masterKey.name)
      throw new PoolhouseError(
        'InvalidConfiguration',
        'That is not the passphrase of this backup. Nothing was touched.',
      );
    return { passphrase: () => Promise.resolve(passphrase) };
  }
  const passphrase = () => Promise.resolve(undefined);
  if (options.masterKeyFile === undefined) {
    if (masterKey.kind === 'credential') return { passphrase }; // systemd hands it to control
    throw new PoolhouseError(
      'InvalidParameter',
      `The secrets in this backup open with the master key of its installation (its name is ${masterKey.name}), which is in no backup: it was kept apart, a copy of secrets/key. Give it with --master-key KEYFILE. Nothing was touched.`,
    );
  }
  const key = await readMasterKey(options.masterKeyFile);
  if (masterKeyName(key) !== masterKey.name)
    throw new PoolhouseError(
      'InvalidConfiguration',
      `${options.masterKeyFile} is another master key (${masterKeyName(key)}) than the one that this backup is sealed with (${masterKey.name}). Nothing was touched.`,
    );
  return masterKey.kind === 'credential' ? { passphrase } : { key, passphrase };
}

/** The file that names the installation comes last: without it a home is none. */
async function layOut(home: Home, backup: CheckedBackup, key: Buffer | undefined, signal: AbortSignal): Promise<void> {
  const { manifest } = backup;
  await mkdir(home.folder, { recursive: true, mode: 0o700 });
  await chmod(home.folder, 0o700);
  const note = { backup: manifest.backup, createdAt: manifest.createdAt, filled: [] };
  await writeRestoring(home, { ...note, phase: 'files' });
  for (const suffix of ['', '-wal', '-shm']) await rm(`${home.store}${suffix}`, { force: true });
  await backup.eachHomeFile(async (name, body) => {
    const path = join(home.folder, name);
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await pipeline(body, createWriteStream(`${path}.new`, { mode: 0o600, flush: true }), { signal });
    if (path !== home.installation) await rename(`${path}.new`, path);
  }, signal);
  if (masterKeyNameOf(home.store) !== manifest.masterKey.name)
    throw new PoolhouseError(
      'InvalidRequestContent',
      'The store in the backup is sealed with another key than it says.',
    );
  if (key !== undefined) {
    await mkdir(home.secrets, { recursive: true, mode: 0o700 });
    await writeFile(`${home.masterKey}.new`, key, { mode: 0o600, flush: true });
    await rename(`${home.masterKey}.new`, home.masterKey);
  }
  const { id } = JSON.parse(await readFile(`${home.installation}.new`, 'utf8')) as { id?: unknown }; // read by its schema as soon as it is there
  if (id !== manifest.installation)
    throw new PoolhouseError('InvalidRequestContent', 'The installation in the backup is another one than it says.');
  await rename(`${home.installation}.new`, home.installation);
  const folder = await open(home.folder, 'r');
  await folder.sync().finally(() => folder.close());
  await writeRestoring(home, { ...note, phase: 'shares' });
}

/** What a backup cannot bring along. */
async function findWarnings(home: Home, manifest: Manifest): Promise<string[]> {
  const { config } = await readConfigFile(home.config);
  const own = Object.values(networkInterfaces()).flatMap((addresses) =>
    (addresses ?? []).map(({ address }) => address),
  );
  const strange = config.publicAddresses.filter((address) => !own.includes(address));
  const lost = manifest.elsewhere.filter((file) => !existsSync(file));
  return [
    ...(manifest.shares === undefined
      ? ['What shares held is not in this backup (it was made without --shares): all shares are empty.']
      : []),
    ...(strange.length === 0
      ? []
      : [
          `This machine does not have the address${strange.length === 1 ? '' : 'es'} ${strange.join(', ')} of 'publicAddresses'. Change them in ${home.config}, and run 'poolhouse up'.`,
        ]),
    ...lost.map(
      (file) =>
        `${file} is named in ${home.config} and is not here: it is in no backup. Bring it, or change the configuration.`,
    ),
    ...(manifest.masterKey.kind === 'credential'
      ? ['The master key is a credential of systemd: give it to the unit of control on this machine too.']
      : []),
  ];
}
