/** What a restore refuses before it touches anything; what it does is tried with whole installations in `test/e2e`. */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { homeAt, type Home } from '../../core/home.ts';
import { masterKeyName } from '../../secrets/keyring.ts';
import { ownStoreVersion } from '../../store/store.ts';
import { silentProgress } from '../progress.ts';
import { createBackupFile } from './backup-file.ts';
import { manifestName, newManifest, type Manifest } from './manifest.ts';
import { restore, type RestoreOptions } from './restore.ts';
import { refuseHalfRestored, writeRestoring, type Restoring } from './restoring.ts';

const key = Buffer.alloc(32, 7);
const said: Omit<Manifest, 'format' | 'formatVersion'> = {
  backup: '6b7f2c1e-4a1d-4c39-8f5d-1f0f3a2b4c5d',
  createdAt: '2026-11-26T18:00:00.000Z',
  poolhouse: '0.1.0+2c027fe',
  ...{ installation: '0123abcd', engine: 'sim', storeVersion: ownStoreVersion },
  masterKey: { name: masterKeyName(key), kind: 'file' },
  elsewhere: [],
};

describe('a restore', () => {
  let folder: string;
  let home: Home;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'poolhouse-restore-'));
    home = homeAt(join(folder, 'home'));
    await writeFile(join(folder, 'key'), key);
    await writeFile(join(folder, 'other'), Buffer.alloc(32, 8));
  });
  afterEach(() => rm(folder, { recursive: true }));

  async function attempt(manifest: Partial<Manifest>, options: Partial<RestoreOptions> = {}): Promise<unknown> {
    const file = join(folder, 'backup.tar');
    const backup = await createBackupFile(file, home.folder);
    await backup.addText(manifestName, JSON.stringify(newManifest({ ...said, ...manifest })));
    for (const name of ['home/installation.json', 'home/store.sqlite']) await backup.addText(name, '{}');
    await backup.finish();
    return restore(
      home,
      {
        file,
        masterKeyFile: join(folder, 'key'),
        passphrase: () => Promise.resolve(undefined),
        confirm: () => Promise.reject(new Error('it would begin')),
        ...options,
      },
      silentProgress,
      new AbortController().signal,
    ).then(
      () => 'done',
      (error: unknown) => (error as Error).message,
    );
  }

  it('begins where all fits', async () => {
    expect(await attempt({})).toBe('it would begin');
    await mkdir(join(home.folder, 'images'), { recursive: true });
    expect(await attempt({})).toBe('it would begin');
  });

  it.each<[string, Partial<Manifest>, RegExp]>([
    ['a newer program', { storeVersion: ownStoreVersion + 1 }, /written by a newer Poolhouse .* Nothing was touched/],
    ['another key', { masterKey: { name: 'abc', kind: 'file' } }, /is another master key .* Nothing was touched/],
    ['a passphrase that nobody gives', { masterKey: { name: 'abc', kind: 'passphrase' } }, /--passphrase-file/],
  ])('refuses a backup of %s', async (_what, manifest, message) => {
    expect(await attempt(manifest)).toMatch(message);
    expect(existsSync(home.folder)).toBe(false);
  });

  it('opens with no other passphrase', async () => {
    const given = { passphrase: () => Promise.resolve('six words that somebody guesses') };
    expect(await attempt({ masterKey: { name: 'abc', kind: 'passphrase' } }, given)).toMatch(
      /not the passphrase of this backup/,
    );
  });

  it('refuses a home that is in use, and one in which another backup is being restored', async () => {
    await mkdir(home.folder);
    await writeFile(home.config, '{}');
    expect(await attempt({})).toMatch(/is in use: it holds config.json/);
    await rm(home.config);
    const note: Omit<Restoring, 'backup'> = { createdAt: '2026-01-01T00:00:00Z', phase: 'files', filled: [] };
    await writeRestoring(home, { ...note, backup: '00000000-0000-4000-8000-000000000000' });
    expect(await attempt({})).toMatch(/the backup of 2026-01-01T00:00:00Z is being restored/);
    await expect(refuseHalfRestored(home)).rejects.toMatchObject({ code: 'OperationNotAllowed' });
    await writeRestoring(home, { ...note, backup: said.backup, phase: 'shares' });
    await expect(refuseHalfRestored(home)).resolves.toBeUndefined();
  });
});
