import { describe, expect, it } from 'vitest';
import type { Group, User } from './people.ts';
import { accountHomes, accountsDigest, poolAccounts, renderAccounts } from './render-accounts.ts';

type Person = Omit<User, 'passwordHash'>;
const person = (name: string, uid: number, over: Partial<Person> = {}): Person => ({
  name,
  uid,
  groups: [],
  sshKeys: ['ssh-ed25519 AAAA secretless'],
  pools: 'all',
  disabled: false,
  sudo: false,
  createdAt: 1,
  ...over,
});
const admin = { name: 'azure', uid: 20_000, hash: '$6$salt$hash' };
const groups: Group[] = [
  { name: 'team', gid: 30_000, pools: ['a/one'] },
  { name: 'idle', gid: 30_001 },
];
const alice = person('alice', 10_001, { sudo: true, groups: ['team'] });
const bob = person('bob', 10_000, { pools: [], groups: ['team'] });
const carol = person('carol', 10_002, { pools: ['a/two'], groups: ['idle'] });
const dora = person('dora', 10_003, { disabled: true, sudo: true, groups: ['team', 'idle'] });
const all = [dora, carol, bob, alice];

describe('the accounts of a pool', () => {
  it('are the admin user, and who may enter, by their names', () => {
    expect(renderAccounts(admin, poolAccounts(all, groups, 'a/one'))).toEqual({
      passwd:
        'azure:x:20000:20000:azure:/home/azure:/bin/bash\n' +
        'alice:x:10001:10001:alice:/home/alice:/bin/bash\n' +
        'bob:x:10000:10000:bob:/home/bob:/bin/bash\n',
      group:
        'azure:x:20000:\nalice:x:10001:\nbob:x:10000:\npoolhouse-sudo:x:19999:azure,alice\nteam:x:30000:alice,bob\n',
      shadow: 'azure:$6$salt$hash:19000:0:99999:7:::\nalice:*:19000:0:99999:7:::\nbob:*:19000:0:99999:7:::\n',
    });
  });

  it('are the admin user alone where nobody may enter', () => {
    const nobody = poolAccounts([dora, bob], groups, 'a/two');
    expect(renderAccounts(admin, nobody)).toEqual({
      passwd: 'azure:x:20000:20000:azure:/home/azure:/bin/bash\n',
      group: 'azure:x:20000:\npoolhouse-sudo:x:19999:azure\n',
      shadow: 'azure:$6$salt$hash:19000:0:99999:7:::\n',
    });
    expect(accountsDigest(nobody)).toBe('');
  });

  it('have homes; keys are written for the admin user only', () => {
    const homes = accountHomes(admin, ['ssh-rsa AAAA a'], poolAccounts(all, groups, 'a/two'));
    expect(homes.map(({ name, uid, gid, home, person: isPerson }) => [name, uid, gid, home, isPerson])).toEqual([
      ['azure', 20_000, 20_000, '/home/azure', false],
      ['alice', 10_001, 10_001, '/home/alice', true],
      ['carol', 10_002, 10_002, '/home/carol', true],
    ]);
    expect(homes.map((home) => home.authorizedKeys)).toEqual([['ssh-rsa AAAA a'], [], []]);
  });
});

describe('the digest of the accounts', () => {
  const digest = (users: readonly Person[], known: readonly Group[] = groups) =>
    accountsDigest(poolAccounts(users, known, 'a/one'));
  const before = digest(all);

  it.each<[what: string, users: Person[], groups: Group[]]>([
    ['the order in which they are read', [alice, bob, carol, dora], [...groups].reverse()],
    ['who may not enter', [alice, bob], groups],
    ['keys', [person('alice', 10_001, { sudo: true, groups: ['team'], sshKeys: [] }), bob, carol, dora], groups],
    ['what another pool is given', [alice, bob, { ...carol, pools: ['a/two', 'a/three'] }, dora], groups],
  ])('does not change with %s', (_what, users, known) => {
    expect(digest(users, known)).toBe(before);
  });

  it.each<[what: string, users: Person[], groups: Group[]]>([
    ['somebody new', [...all, person('eva', 10_009)], groups],
    ['somebody less', [carol, bob, dora], groups],
    ['who is disabled', [{ ...alice, disabled: true }, bob, carol, dora], groups],
    ['who is enabled', [alice, bob, carol, { ...dora, disabled: false }], groups],
    ['who has sudo', [{ ...alice, sudo: false }, bob, carol, dora], groups],
    ['who has the name now', [{ ...alice, uid: 10_010 }, bob, carol, dora], groups],
    ['who is in a group', [{ ...alice, groups: [] }, bob, carol, dora], groups],
    ['what a group gives', all, [{ name: 'team', gid: 30_000 }]],
  ])('changes with %s', (_what, users, known) => {
    expect(digest(users, known)).not.toBe(before);
  });
});
