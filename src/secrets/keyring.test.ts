import { createCipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openStore, type Store } from '../store/store.ts';
import { masterKeyName, masterKeyNameOf, openKeyring } from './keyring.ts';
import { createSecrets } from './secrets.ts';

const hour = 3_600_000;

describe('the keyring', () => {
  let folder: string;
  let file: string;
  let store: Store;
  const oldKey = randomBytes(32);
  const newKey = randomBytes(32);
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'poolhouse-keyring-'));
    file = join(folder, 'store.sqlite');
    store = await openStore(file);
  });
  afterEach(async () => {
    await store.close();
    await rm(folder, { recursive: true });
  });
  const open = async (...masterKeys: Buffer[]) => createSecrets((await openKeyring(store, masterKeys, 0)).keyring);

  it('opens with the key that it was made with, and with no other', async () => {
    const before = await open(oldKey);
    const placeholder = await before.hide(store.db, 'owner', 'Sesame-99', 0);
    expect(await (await open(newKey, oldKey)).reveal(store.db, 'owner', placeholder)).toBe('Sesame-99');
    await expect(open(newKey)).rejects.toMatchObject({
      code: 'InvalidConfiguration',
      message: expect.stringContaining(masterKeyName(oldKey)) as string,
    });
  });

  it('tells by which name its master key goes, without being opened', async () => {
    expect(masterKeyNameOf(join(folder, 'none.sqlite'))).toBeUndefined();
    expect(masterKeyNameOf(file)).toBeUndefined();
    await open(oldKey);
    expect(masterKeyNameOf(file)).toBe(masterKeyName(oldKey));
  });

  it('is changed as a whole: the old key opens nothing any more, placeholders and digests stay', async () => {
    const secrets = await open(oldKey);
    const placeholder = await secrets.hide(store.db, 'owner', 'Sesame-99', 0);
    await secrets.keep(store.db, 'client-secret', 'Open-1', 0);
    const handle = secrets.digest('handle', 'instance');
    const sealed = async () => JSON.stringify(await store.db.selectFrom('secrets').select('sealed').execute());
    const before = await sealed();

    await secrets.rotate(store, { old: oldKey, new: newKey }, hour);
    expect(await sealed()).not.toBe(before);
    await expect(open(oldKey)).rejects.toMatchObject({ code: 'InvalidConfiguration' });
    for (const one of [secrets, await open(newKey)]) {
      expect(await one.reveal(store.db, 'owner', placeholder)).toBe('Sesame-99');
      expect(await one.kept(store.db, 'client-secret')).toBe('Open-1');
      expect(one.digest('handle', 'instance')).toBe(handle);
      expect(await one.hide(store.db, 'owner', 'Sesame-99', 0)).toBe(placeholder);
    }
  });

  it('changes nothing where the change fails', async () => {
    const secrets = await open(oldKey);
    const placeholder = await secrets.hide(store.db, 'owner', 'Sesame-99', 0);
    const failing: Store = {
      ...store,
      transaction: (work) =>
        store.transaction(async (tx) => {
          await work(tx);
          throw new Error('power cut');
        }),
    };
    await expect(secrets.rotate(failing, { old: oldKey, new: newKey }, hour)).rejects.toThrow('power cut');
    for (const one of [secrets, await open(oldKey)])
      expect(await one.reveal(store.db, 'owner', placeholder)).toBe('Sesame-99');
  });

  it('lets those read on who read while it is changed', async () => {
    const secrets = await open(oldKey);
    const placeholder = await secrets.hide(store.db, 'owner', 'Sesame-99', 0);
    const reading = Array.from({ length: 50 }, async () => secrets.reveal(store.db, 'owner', placeholder));
    await secrets.rotate(store, { old: oldKey, new: newKey }, hour);
    expect(new Set(await Promise.all(reading))).toEqual(new Set(['Sesame-99']));
  });

  it('keeps the key of tokens that may still live', async () => {
    const secrets = await open(oldKey);
    const [first] = secrets.tokenKeys();
    await secrets.rotate(store, { old: oldKey, new: newKey }, hour);
    expect(secrets.tokenKeys()).toHaveLength(2);
    expect(secrets.tokenKeys()[0]).not.toEqual(first);
    expect(secrets.tokenKeys()[1]).toEqual(first);
    await secrets.rotate(store, { old: newKey, new: oldKey }, 3 * hour);
    expect(secrets.tokenKeys()).toHaveLength(2); // the first one's tokens have ended
    expect(secrets.tokenKeys()).not.toContainEqual(first);
  });

  it('takes over what was sealed before there was a ring', async () => {
    const derive = (purpose: string) => Buffer.from(hkdfSync('sha256', oldKey, '', `poolhouse ${purpose}`, 32));
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', derive('seal'), nonce);
    const text = Buffer.concat([cipher.update('Sesame-99', 'utf8'), cipher.final()]);
    const ref = createHmac('sha256', derive('reference')).update('owner\0Sesame-99').digest('base64url').slice(0, 22);
    await store.db
      .insertInto('secrets')
      .values({
        ref,
        owner_key: 'owner',
        sealed: Buffer.concat([nonce, cipher.getAuthTag(), text]).toString('base64'),
        created_at: 0,
      })
      .execute();
    const secrets = await open(oldKey);
    expect(await secrets.reveal(store.db, 'owner', `**hidden:${ref}**`)).toBe('Sesame-99');
    expect(await secrets.hide(store.db, 'owner', 'Sesame-99', 0)).toBe(`**hidden:${ref}**`);
    await secrets.rotate(store, { old: oldKey, new: newKey }, hour);
    expect(await (await open(newKey)).reveal(store.db, 'owner', `**hidden:${ref}**`)).toBe('Sesame-99');
  });
});
