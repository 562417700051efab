import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { raiseCounter, openStore, type Store } from './store.ts';
import { addGroup, changeGroup, eraseGroup, findGroup, findGroups, membersOf, setMembers } from './user-groups.ts';
import { addUser, changeUser, eraseUser, findUser, findUsers, type UserSettings } from './users.ts';

const settings: UserSettings = {
  password: '**hidden:x**',
  groups: [],
  sshKeys: ['ssh-ed25519 AAAA a'],
  pools: 'all',
  disabled: false,
  sudo: false,
};

describe('people in the store', () => {
  let folder: string;
  let store: Store;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'poolhouse-users-'));
    store = await openStore(join(folder, 'store.sqlite'));
  });
  afterEach(async () => {
    await store.close();
    rmSync(folder, { recursive: true });
  });
  const add = (name: string, more: Partial<UserSettings> = {}) =>
    store.transaction((tx) => addUser(tx, name, { ...settings, ...more }, 7));

  it('are given back as they were saved, by name', async () => {
    await store.transaction((tx) => addGroup(tx, 'team', { pools: ['a/one'] }, 5));
    const bob = await add('bob', { groups: ['team'], pools: ['a/one'], sudo: true, password: undefined });
    const alice = await add('alice', { groups: ['team'] });
    expect(alice).toEqual({ ...settings, name: 'alice', uid: 10_001, groups: ['team'], generation: 1, createdAt: 7 });
    expect(await findUser(store.db, 'bob')).toEqual(bob);
    expect(await findUsers(store.db)).toEqual([alice, bob]);
    expect(await findUser(store.db, 'carol')).toBeUndefined();
    expect(await findGroups(store.db)).toEqual([
      { name: 'team', gid: 30_000, pools: ['a/one'], generation: 1, createdAt: 5 },
    ]);
    expect(await membersOf(store.db, 'team')).toEqual(['alice', 'bob']);
  });

  it('keep uid and time when they change', async () => {
    await store.transaction((tx) => addGroup(tx, 'team', { pools: [] }, 5));
    const alice = await add('alice');
    const changed = await store.transaction((tx) =>
      changeUser(tx, alice, { ...settings, disabled: true, groups: ['team', 'team'], password: undefined }),
    );
    expect(changed).toMatchObject({ uid: alice.uid, createdAt: 7, generation: 2, disabled: true, groups: ['team'] });
    expect(await findUser(store.db, 'alice')).toEqual(changed);
  });

  it('have the quota that was said last, of both kinds', async () => {
    const alice = await add('alice', { quota: 2 ** 40 });
    expect(await findUser(store.db, 'alice')).toEqual({ ...alice, quota: 2 ** 40 });
    await store.transaction((tx) => changeUser(tx, alice, { ...settings, quota: 'none' }));
    expect(await findUser(store.db, 'alice')).toMatchObject({ quota: 'none' });
    const without = await store.transaction((tx) => changeUser(tx, alice, settings));
    expect(without).not.toHaveProperty('quota');
    expect(await findUser(store.db, 'alice')).not.toHaveProperty('quota');
    const team = await store.transaction((tx) => addGroup(tx, 'team', { pools: [], quota: 7 }, 5));
    expect(await findGroup(store.db, 'team')).toEqual(team);
    expect(await store.transaction((tx) => changeGroup(tx, team, { pools: [] }))).not.toHaveProperty('quota');
    expect(await findGroup(store.db, 'team')).not.toHaveProperty('quota');
  });

  it('never get the uid of another, not even of one who was removed', async () => {
    const uids: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      uids.push((await add('alice')).uid);
      await store.transaction((tx) => eraseUser(tx, 'alice'));
    }
    expect(uids).toEqual([10_000, 10_001, 10_002]);
    expect(await findUsers(store.db)).toEqual([]);
  });

  it('get no uid beyond the range, and groups no gid', async () => {
    await raiseCounter(store.db, 'people uids', 9_997);
    await raiseCounter(store.db, 'group gids', 9_998);
    expect((await add('last')).uid).toBe(19_998);
    await expect(add('more')).rejects.toMatchObject({ code: 'QuotaExceeded' });
    expect((await store.transaction((tx) => addGroup(tx, 'last2', { pools: [] }, 1))).gid).toBe(39_999);
    await expect(store.transaction((tx) => addGroup(tx, 'more2', { pools: [] }, 1))).rejects.toMatchObject({
      code: 'QuotaExceeded',
    });
  });

  it('count as changed when a group takes them in or lets them go', async () => {
    const team = await store.transaction((tx) => addGroup(tx, 'team', { pools: 'all' }, 5));
    for (const name of ['alice', 'bob', 'carol']) await add(name);
    const generations = async () => (await findUsers(store.db)).map((user) => user.generation);
    await store.transaction((tx) => setMembers(tx, 'team', ['alice', 'bob']));
    expect(await generations()).toEqual([2, 2, 1]);
    await store.transaction((tx) => setMembers(tx, 'team', ['bob', 'carol']));
    expect(await generations()).toEqual([3, 2, 2]);
    expect(await store.transaction((tx) => changeGroup(tx, team, { pools: [] }))).toMatchObject({
      gid: 30_000,
      generation: 2,
    });
    await store.transaction((tx) => eraseGroup(tx, 'team'));
    expect(await findGroup(store.db, 'team')).toBeUndefined();
    expect(await findUser(store.db, 'carol')).toMatchObject({ groups: [], generation: 3 });
    expect((await store.transaction((tx) => addGroup(tx, 'team', { pools: [] }, 6))).gid).toBe(30_001);
  });

  it('leave their groups when they are removed', async () => {
    await store.transaction((tx) => addGroup(tx, 'team', { pools: [] }, 5));
    await add('alice', { groups: ['team'] });
    await store.transaction((tx) => eraseUser(tx, 'alice'));
    expect(await membersOf(store.db, 'team')).toEqual([]);
    expect((await add('alice')).groups).toEqual([]);
  });
});
