import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EndedSignIn } from '../link/ended-sign-ins.ts';
import { addEndedSignIns, findEndedSignIns } from './ended-sign-ins.ts';
import { openStore, type Store } from './store.ts';

const one = (id: string, issued: number, user = 'alice'): EndedSignIn => ({
  ...{ pool: '/pools/team', user, id, issued, expires: issued + 100 },
});
const all = (issued: number, words: string): EndedSignIn => ({
  ...{ pool: '/pools/team', user: 'alice', issued, expires: issued + 100, words },
});

describe('ended sign-ins in the store', () => {
  let folder: string;
  let store: Store;
  const open = () => openStore(join(folder, 'store.sqlite'));
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'poolhouse-ended-'));
    store = await open();
  });
  afterEach(async () => {
    await store.close();
    rmSync(folder, { recursive: true });
  });
  const add = (now: number, ...ended: EndedSignIn[]) => store.transaction((tx) => addEndedSignIns(tx, ended, now));

  it('are there after a restart, each once and in one order', async () => {
    await add(0, one('b', 2), all(1, 'Bye.'));
    await add(0, one('a', 3, 'bob'), one('b', 2));
    await store.close();
    store = await open();
    expect(await findEndedSignIns(store.db, 0)).toEqual([all(1, 'Bye.'), one('b', 2), one('a', 3, 'bob')]);
  });

  it('are gone when they would have ended anyway', async () => {
    await add(0, one('a', 1), one('b', 2));
    expect(await findEndedSignIns(store.db, 101)).toEqual([one('b', 2)]);
    await add(102, one('c', 3));
    expect(await store.db.selectFrom('ended_sign_ins').select('token_id').execute()).toEqual([{ token_id: 'c' }]);
  });

  it('become one for all where it says more', async () => {
    await add(0, one('a', 1), all(0, 'Not yet.'));
    await add(0, all(5, 'Bye.'));
    await add(0, all(4, 'An older one.'));
    expect(await findEndedSignIns(store.db, 0)).toEqual([all(5, 'Bye.')]);
  });
});
