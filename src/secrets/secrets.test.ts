import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openStore, type Store } from '../store/store.ts';
import { openKeyring } from './keyring.ts';
import { createSecrets, hideIn, isPlaceholder, revealIn, sameSecret, secretsBetween, type Secrets } from './secrets.ts';

describe('secrets', () => {
  let store: Store;
  let secrets: Secrets;
  const hide = (value: string) => secrets.hide(store.db, 'owner', value, 0);
  beforeEach(async () => {
    store = await openStore(':memory:');
    secrets = createSecrets((await openKeyring(store, [randomBytes(32)], 0)).keyring);
  });
  afterEach(() => store.close());

  it('gives a secret back to its owner only', async () => {
    const placeholder = await hide('Correct-Horse-7');
    expect(isPlaceholder(placeholder)).toBe(true);
    expect(await secrets.reveal(store.db, 'owner', `run ${placeholder} now`)).toBe('run Correct-Horse-7 now');
    expect(await secrets.reveal(store.db, 'another', placeholder)).toBe(placeholder);
  });

  it('keeps nothing in the clear', async () => {
    await hide('Correct-Horse-7');
    const rows = await store.db.selectFrom('secrets').selectAll().execute();
    expect(rows).toHaveLength(1);
    expect(JSON.stringify(rows)).not.toContain('Correct-Horse');
  });

  it('gives the same placeholder for the same secret of the same owner', async () => {
    expect(await hide('one-secret')).toBe(await hide('one-secret'));
    expect(await hide('one-secret')).not.toBe(await secrets.hide(store.db, 'another', 'one-secret', 0));
  });

  it('hides values wherever they stand, and storage keys even when nobody called them secret', async () => {
    const key = randomBytes(64).toString('base64');
    const document = { a: [`bash x.sh ${key} Sesame-99`, 7, null], plain: 'short' };
    const hidden = await hideIn(document, ['Sesame-99', 'short'.slice(0, 3)], hide);
    expect(JSON.stringify(hidden)).not.toMatch(/Sesame-99|==/);
    expect(hidden.plain).toBe('short');
    expect(JSON.parse(await secrets.reveal(store.db, 'owner', JSON.stringify(hidden)))).toEqual(document);
  });

  it('hides a secret as templates write it, and in names of members', async () => {
    const secret = 'Sesame "99"!';
    const document = {
      json: JSON.stringify({ secret }),
      url: `https://x/?sig=${encodeURIComponent(secret)}`,
      base64: Buffer.from(`user:${secret}`).toString('base64'),
      [secret]: 1,
    };
    const hidden = await hideIn(document, [secret], hide);
    expect(JSON.stringify(hidden)).not.toMatch(/Sesame|U2VzYW/);
    expect(JSON.stringify(hidden).match(/hidden:/g)).toHaveLength(4);
    expect(await revealIn(hidden, (text) => secrets.reveal(store.db, 'owner', text))).toEqual(document);
  });

  it('leaves what has to be understood, but not below what is the client’s own', async () => {
    const key = 'ssh-ed25519 AAAA a';
    const document = { osProfile: { adminUsername: 'somebody', ssh: [{ keyData: key }] }, tags: { name: 'somebody' } };
    const hidden = await hideIn(document, [key, 'somebody'], hide);
    expect(hidden.osProfile).toEqual(document.osProfile);
    expect(isPlaceholder(hidden.tags.name)).toBe(true);
  });

  it('tells what stood behind placeholders', async () => {
    const text = `a ${await hide('Sesame-99')} b ${await hide('Sesame-00')}`;
    expect(secretsBetween(text, await secrets.reveal(store.db, 'owner', text))).toEqual(['Sesame-99', 'Sesame-00']);
    expect(secretsBetween('a b', 'a b')).toEqual([]);
  });

  it('leaves a document alone that was hidden before', async () => {
    const once = await hideIn({ a: 'say Sesame-99' }, ['Sesame-99'], hide);
    expect(await hideIn(once, [once.a], hide)).not.toEqual({});
    expect(await hideIn(once, ['Sesame-99'], hide)).toEqual(once);
  });

  it('forgets what no document needs any more', async () => {
    const kept = await hide('kept-secret');
    const gone = await hide('gone-secret');
    await secrets.forget(store.db, 'owner', { text: kept });
    expect(await secrets.reveal(store.db, 'owner', kept)).toBe('kept-secret');
    expect(await secrets.reveal(store.db, 'owner', gone)).toBe(gone);
  });

  it('compares secrets', () => {
    expect(sameSecret('a', 'a')).toBe(true);
    expect(sameSecret('a', 'b')).toBe(false);
  });
});
