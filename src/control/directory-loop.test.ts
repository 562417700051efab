import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Secrets } from '../secrets/secrets.ts';
import { openStore, type Store } from '../store/store.ts';
import { createDirectoryLoop, type DirectoryLoop } from './directory-loop.ts';

describe('who has changed something about people', () => {
  let store: Store;
  let loop: DirectoryLoop;
  /** What a pass waits for in its middle. */
  let certificates: () => Promise<readonly string[]>;
  beforeEach(async () => {
    store = await openStore(':memory:');
    certificates = () => Promise.resolve([]);
    loop = createDirectoryLoop(
      { store, secrets: {} as Secrets, clock: { now: () => 0, sleep: () => Promise.resolve() } }, // nobody has a password here
      {
        ssh: { hostKeys: [], userAuthority: '', userAuthorityLine: '' },
        web: { assertionPublicKey: '', identity: () => Promise.resolve(undefined) },
        ...{ userAuthorities: [], hostCertificates: () => certificates() },
      },
      () => undefined,
    );
  });
  afterEach(() => store.close());

  const isTold = () => {
    const said = { told: false };
    void loop.told().then(() => (said.told = true));
    return said;
  };
  const soon = () => new Promise((resolve) => setImmediate(resolve));

  it('waits for nothing while there is no directory yet', async () => {
    await loop.told();
  });

  it('waits for a pass that has seen it: not for one that had begun before', async () => {
    await loop.pass();
    let goOn: (found: readonly string[]) => void = () => undefined;
    certificates = () => new Promise((resolve) => (goOn = resolve));
    const before = loop.pass();
    while (goOn.length === 0) await soon(); // it is in its middle
    const said = isTold();
    goOn([]);
    await before;
    await soon();
    expect(said.told).toBe(false);
    certificates = () => Promise.resolve([]);
    await loop.pass();
    await soon();
    expect(said.told).toBe(true);
  });

  it('waits no longer where the pass fails: it is tried again, and the change is kept', async () => {
    await loop.pass();
    certificates = () => Promise.reject(new Error('not now'));
    const said = isTold();
    await expect(loop.pass()).rejects.toThrow('not now');
    await soon();
    expect(said.told).toBe(true);
  });
});
