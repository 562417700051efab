import { describe, expect, it } from 'vitest';
import { PoolhouseError } from '../core/errors.ts';
import { keyOf } from '../core/resource-id.ts';
import { createSimEngine, type SimEngine } from '../engines/sim/sim-engine.ts';
import { saveResource } from '../store/resource-records.ts';
import { addGroup } from '../store/user-groups.ts';
import { addUser, changeUser, eraseUser, findUser } from '../store/users.ts';
import { instanceAccounts } from './instance-users.ts';
import { openTestPool } from './test-support.ts';
import { createWorkspaceLoop } from './workspace-loop.ts';
import { workspaceUsage } from './workspace-usage.ts';
import { ensureWorkspaces, onlyOf, prepareAllWorkspaces } from './workspaces.ts';

const name = { account: 'acct', share: 'shared' };
const attachment = { ...name, folder: '', path: '/mnt/shared' };
const accountId = '/subscriptions/s/resourceGroups/lab/providers/Microsoft.Storage/storageAccounts/acct';
const { signal } = new AbortController();
const settings = { password: undefined, groups: [], sshKeys: [], pools: ['lab/pool'], disabled: false, sudo: false };
const program = ['/usr/lib/poolhouse/workspace'];

type Folder = Parameters<SimEngine['ensureFolder']>[0];

async function prepare({ tags = {}, exec }: { tags?: Record<string, string>; exec?: () => { exitCode: number } } = {}) {
  const pool = await openTestPool({ engine: { attachments: [attachment] }, ...(exec === undefined ? {} : { exec }) });
  const { world, now } = pool;
  const record = (id: string, typeKey: string, parentKey: '' | ReturnType<typeof keyOf>, document: object) =>
    saveResource(world.store.db, {
      ...{ key: keyOf(id), id: id as never, typeKey, groupKey: keyOf('/g'), parentKey },
      ...{ document: { ...document }, found: {}, provisioningState: 'Succeeded', error: undefined, generation: 1 },
      ...{ etag: 'e', createdAt: 1, changedAt: 1, deletingSince: undefined },
    });
  await record(accountId, 'microsoft.storage/storageaccounts', '', { tags });
  const type = 'microsoft.storage/storageaccounts/fileservices/shares';
  const services = `${accountId}/fileServices/default`;
  await record(`${services}/shares/shared`, type, keyOf(services), {});
  const sim = createSimEngine({ clock: { now: () => now.at, sleep: () => Promise.resolve() } });
  await sim.ensureShare({ ...name, quotaBytes: 1_000 }, signal);
  const made: Folder[] = [];
  let lists = 0;
  let problem: Error | undefined;
  const listFolders: SimEngine['listFolders'] = (...args) => {
    lists += 1;
    return sim.listFolders(...args);
  };
  const ensureFolder: SimEngine['ensureFolder'] = (spec, given) => {
    if (problem !== undefined) return Promise.reject(problem);
    made.push(spec);
    return sim.ensureFolder(spec, given);
  };
  Object.assign(world.engine, { listFolders, ensureFolder, capabilities: () => ({ real: true, shares: true }) });
  const folders = () => made.splice(0).map(({ folder, quotaBytes }) => [folder, quotaBytes]);
  return {
    ...pool,
    made,
    folders,
    lists: () => lists,
    fail: (error: Error | undefined) => (problem = error),
    pass: createWorkspaceLoop(world),
    /** What the program inside was told, since the last question. */
    told: () => pool.ran.splice(0).map(({ argv, stdin }) => ({ argv, ...(stdin as Record<string, unknown>) })),
  };
}

