import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { homeAt, runtimeFolderOf, type Home } from '../core/home.ts';
import type { Installation } from '../core/installation.ts';
import { openKeyring } from '../secrets/keyring.ts';
import { findMasterKeys, replaceMasterKey, settleMasterKey, type MasterKeyPlaces } from '../secrets/master-key.ts';
import { openStore } from '../store/store.ts';
import { ensureMasterKey, type MasterKeyRequest } from './master-key.ts';

const installation = { id: '0123abcd' } as Installation; // nothing else of it is looked at

describe('the master key', () => {
  let home: Home;
  let places: MasterKeyPlaces;
  let asked: boolean[];
  beforeEach(async () => {
    home = homeAt(await mkdtemp(join(tmpdir(), 'poolhouse-master-key-')));
    await mkdir(home.secrets);
    await mkdir(join(home.folder, 'run'));
    places = { file: home.masterKey, memoryFile: join(home.folder, 'run', 'master-key'), credentials: undefined };
    asked = [];
  });
  afterEach(() => rm(home.folder, { recursive: true }));
  const request = (kind: MasterKeyRequest['kind'], passphrase?: string): MasterKeyRequest => ({
    home,
    run: runtimeFolderOf(home, installation.id, false),
    installation,
    kind,
    passphrase: (isNew) => {
      asked.push(isNew);
      return Promise.resolve(passphrase);
    },
  });
  /** A store that is sealed with what lies there now. */
  async function sealStore(): Promise<void> {
    const store = await openStore(home.store);
    await openKeyring(
      store,
      (await findMasterKeys(places)).map((one) => one.key),
      0,
    );
    await store.close();
  }

  it('is made once, for its owner only', async () => {
    await ensureMasterKey(request('file'));
    const key = await readFile(home.masterKey);
    expect(key).toHaveLength(32);
    expect((await stat(home.masterKey)).mode & 0o777).toBe(0o600);
    await sealStore();
    await ensureMasterKey(request('file'));
    expect(await readFile(home.masterKey)).toEqual(key);
  });

  it('is never replaced where a store is sealed with it', async () => {
    await ensureMasterKey(request('file'));
    await sealStore();
    await rm(home.masterKey);
    const lost = {
      code: 'InvalidConfiguration',
      message: expect.stringContaining('Restore it from a backup') as string,
    };
    await expect(ensureMasterKey(request('file'))).rejects.toMatchObject(lost);
    await writeFile(home.masterKey, randomBytes(32));
    await expect(ensureMasterKey(request('file'))).rejects.toMatchObject(lost);
    await writeFile(home.masterKey, 'short');
    await expect(ensureMasterKey(request('file'))).rejects.toMatchObject({ code: 'InvalidConfiguration' });
    await rm(home.masterKey);
    await mkdir(home.masterKey); // what root cannot read either
    await expect(ensureMasterKey(request('file'))).rejects.toMatchObject({
      code: 'HostNotReady',
      message: expect.stringContaining(`${home.masterKey} cannot be read`) as string,
    });
  });

  it('comes from a passphrase, which is asked for again after a reboot', async () => {
    await ensureMasterKey(request('passphrase', 'correct horse battery'));
    await sealStore();
    const key = await readFile(places.memoryFile);
    await ensureMasterKey(request('passphrase'));
    await rm(places.memoryFile);
    await expect(ensureMasterKey(request('passphrase'))).rejects.toMatchObject({ code: 'HostNotReady' });
    await expect(ensureMasterKey(request('passphrase', 'wrong horse battery'))).rejects.toMatchObject({
      code: 'InvalidConfiguration',
      message: expect.stringContaining('not the passphrase') as string,
    });
    await ensureMasterKey(request('passphrase', 'correct horse battery'));
    expect(await readFile(places.memoryFile)).toEqual(key);
    expect(asked).toEqual([true, false, false, false]);
  });

  it('is found after a change that was cut off, before and after the store was sealed anew', async () => {
    await ensureMasterKey(request('file'));
    await sealStore();
    const before = await readFile(home.masterKey);
    const next = randomBytes(32);
    const cut = replaceMasterKey(places, places.file, next, () => Promise.reject(new Error('power cut')));
    await expect(cut).rejects.toThrow('power cut');
    const found = await findMasterKeys(places);
    expect(found.map((one) => one.key)).toEqual([before, next]);

    await settleMasterKey(places, found[1]?.path ?? '');
    expect((await findMasterKeys(places)).map((one) => one.key)).toEqual([next]);
    await replaceMasterKey(places, places.memoryFile, before, () => Promise.resolve());
    expect((await findMasterKeys(places)).map((one) => one.path)).toEqual([places.memoryFile]);
  });

  it('comes from a credential of the unit', async () => {
    const credentials = join(home.folder, 'credentials');
    await mkdir(credentials);
    const key = randomBytes(32);
    await writeFile(join(credentials, 'poolhouse-master-key'), key);
    await ensureMasterKey(request('credential'));
    expect((await findMasterKeys({ ...places, credentials })).map((one) => one.key)).toEqual([key]);
  });
});
