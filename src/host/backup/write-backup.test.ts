/** A backup that is stopped. */
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { homeAt } from '../../core/home.ts';
import { openKeyring } from '../../secrets/keyring.ts';
import { openStore } from '../../store/store.ts';
import { silentProgress } from '../progress.ts';
import { writeBackup } from './write-backup.ts';

it('leaves nothing and says why, also where it is stopped just before a file is read', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'poolhouse-stopped-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const home = homeAt(join(folder, 'home'));
  await mkdir(home.folder);
  const uuid = '00000000-0000-4000-8000-000000000001';
  const of = { id: '0123abcd', engine: 'sim', apiPort: 1, addressBlock: '127.77.7.0/24' };
  const ids = { subscriptionId: uuid, tenantId: uuid, clientId: uuid };
  await writeFile(home.installation, JSON.stringify({ ...of, ...ids, createdAt: '2026-01-01T00:00:00Z' }));
  const store = await openStore(home.store);
  await openKeyring(store, [Buffer.alloc(32, 7)], 0);
  await store.close();
  const stopped = AbortSignal.abort(new Error('stopped'));
  const asked = { file: join(folder, 'one.tar'), shares: false };
  await expect(writeBackup(home, asked, silentProgress, stopped)).rejects.toThrow('stopped');
  expect(await readdir(folder)).toEqual(['home']);
});