describe('workspaces', () => {
  it('are made by control, and shown by the instance', async () => {
    const { world, instance, made, told } = await prepare();
    await world.store.transaction((tx) => addGroup(tx, 'team', { pools: [] }, 0));
    await world.store.transaction((tx) => addUser(tx, 'bob', { ...settings, groups: ['team'] }, 0));
    await prepareAllWorkspaces(world, await instance(), signal);
    expect(made).toEqual([
      { ...name, folder: 'groups/team', uid: 0, gid: 30_000, mode: 0o2770, claimed: true },
      { ...name, folder: 'notebooks/ada', uid: 10_000, gid: 10_000, mode: 0o700, claimed: true },
      { ...name, folder: 'notebooks/azure', uid: 20_000, gid: 20_000, mode: 0o700, claimed: false },
      { ...name, folder: 'notebooks/bob', uid: 10_001, gid: 10_001, mode: 0o700, claimed: true },
    ]);
    expect(told()).toEqual([
      {
        ...{ argv: program, mountPoint: '/mnt/shared', share: 'shared', whole: true, admin: 'azure' },
        groups: [{ name: 'team', gid: 30_000 }],
        users: [
          { name: 'azure', uid: 20_000, gid: 20_000, person: false, groups: [] },
          { name: 'ada', uid: 10_000, gid: 10_000, person: true, groups: [] },
          { name: 'bob', uid: 10_001, gid: 10_001, person: true, groups: ['team'] },
        ],
      },
    ]);
  });

  it('are there for who comes, though nothing mounts anew, and asked about no more than needed', async () => {
    const { world, pass, folders, lists, told, now } = await prepare();
    await pass(signal);
    expect(folders()).toHaveLength(2);
    await pass(signal);
    expect([folders(), told(), lists()]).toEqual([[], [], 1]);
    await world.store.transaction((tx) => addUser(tx, 'bob', settings, 0));
    await pass(signal);
    expect(folders()).toEqual([['notebooks/bob', undefined]]);
    now.at += 60_000;
    await pass(signal);
    expect([folders(), told(), lists()]).toEqual([[], [], 3]);
  });

  it('have the quota of the account, or their own, as soon as it changes', async () => {
    const { world, pass, folders } = await prepare({ tags: { 'poolhouse-user-quota': '1KiB' } });
    await pass(signal);
    expect(folders()).toEqual([
      ['notebooks/ada', 1_024],
      ['notebooks/azure', undefined],
    ]);
    const change = async (quota: number | 'none') => {
      await world.store.transaction(async (tx) => {
        const ada = await findUser(tx, 'ada');
        if (ada !== undefined) await changeUser(tx, ada, { ...settings, quota });
      });
      await pass(signal);
      return folders();
    };
    expect(await change(5)).toEqual([['notebooks/ada', 5]]);
    expect(await workspaceUsage(world, { user: 'ada' }, signal)).toEqual([
      { ...name, folder: 'notebooks/ada', usedBytes: 0, quotaBytes: 5 },
    ]);
    expect(await change('none')).toEqual([['notebooks/ada', undefined]]);
    expect(await workspaceUsage(world, { group: 'ada' }, signal)).toEqual([]);
    await expect(workspaceUsage(world, { person: 'ada' }, signal)).rejects.toMatchObject({ code: 'InvalidParameter' });
  });

  it('are asked for anew of who has the name now, whatever is there, and of nobody else', async () => {
    const { world, pass, made, told } = await prepare();
    await pass(signal);
    made.splice(0);
    await world.store.transaction((tx) => eraseUser(tx, 'ada'));
    await world.store.transaction((tx) => addUser(tx, 'ada', settings, 0));
    await pass(signal);
    expect(made).toEqual([{ ...name, folder: 'notebooks/ada', uid: 10_001, gid: 10_001, mode: 0o700, claimed: true }]);
    expect(told()).toEqual([]); // no instance has a say in it
  });

  it('of people are made sure of once by a control that has just begun', async () => {
    const { world, pass, folders, now } = await prepare();
    await pass(signal);
    folders();
    world.workspaces.keep(new Set());
    await pass(signal);
    expect(folders()).toEqual([['notebooks/ada', undefined]]);
    now.at += 60_000;
    await pass(signal);
    expect(folders()).toEqual([]);
  });

  it('are made within a minute where one without a room of its own was moved away', async () => {
    const { world, pass, folders, now } = await prepare();
    const make = world.engine.ensureFolder.bind(world.engine);
    const asked: string[] = [];
    Object.assign(world.engine, {
      ensureFolder: (spec: Folder) => {
        asked.push(spec.folder);
        return Promise.resolve('plain');
      },
    });
    await pass(signal);
    await pass(signal);
    expect(asked.splice(0)).toHaveLength(2);
    now.at += 60_000;
    await pass(signal);
    expect(asked).toHaveLength(2);
    Object.assign(world.engine, { ensureFolder: make });
    now.at += 60_000;
    await pass(signal);
    expect(folders()).toHaveLength(2);
  });

  it('that cannot be made are a line in the log, and tried again after a while', async () => {
    const { world, pass, fail, folders, logged, now } = await prepare();
    fail(new PoolhouseError('Conflict', 'A link is in the way.'));
    await pass(signal);
    await pass(signal);
    expect(logged.map(({ level, message }) => [level, message])).toEqual(
      [1, 2].map(() => ['warn', 'a folder could not be made on a share: A link is in the way.']),
    );
    fail(undefined);
    now.at += 60_000;
    await pass(signal);
    expect(folders()).toHaveLength(2);
    expect(await ensureWorkspaces(world, { ...name, share: 'other' }, { users: [], groups: [] }, signal)).toEqual([]);
  });

  it('are tried again at once when the engine was away', async () => {
    const { pass, fail, folders } = await prepare();
    fail(new PoolhouseError('EngineUnavailable', 'It is away.', { retryable: true }));
    await pass(signal);
    fail(undefined);
    await pass(signal);
    expect(folders()).toHaveLength(2);
  });

  it('are made of one person, with their groups', async () => {
    const { world, instance, folders } = await prepare();
    await world.store.transaction((tx) => addGroup(tx, 'team', { pools: [] }, 0));
    await world.store.transaction((tx) => addUser(tx, 'bob', { ...settings, groups: ['team'] }, 0));
    const accounts = onlyOf(await instanceAccounts(world, await instance()), 'bob');
    const there = await ensureWorkspaces(world, name, accounts, signal);
    expect(there).toEqual(['groups/team', 'notebooks/bob']);
    expect(folders().map(([folder]) => folder)).toEqual(there);
  });

  it('are a line in the log where an instance cannot show them, unless its image has no program for it', async () => {
    for (const [exitCode, lines] of [
      [1, 1],
      [127, 0],
    ] as const) {
      const { world, instance, folders, logged } = await prepare({ exec: () => ({ exitCode }) });
      await prepareAllWorkspaces(world, await instance(), signal);
      expect([folders().length, logged.filter(({ level }) => level === 'warn').length]).toEqual([2, lines]);
    }
  });
});
