import { describe, expect, it } from 'vitest';
import {
  ownerOf,
  planWorkspaces,
  wantedFolders,
  type FolderGroup,
  type FolderOwner,
  type FoundFolders,
} from './plan-workspaces.ts';

const admin: FolderOwner = { name: 'azure', uid: 20_000, gid: 20_000, person: false };
const ada: FolderOwner = { name: 'ada', uid: 10_000, gid: 10_000, person: true };
const bob: FolderOwner = { name: 'bob', uid: 10_001, gid: 10_001, person: true };
const team: FolderGroup = { name: 'team', gid: 30_000 };
const known = new Map([ada, bob].map((one) => [`notebooks/${one.name}`, ownerOf(one)]));
const rooms = (...list: [folder: string, quotaBytes?: number][]): FoundFolders => ({
  owners: known,
  rooms: list.map(([folder, quotaBytes]) => ({ folder, ...(quotaBytes === undefined ? {} : { quotaBytes }) })),
});

describe('the folders that a share has to have', () => {
  it('are one of each person and admin user, theirs alone, and one of each group', () => {
    expect(wantedFolders([admin, ada], [team], undefined)).toEqual([
      { folder: 'groups/team', uid: 0, gid: 30_000, mode: 0o2770, claimed: true },
      { folder: 'notebooks/ada', uid: 10_000, gid: 10_000, mode: 0o700, claimed: true },
      { folder: 'notebooks/azure', uid: 20_000, gid: 20_000, mode: 0o700, claimed: false },
    ]);
  });

  it.each<[what: string, users: FolderOwner[], groups: FolderGroup[], usual: number | undefined, quotas: object]>([
    ['none', [ada], [team], undefined, {}],
    ['the usual one for people', [ada, admin], [team], 5, { 'notebooks/ada': 5 }],
    ['their own', [{ ...ada, quota: 7 }, bob], [], 5, { 'notebooks/ada': 7, 'notebooks/bob': 5 }],
    ['none in spite of the usual one', [{ ...ada, quota: 'none' }], [], 5, {}],
    ["a group's own", [], [{ ...team, quota: 9 }], 5, { 'groups/team': 9 }],
    ["none for a group's", [], [{ ...team, quota: 'none' }], 5, {}],
  ])('have a quota: %s', (_, users, groups, usual, quotas) => {
    const given = wantedFolders(users, groups, usual).filter((one) => one.quotaBytes !== undefined);
    expect(Object.fromEntries(given.map(({ folder, quotaBytes }) => [folder, quotaBytes]))).toEqual(quotas);
  });

  it('are each there once, and of who came first', () => {
    expect(wantedFolders([admin, { ...admin, uid: 20_001 }, ada, ada], [], undefined).map(({ uid }) => uid)).toEqual([
      10_000, 20_000,
    ]);
  });
});

describe('the plan for them', () => {
  it.each<[what: string, found: FoundFolders, usual: number | undefined, steps: string[]]>([
    ['makes what is missing', rooms(['notebooks/bob']), undefined, ['notebooks/ada']],
    ['leaves what is there', rooms(['notebooks/ada'], ['notebooks/bob']), undefined, []],
    ['gives a quota', rooms(['notebooks/ada', 5], ['notebooks/bob']), 5, ['notebooks/bob']],
    ['changes one', rooms(['notebooks/ada', 5], ['notebooks/bob', 4]), 5, ['notebooks/bob']],
    ['takes one away', rooms(['notebooks/ada'], ['notebooks/bob', 4]), undefined, ['notebooks/bob']],
    ['leaves folders of others', rooms(['notebooks/ada'], ['notebooks/bob'], ['notebooks/eve', 1]), undefined, []],
  ])('%s', (_, found, usual, steps) => {
    const wanted = wantedFolders([ada, bob], [], usual);
    const planned = planWorkspaces(wanted, found);
    expect(planned.map(({ folder }) => folder)).toEqual(steps);
    const after = planned.map(({ folder, quotaBytes }) => ({
      folder,
      ...(quotaBytes === undefined ? {} : { quotaBytes }),
    }));
    const kept = found.rooms.filter(({ folder }) => !steps.includes(folder));
    expect(planWorkspaces(wanted, { ...found, rooms: [...kept, ...after] })).toEqual([]);
  });

  it('has made sure, once, of what may be of somebody else of that name', () => {
    const wanted = wantedFolders([admin, ada], [team], undefined);
    const there = wanted.map(({ folder }) => ({ folder }));
    const planned = planWorkspaces(wanted, { rooms: there, owners: new Map() });
    expect(planned.map(({ folder }) => folder)).toEqual(['groups/team', 'notebooks/ada']);
    const owners = new Map(planned.map((one) => [one.folder, ownerOf(one)]));
    expect(planWorkspaces(wanted, { rooms: there, owners })).toEqual([]);
    const anew = wantedFolders([{ ...ada, uid: 10_002, gid: 10_002 }], [], undefined);
    expect(planWorkspaces(anew, { rooms: there, owners }).map(({ uid }) => uid)).toEqual([10_002]);
  });
});
