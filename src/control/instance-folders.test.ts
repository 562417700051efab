import { describe, expect, it, vi } from 'vitest';
import { keyOf } from '../core/resource-id.ts';
import { createSimEngine } from '../engines/sim/sim-engine.ts';
import { addUser } from '../store/users.ts';
import { saveResource } from '../store/resource-records.ts';
import { createAttachmentLoop } from './attachment-loop.ts';
import { createInstanceFolders } from './instance-folders.ts';
import { createPlacements } from './placements.ts';
import { createSettlePerson } from './settle-person.ts';
import { createWorkspaceMemory } from './workspace-memory.ts';
import type { scaleSetId } from './test-support.ts';
import { openTestPool } from './test-support.ts';

const { signal } = new AbortController();
const accountId = '/subscriptions/s/resourceGroups/lab/providers/Microsoft.Storage/storageAccounts/acct';
const share = { account: 'acct', share: 'shared' };

/** An instance in the simulated engine, with the share in the store; ada and bob are people of its pool. */
async function prepare(tags: Record<string, string>) {
  const pool = await openTestPool({ tags });
  const { store } = pool.world;
  const settings = { password: undefined, groups: [], sshKeys: [], pools: ['lab/pool'], disabled: false, sudo: false };
  await addUser(store.db, 'bob', settings, 0);
  for (const [id, typeKey, parent] of [
    [accountId, 'microsoft.storage/storageaccounts', ''],
    [
      `${accountId}/fileServices/default/shares/shared`,
      'microsoft.storage/storageaccounts/fileservices/shares',
      `${accountId}/fileServices/default`,
    ],
  ] as const)
    await saveResource(store.db, {
      ...{ key: keyOf(id), id: id as typeof scaleSetId, typeKey, groupKey: keyOf('/g'), parentKey: keyOf(parent) },
      ...{ document: {}, found: {}, provisioningState: 'Succeeded', error: undefined, generation: 1, etag: 'e' },
      ...{ createdAt: 1, changedAt: 1, deletingSince: undefined },
    });
  const clock = {
    now: () => pool.now.at,
    sleep: (_ms: number, stop?: AbortSignal) =>
      new Promise<void>((_, reject) => {
        stop?.addEventListener('abort', () => {
          reject(new Error('stopped'));
        });
      }),
  };
  const engine = createSimEngine({ clock });
  await engine.ensureShare({ ...share, quotaBytes: 1 }, signal);
  const { name, hostname, address } = await pool.instance();
  await engine.create(
    { name, hostname, address, image: { fingerprint: '0' }, cpus: 1, memoryBytes: 1, labels: {} },
    signal,
  );
  await engine.setPower(name, 'running', signal);
  const placements = createPlacements({ clock, onWaiting: () => undefined });
  const world = { ...pool.world, clock, engine, workspaces: createWorkspaceMemory() };
  const folders = createInstanceFolders(world, placements);
  const loop = createAttachmentLoop(world, folders, placements);
  const place = createSettlePerson(world, folders, (question, hangUp) => placements.answer(question, hangUp));
  const look = async () => world.live.setEngine(await engine.list(signal));
  const seeElsewhere = (user: string) => {
    const presences = [{ pool: pool.key, user, instance: 'gone', activeAt: pool.now.at }];
    placements.setSeen({ sessions: [], presences });
  };
  const see = (sessions: readonly string[], presences: readonly string[] = []) => {
    const at = (user: string) => ({ pool: pool.key, user, instance: name, activeAt: pool.now.at });
    placements.setSeen({
      sessions: sessions.map((user) => ({ ...at(user), id: user, protocol: 'ssh', since: 1, client: '' })),
      presences: presences.map(at),
    });
  };
  placements.setPools(
    new Map([
      [
        pool.key,
        {
          policy: { prefer: 'fewest-users' },
          idleMilliseconds: undefined,
          instances: [{ instance: name, reachable: true, inRotation: true }],
          describe: () => ({ message: 'wait', never: false }),
        },
      ],
    ]),
  );
  return {
    ...{ ...pool, engine, folders, see, seeElsewhere, name },
    come: (user: string) => place({ ticket: user, pool: pool.key, user, unusable: [] }, signal),
    mount: async (shown: 'share' | 'workspaces') =>
      folders.mounted(await pool.instance(), { ...share, target: '/mnt/shared', shown }, signal),
    /** One that changes something does not wait for it. */
    begin: async () => {
      await look();
      await loop.pass(signal);
    },
    pass: async () => {
      for (const _ of [1, 2]) {
        await look();
        await loop.pass(signal);
        await loop.idle();
      }
    },
    shown: async () =>
      (await engine.list(signal))
        .flatMap(({ attachments }) => attachments.map(({ path, folder }) => `${path}=${folder}`))
        .toSorted(),
  };
}
const azure = '/mnt/shared/notebooks/azure=notebooks/azure';
const ada = '/mnt/shared/notebooks/ada=notebooks/ada';
const bob = '/mnt/shared/notebooks/bob=notebooks/bob';

