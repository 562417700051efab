/** People and groups as clients meet them, on a real store with real seals; what others do is planted. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PoolhouseError } from '../../core/errors.ts';
import { dig, textOf, type JsonObject } from '../../core/json.ts';
import { keyOf, type ResourceId } from '../../core/resource-id.ts';
import { verifyPassword } from '../../identity/passwords.ts';
import { openKeyring } from '../../secrets/keyring.ts';
import { createSecrets, type Secrets } from '../../secrets/secrets.ts';
import { saveResource } from '../../store/resource-records.ts';
import { openStore, type Store } from '../../store/store.ts';
import { createIdentityService, type IdentityService } from './identity-service.ts';
import { requireFreeAdminName } from './names-in-use.ts';
import { findPerson, peopleOf, readPeople } from './people.ts';

const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHf31+vO4thUwzEuIVzHcght++OvQqMvFDKtZlWXIZbv alice';
const other = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKZ0dqOPMA8xJT4Nr8tqV0Z9EEiOTjFCgZxT1n8PVyLZ bob';
const fingerprint = 'SHA256:UT4eDNWy1ZnoKVpY1m6pv6pOakxT6fJDdxtiJ9lEgWA';
const password = 'correct horse';
const asker = { by: 'somebody' };

describe('people as resources', { timeout: 60_000 }, () => {
  let folder: string;
  let store: Store;
  let secrets: Secrets;
  let identity: IdentityService;
  let lines: JsonObject[];
  let wakes: number;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'poolhouse-identity-'));
    store = await openStore(join(folder, 'store.sqlite'));
    secrets = createSecrets((await openKeyring(store, [Buffer.alloc(32, 7)], 1)).keyring);
    lines = [];
    wakes = 0;
    identity = createIdentityService({
      store,
      secrets,
      fetch: (address) =>
        address.endsWith('/alice.keys')
          ? Promise.resolve(Buffer.from(`${key}\n# a comment\n${other}\n`))
          : Promise.resolve(Buffer.from('\n')),
      clock: { now: () => Date.UTC(2026, 0, 1), sleep: () => Promise.resolve() },
      log: pino({ level: 'info' }, { write: (line: string) => lines.push(JSON.parse(line) as JsonObject) }),
      changed() {
        wakes += 1;
        return Promise.resolve();
      },
    });
  });
  afterEach(async () => {
    await store.close();
    rmSync(folder, { recursive: true });
  });

  const put = (name: string, properties: JsonObject = {}) =>
    identity.users.put(name, { properties }, {}, asker).then((written) => written.body);
  const patch = (name: string, properties: JsonObject) =>
    identity.users.patch(name, { properties }, {}, asker).then((written) => written.body);
  const putGroup = (name: string, properties: JsonObject = {}) =>
    identity.groups.put(name, { properties }, {}, asker).then((written) => written.body);
  const failed = (work: Promise<unknown>): Promise<PoolhouseError> =>
    work.then(
      () => {
        throw new Error('it did not fail');
      },
      (error: unknown) => error as PoolhouseError,
    );
  const scaleSet = (group: string, name: string, admin: string) => {
    const id =
      `/subscriptions/s/resourceGroups/${group}/providers/Microsoft.Compute/virtualMachineScaleSets/${name}` as ResourceId;
    return saveResource(store.db, {
      id,
      key: keyOf(id),
      typeKey: 'microsoft.compute/virtualmachinescalesets',
      groupKey: keyOf(`/subscriptions/s/resourceGroups/${group}`),
      parentKey: '',
      document: { properties: { virtualMachineProfile: { osProfile: { adminUsername: admin } } } },
      found: {},
      provisioningState: 'Succeeded',
      error: undefined,
      generation: 1,
      etag: 'e',
      createdAt: 1,
      changedAt: 1,
      deletingSince: undefined,
    });
  };

  it('are made, and shown without their password', async () => {
    const { created, body } = await identity.users.put(
      'alice',
      { properties: { password, sshKeys: [key, `${key} again`], sudo: true } },
      {},
      asker,
    );
    expect(created).toBe(true);
    expect(body).toEqual({
      id: '/providers/Poolhouse.Identity/users/alice',
      name: 'alice',
      type: 'Poolhouse.Identity/users',
      etag: '10000-1',
      properties: {
        provisioningState: 'Succeeded',
        uid: 10_000,
        gid: 10_000,
        groups: [],
        pools: ['*'],
        sshKeys: [key],
        sshKeyFingerprints: [fingerprint],
        hasPassword: true,
        disabled: false,
        sudo: true,
        quota: null,
        createdAt: '2026-01-01T00:00:00.000Z',
      },
    });
    expect(await identity.users.get('alice')).toEqual(body);
    expect(await identity.users.list()).toEqual([body]);
    const row = await store.db.selectFrom('users').select('password').executeTakeFirstOrThrow();
    expect(row.password).toMatch(/^\*\*hidden:/);
  });

  it('sign in with the password that they have, found with their groups', async () => {
    await putGroup('team', { pools: ['a/one'] });
    await put('alice', { password, groups: ['team'], pools: [] });
    const found = await findPerson(store.db, secrets, 'alice');
    expect(found).toMatchObject({ user: { name: 'alice', uid: 10_000, pools: [] }, groups: [{ name: 'team' }] });
    expect(found?.user.passwordHash).toMatch(/^\$scrypt\$/);
    expect(await verifyPassword(password, found?.user.passwordHash)).toBe(true);
    expect(await findPerson(store.db, secrets, 'nobody2')).toBeUndefined();
    const sealed = await store.db.selectFrom('secrets').selectAll().where('owner_key', 'like', '%alice').execute();
    expect(sealed).toHaveLength(1);
    expect(JSON.stringify(sealed)).not.toContain('scrypt');
  });

  it('keep what a PATCH does not name, and lose by a PUT all but the password', async () => {
    await putGroup('team');
    await put('alice', { password, sshKeys: [key], groups: ['team'], pools: ['a/one'], sudo: true });
    expect(await patch('alice', { disabled: true })).toMatchObject({
      properties: { sshKeys: [key], groups: ['team'], pools: ['a/one'], sudo: true, disabled: true, hasPassword: true },
    });
    expect(await put('alice')).toMatchObject({
      properties: {
        uid: 10_000,
        sshKeys: [],
        groups: [],
        pools: ['*'],
        sudo: false,
        disabled: false,
        hasPassword: true,
      },
    });
    expect(await patch('alice', { password: null })).toMatchObject({ properties: { hasPassword: false } });
    const left = await store.db.selectFrom('secrets').select('ref').where('owner_key', 'like', '%alice').execute();
    expect(left).toEqual([]);
  });

  it('come back as they were read', async () => {
    const body = await put('alice', { password, sshKeys: [key] });
    expect(await identity.users.put('alice', body, {}, asker)).toEqual({ created: false, body });
    expect(wakes).toBe(1);
    expect(lines).toHaveLength(1);
  });

  it('take the keys that are at a URL', async () => {
    const body = await put('alice', { sshKeys: ['https://keys.example/alice.keys', key] });
    expect(dig(body, 'properties', 'sshKeys')).toEqual([key, other]);
    const none = await failed(put('bob', { sshKeys: ['https://keys.example/none'] }));
    expect(none).toMatchObject({ code: 'InvalidParameter', message: expect.stringMatching(/no public key/) as string });
  });

  it('are gone when they are removed, with their secrets, and their uid with them', async () => {
    await putGroup('team', {});
    await put('alice', { password, groups: ['team'] });
    expect(await identity.users.remove('alice', asker)).toBe(true);
    expect(await identity.users.remove('alice', asker)).toBe(false);
    expect(await failed(identity.users.get('alice'))).toMatchObject({ code: 'ResourceNotFound' });
    expect(await identity.groups.get('team')).toMatchObject({ properties: { members: [] } });
    expect(await store.db.selectFrom('secrets').select('ref').where('owner_key', 'like', '%alice').execute()).toEqual(
      [],
    );
    expect(await put('alice')).toMatchObject({ properties: { uid: 10_001, hasPassword: false } });
  });

  it('change only as they were read, where that is asked for', async () => {
    const etag = textOf(dig(await put('alice'), 'etag'));
    await patch('alice', { sudo: true });
    const late = identity.users.patch('alice', { properties: { disabled: true } }, { ifMatch: etag }, asker);
    expect(await failed(late)).toMatchObject({ code: 'PreconditionFailed' });
    const again = identity.users.put('alice', {}, { mustNotExist: true }, asker);
    expect(await failed(again)).toMatchObject({ code: 'PreconditionFailed' });
    expect(await failed(patch('bob', {}))).toMatchObject({ code: 'ResourceNotFound' });
  });

  const refused: [what: string, properties: JsonObject, target: string, message: RegExp][] = [
    ['a short password', { password: 'secret7' }, 'properties.password', /at least 8/],
    ['a number for a password', { password: 12_345_678 }, 'properties.password|password', /must be a string/],
    ['a key that is none', { sshKeys: ['ssh-ed25519 AAAA'] }, 'properties.sshKeys', /cannot be used/],
    ['keys that are no list', { sshKeys: key }, 'properties.sshKeys', /must be an array/],
    ['an unknown group', { groups: ['nobody-knows'] }, 'properties.groups', /groups add nobody-knows/],
    ['an unknown pool', { pools: ['later'] }, 'properties.pools', /There is no scale set 'later'.*GROUP\/later/],
    ['every pool and another', { pools: ['*', 'a/one'] }, 'properties.pools', /stands alone/],
    ['the id of something else', { pools: ['/subscriptions/s/resourceGroups/a'] }, 'properties.pools', /not the id/],
    ['a path for a pool', { pools: ['a/b/c'] }, 'properties.pools', /not the name of a pool/],
    ['a word for a flag', { sudo: 'perhaps' }, 'properties.sudo|sudo', /true or false/],
    ['a quota that is none', { quota: '10 apples' }, 'properties.quota', /such as '10GiB'/],
    ['a quota of nothing', { quota: 0 }, 'properties.quota', /such as '10GiB'/],
    ['a member that is not known', { sudoer: true }, 'properties.sudoer', /Known are: password/],
  ];
  it.each(refused)('are refused with %s, and nothing is kept', async (_what, properties, target, message) => {
    const error = await failed(put('alice', properties));
    expect(error).toMatchObject({ code: 'InvalidParameter', message: expect.stringMatching(message) as string });
    expect(target.split('|')).toContain(error.target);
    if (typeof properties['password'] === 'string') expect(error.message).not.toContain(properties['password']);
    expect(await identity.users.list()).toEqual([]);
    expect(await store.db.selectFrom('secrets').selectAll().where('owner_key', 'like', '%alice').execute()).toEqual([]);
  });

  it('are given pools by name, by group and name, and by id', async () => {
    await scaleSet('Team', 'Shared', 'azure');
    await scaleSet('team', 'twin', 'azure');
    await scaleSet('other', 'twin', 'azure');
    const id = '/subscriptions/s/resourceGroups/X/providers/Microsoft.Compute/virtualMachineScaleSets/Y';
    expect(await put('alice', { pools: ['SHARED', 'Later/One', id] })).toMatchObject({
      properties: { pools: ['later/one', 'team/shared', 'x/y'] },
    });
    expect(await failed(put('bob', { pools: ['twin'] }))).toMatchObject({
      message: expect.stringMatching(/more than one scale set 'twin'.*other\/twin, team\/twin/) as string,
    });
    const people = await readPeople(store.db);
    expect(peopleOf(people, 'team/shared').map((user) => user.name)).toEqual(['alice']);
    expect(peopleOf(people, 'team/twin')).toEqual([]);
  });

  it('have names of their own, among groups and admin users too', async () => {
    await scaleSet('team', 'shared', 'azure');
    await put('alice');
    await putGroup('team');
    const conflict = (message: RegExp) => ({ code: 'Conflict', message: expect.stringMatching(message) as string });
    expect(await failed(put('azure'))).toMatchObject(conflict(/'azure' is the admin user of team\/shared/));
    expect(await failed(putGroup('azure'))).toMatchObject(conflict(/is the admin user of team\/shared/));
    expect(await failed(put('team'))).toMatchObject(conflict(/There is a group 'team'/));
    expect(await failed(putGroup('alice'))).toMatchObject(conflict(/There is a user 'alice'/));
    expect(await failed(requireFreeAdminName(store.db, 'alice'))).toMatchObject(
      conflict(/cannot be the admin user.*poolhouse users remove alice/),
    );
    expect(await failed(requireFreeAdminName(store.db, 'team'))).toMatchObject(
      conflict(/poolhouse groups remove team/),
    );
    await requireFreeAdminName(store.db, 'azure');
    expect(await failed(put('root'))).toMatchObject({ code: 'InvalidResourceName' });
    expect(await failed(putGroup('Staff'))).toMatchObject({ code: 'InvalidResourceName' });
  });

  it('have a quota when one is said, and lose it when nothing is', async () => {
    await put('alice');
    await putGroup('team', { quota: '1GiB' });
    const quota = async (kind: 'users' | 'groups', name: string) =>
      dig(await identity[kind].get(name), 'properties', 'quota');
    expect(await quota('groups', 'team')).toBe(2 ** 30);
    const said: [asked: JsonObject, kept: unknown][] = [
      [{ quota: '10 GiB' }, 10 * 2 ** 30],
      [{ sudo: true }, 10 * 2 ** 30],
      [{ quota: 5_000 }, 5_000],
      [{ quota: 'none' }, 'none'],
      [{ quota: null }, null],
    ];
    for (const [asked, kept] of said) {
      await patch('alice', asked);
      expect(await quota('users', 'alice')).toBe(kept);
    }
    await putGroup('team');
    expect(await quota('groups', 'team')).toBeNull();
    expect(await failed(putGroup('team', { quota: 'much' }))).toMatchObject({ target: 'properties.quota' });
  });

  it('come into groups from either side', async () => {
    await put('alice');
    await put('bob');
    await putGroup('team', { members: ['bob', 'alice'], pools: ['*'] });
    expect(await identity.users.get('alice')).toMatchObject({ properties: { groups: ['team'] } });
    await patch('bob', { groups: [] });
    expect(await identity.groups.get('team')).toMatchObject({ properties: { members: ['alice'], pools: ['*'] } });
    expect(await putGroup('team')).toMatchObject({ properties: { gid: 30_000, members: ['alice'], pools: [] } });
    expect(await failed(putGroup('team', { members: ['carol'] }))).toMatchObject({ target: 'properties.members' });
    expect(await identity.groups.remove('team', asker)).toBe(true);
    expect(await identity.groups.list()).toEqual([]);
    expect(await identity.users.get('alice')).toMatchObject({ properties: { groups: [] } });
  });

  it('leave a line in the log for each change: who, what, and no secret', async () => {
    await put('alice', { password });
    await patch('alice', { password: 'another horse', sshKeys: [key] });
    await patch('alice', { disabled: true });
    await putGroup('team', { members: ['alice'] });
    await identity.groups.remove('team', asker);
    await identity.users.remove('alice', asker);
    expect(lines.map((line) => [line['audit'], line['user'] ?? line['group'], line['changed'], line['by']])).toEqual([
      ['user added', 'alice', undefined, 'somebody'],
      ['user changed', 'alice', ['password', 'sshKeys'], 'somebody'],
      ['user changed', 'alice', ['disabled'], 'somebody'],
      ['group added', 'team', undefined, 'somebody'],
      ['group removed', 'team', undefined, 'somebody'],
      ['user removed', 'alice', undefined, 'somebody'],
    ]);
    expect(JSON.stringify(lines)).not.toMatch(/horse|scrypt|hidden/);
    expect(wakes).toBe(6);
  });
});
