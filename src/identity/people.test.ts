import { describe, expect, it } from 'vitest';
import { groupGids, mayEnter, peopleUids, type Group, type User } from './people.ts';

const groups: Group[] = [
  { name: 'team', gid: 30_000, pools: ['a/one'] },
  { name: 'staff2', gid: 30_001 },
  { name: 'chiefs', gid: 30_002, pools: 'all' },
];

type Case = [what: string, user: Partial<Pick<User, 'disabled' | 'pools' | 'groups'>>, pool: string, may: boolean];
const cases: Case[] = [
  ['lets who has every pool into each', { pools: 'all' }, 'a/one', true],
  ['lets who has a pool into it', { pools: ['a/one'] }, 'a/one', true],
  ['keeps who has a pool out of another', { pools: ['a/one'] }, 'a/two', false],
  ['tells pools of one name in two resource groups apart', { pools: ['a/one'] }, 'b/one', false],
  ['keeps out who has none', {}, 'a/one', false],
  ['lets in by a group', { groups: ['team'] }, 'a/one', true],
  ['lets in by any of the groups', { groups: ['staff2', 'team'] }, 'a/one', true],
  ['lets in by a group that has every pool', { groups: ['chiefs'] }, 'b/other', true],
  ['keeps out by a group with other pools', { groups: ['team'] }, 'a/two', false],
  ['gives nothing by a group without pools', { groups: ['staff2'] }, 'a/one', false],
  ['gives nothing by a group that is not there', { groups: ['gone'] }, 'a/one', false],
  ['keeps a disabled user out of every pool', { pools: 'all', groups: ['chiefs'], disabled: true }, 'a/one', false],
];

describe('who may enter a pool', () => {
  it.each(cases)('%s', (_what, user, pool, may) => {
    expect(mayEnter({ disabled: false, pools: [], groups: [], ...user }, groups, pool)).toBe(may);
  });
});

it('keeps the ranges of ids apart, below what a container can have', () => {
  expect(peopleUids.last).toBeLessThan(19_999); // the group of sudo; admins of templates follow
  expect(groupGids.first).toBeGreaterThan(29_999);
  expect(groupGids.last).toBeLessThan(65_534);
});