describe('the folders of shares that an instance is shown', () => {
  it('are there when their owner is told their place, and are gone when they have left', async () => {
    const { mount, come, shown, see, pass, now, engine, instance } = await prepare({ 'poolhouse-isolation': 'user' });
    await mount('workspaces');
    expect(await shown()).toEqual([azure]);
    expect(await come('bob')).toMatchObject({ outcome: 'placed' });
    expect(await shown()).toEqual([azure, bob]);
    expect((await engine.listFolders('acct', 'shared', signal)).map(({ folder }) => folder).toSorted()).toEqual([
      'notebooks/azure',
      'notebooks/bob',
    ]);
    see(['bob']);
    await come('ada');
    now.at += 60_000;
    see(['bob']);
    await pass();
    expect(await shown()).toEqual([azure, bob]);
    see([], ['bob']);
    await pass();
    expect(await shown()).toEqual([azure, bob]);
    see([]);
    await pass();
    expect(await shown()).toEqual([azure]);
    expect((await instance()).state.visitors?.toSorted()).toEqual(['ada', 'bob']);
  });

  it('are not those of who only seems to run something there', async () => {
    const { mount, shown, see, pass } = await prepare({ 'poolhouse-isolation': 'user' });
    await mount('workspaces');
    see([], ['bob']);
    await pass();
    expect(await shown()).toEqual([azure]);
  });

  it('come as soon as control is back, where the gateway has placed somebody itself', async () => {
    const { mount, shown, see, pass } = await prepare({ 'poolhouse-isolation': 'user' });
    await mount('workspaces');
    see(['ada']);
    await pass();
    expect(await shown()).toEqual([ada, azure]);
  });

  it('are shown to who is sent there because the machine they were bound to is gone', async () => {
    const { mount, come, shown, seeElsewhere } = await prepare({ 'poolhouse-isolation': 'user' });
    await mount('workspaces');
    seeElsewhere('ada');
    await come('ada');
    expect(await shown()).toEqual([ada, azure]);
  });

  it('take the place of a whole share, and make room for it again, when nobody is there', async () => {
    const { mount, shown, see, pass, engine, name, instance } = await prepare({ 'poolhouse-isolation': 'user' });
    await engine.attachShare(name, { ...share, folder: '', path: '/mnt/shared' }, signal);
    await mount('share');
    see(['ada']);
    await pass();
    expect(await shown()).toEqual(['/mnt/shared=']);
    see([]);
    await pass();
    expect(await shown()).toEqual([azure]);
    expect((await instance()).state.mounts).toMatchObject([{ shown: 'workspaces' }]);
  });

  it('make room for the whole share, with links to it for everybody, when the tag is share again', async () => {
    const { mount, shown, see, pass, engine } = await prepare({ 'poolhouse-isolation': 'share' });
    const exec = vi.spyOn(engine, 'exec');
    await mount('workspaces');
    see([]);
    await pass();
    expect(await shown()).toEqual(['/mnt/shared=']);
    const documents = exec.mock.calls.map(([, , { stdin }]) => JSON.parse(String(stdin)) as object);
    expect(documents).toContainEqual(expect.objectContaining({ mountPoint: '/mnt/shared', whole: true }));
  });

  it('are told of in words where they cannot be shown, and are tried again', async () => {
    const { mount, come, shown, see, pass, engine, now } = await prepare({ 'poolhouse-isolation': 'user' });
    await mount('workspaces');
    engine.failNext('attachShare', new Error('no room'));
    expect(await come('ada')).toMatchObject({
      outcome: 'placed',
      notice: expect.stringContaining('cannot be shown') as string,
    });
    expect(await shown()).toEqual([azure]);
    see(['ada']);
    now.at += 20_000;
    await pass();
    expect(await shown()).toEqual([ada, azure]);
  });

  it('of one instance keep the loop from no other while they take long', async () => {
    const { mount, shown, see, begin, pass, engine } = await prepare({ 'poolhouse-isolation': 'user' });
    await mount('workspaces');
    await pass();
    const attach = engine.attachShare.bind(engine);
    let go: () => void = () => undefined;
    const slow = new Promise<void>((resolve) => (go = resolve));
    let calls = 0;
    engine.attachShare = async (...args) => {
      calls += 1;
      await slow;
      await attach(...args);
    };
    see(['ada']);
    await begin();
    await begin();
    go();
    await pass();
    expect([calls, await shown()]).toEqual([1, [ada, azure]]);
  });

  it('are changed although one of them cannot be confirmed', async () => {
    const { mount, shown, see, pass, engine, name, logged } = await prepare({ 'poolhouse-isolation': 'user' });
    await mount('workspaces');
    await engine.attachShare(name, { ...share, folder: 'notebooks/bob', path: '/mnt/shared/notebooks/bob' }, signal);
    engine.failNext('attachShare', new Error('no room'));
    see([]);
    await pass();
    expect(await shown()).toEqual([azure]);
    expect(logged.filter(({ level }) => level === 'warn')).toHaveLength(1);
  });

  it('cost nothing where a pool shows whole shares and keeps no homes', async () => {
    const { come, engine, shown } = await prepare({});
    engine.failNext('list', new Error('it was asked'));
    expect(await come('ada')).toMatchObject({ outcome: 'placed' });
    expect(await shown().catch(String)).toBe('Error: it was asked');
  });

  it('are the homes where these survive', async () => {
    const { come, engine, name, mount, shown, see, now, pass } = await prepare({ 'poolhouse-survives': 'home' });
    await engine.attachShare(name, { ...share, folder: '', path: '/mnt/shared' }, signal);
    await mount('share');
    await come('ada');
    expect(await shown()).toEqual(['/home/ada=notebooks/ada', '/mnt/shared=']);
    now.at += 60_000;
    see([]);
    await pass();
    expect(await shown()).toEqual(['/mnt/shared=']);
  });

  it('are shown to a rescue as long as it takes, and nothing is taken away meanwhile', async () => {
    const { mount, folders, name, shown, pass, see } = await prepare({ 'poolhouse-isolation': 'user' });
    await mount('workspaces');
    see([]);
    const rescue = async () => {
      await pass();
      return shown();
    };
    expect(await folders.withWorkspace(name, 'bob', rescue, signal)).toEqual([azure, bob]);
    expect(await shown()).toEqual([azure]);
    expect(await folders.withWorkspace(name, 'azure', rescue, signal)).toEqual([azure]);
    expect(await shown()).toEqual([azure]);
    const failing = () => Promise.reject(new Error('no room'));
    await expect(folders.withWorkspace(name, 'bob', failing, signal)).rejects.toThrow('no room');
    expect(await shown()).toEqual([azure]);
  });

  it('stay shown after a rescue to who is there', async () => {
    const { mount, come, folders, name, shown } = await prepare({ 'poolhouse-isolation': 'user' });
    await mount('workspaces');
    await come('bob');
    expect(await folders.withWorkspace(name, 'bob', shown, signal)).toEqual([azure, bob]);
    expect(await shown()).toEqual([azure, bob]);
  });
});
