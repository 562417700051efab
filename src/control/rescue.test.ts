import { describe, expect, it } from 'vitest';
import { PoolhouseError } from '../core/errors.ts';
import { findActivities } from '../store/activity-log.ts';
import { rescueFiles } from './rescue.ts';
import { addUser } from '../store/users.ts';
import { openTestPool, scaleSetId, type TestPoolOptions } from './test-support.ts';

const share = { account: 'a', share: 's', folder: '', path: '/mnt/shared' };
const { signal } = new AbortController();
const ada = { name: 'ada', folder: 'rescued/team000000-2026-11-26', files: 2, bytes: 10, left: 0 };
const says = (answer: object) => () => ({ stdout: JSON.stringify(answer) });

async function prepare(options: TestPoolOptions) {
  const pool = await openTestPool({ engine: { attachments: [share] }, ...options });
  await pool.change({ provisioned: 'x', draining: { since: 7, until: 8 } });
  return {
    ...pool,
    rescue: async () => rescueFiles(pool.world, await pool.instance(), signal),
    noted: async () =>
      (await findActivities(pool.world.store.db, { resourceId: scaleSetId })).map(({ status, message }) => [
        status,
        message,
      ]),
  };
}

describe('what people have on an instance that drains', () => {
  it('is taken to their workspaces by a program in it, and stands in the activity log', async () => {
    const { rescue, ran, noted, instance } = await prepare({ exec: says({ rescued: [ada], failed: [] }) });
    const { hostname } = await instance();
    expect(await rescue()).toEqual([ada]);
    expect(ran).toEqual([
      {
        argv: ['/usr/lib/poolhouse/rescue'],
        stdin: {
          mountPoint: '/mnt/shared',
          folder: `${hostname}-2026-11-26`,
          limitBytes: 2 ** 30,
          draining: '7',
          users: [
            { name: 'azure', uid: 20_000, gid: 20_000, person: false },
            { name: 'ada', uid: 10_000, gid: 10_000, person: true },
          ],
        },
      },
    ]);
    expect(await noted()).toEqual([
      ['Succeeded', 'What people had on the machine was rescued: of ada 2 files to rescued/team000000-2026-11-26.'],
    ]);
  });

  it('keeps it there when it cannot be taken for somebody', async () => {
    const { rescue, noted } = await prepare({
      exec: says({ rescued: [ada], failed: [{ name: 'azure', reason: 'No space left\u001b[2J on device' }] }),
    });
    await expect(rescue()).rejects.toMatchObject({
      ...{ code: 'Unavailable', retryable: true },
      message: expect.stringContaining('azure: No space left [2J on device') as string,
    });
    expect(await noted()).toEqual([]);
  });

  it.each([
    ['fails', { exitCode: 1, stderr: 'trouble' }],
    ['says nothing that can be read', { stdout: 'done' }],
    ['says something else', { stdout: '{"rescued": "all"}' }],
  ])('keeps it there when the program %s', async (_, answer) => {
    const { rescue } = await prepare({ exec: () => answer });
    await expect(rescue()).rejects.toMatchObject({ code: 'Unavailable', retryable: true });
  });

  it('is not looked for where no share is shown, or nobody has ever been', async () => {
    const without = await prepare({ engine: { attachments: [] } });
    expect(await without.rescue()).toEqual([]);
    expect(without.ran).toEqual([]);
    const never = await openTestPool({ engine: { attachments: [share] } });
    expect(await rescueFiles(never.world, await never.instance(), signal)).toEqual([]);
    expect(never.ran).toEqual([]);
  });

  it('goes with it where its image knows no rescue, and the log says so', async () => {
    const { rescue, logged } = await prepare({
      exec: ([program]) => ({ exitCode: program === 'test' ? 1 : 127 }),
    });
    expect(await rescue()).toEqual([]);
    expect(logged).toMatchObject([{ level: 'warn' }]);
  });

  it('keeps it there when its program is there and cannot be run', async () => {
    const { rescue } = await prepare({ exec: ([program]) => ({ exitCode: program === 'test' ? 0 : 127 }) });
    await expect(rescue()).rejects.toMatchObject({ code: 'Unavailable' });
  });

  it('is nobody’s whom nobody asked about, whatever is said there', async () => {
    const mallory = { ...ada, name: 'mallory' };
    const { rescue, noted } = await prepare({
      exec: says({ rescued: [mallory], failed: [{ name: 'mallory', reason: 'x' }] }),
    });
    expect(await rescue()).toEqual([]);
    expect(await noted()).toEqual([]);
  });

  it('is looked for in one that was stopped, which is started for it', async () => {
    const { rescue, ran } = await prepare({
      engine: { power: 'stopped', attachments: [share] },
      exec: says({ rescued: [], failed: [] }),
    });
    expect(await rescue()).toEqual([]);
    expect(ran.map(({ argv }) => argv)).toEqual([['setPower', 'running'], ['/usr/lib/poolhouse/rescue']]);
  });

  it('is as much as the pool says', async () => {
    const { rescue, ran } = await prepare({
      tags: { 'poolhouse-rescue-mib': '5' },
      exec: says({ rescued: [], failed: [] }),
    });
    await rescue();
    expect(ran[0]?.stdin).toMatchObject({ limitBytes: 5 * 2 ** 20 });
  });

  it('has workspaces shown one by one where the share is not, of those alone who have something', async () => {
    const mount = { account: 'a', share: 's', target: '/mnt/shared', shown: 'workspaces' as const };
    const pool = await openTestPool({ engine: { attachments: [] } });
    const { world, instance, ran } = pool;
    for (const name of ['bob', 'carol', 'dave', 'eve'])
      await addUser(
        world.store.db,
        name,
        { password: undefined, groups: [], sshKeys: [], pools: ['lab/pool'], disabled: false, sudo: false },
        0,
      );
    const visitors = ['ada', 'bob', 'carol', 'dave'];
    await pool.change({ provisioned: 'x', draining: { since: 7, until: 8 }, mounts: [mount], visitors });
    let shown = '';
    const events: string[] = [];
    const exec = (_name: string, _argv: readonly string[], { stdin }: { stdin?: string }) => {
      const { users } = JSON.parse(stdin ?? '') as { users: { name: string }[] };
      const asked = users.map(({ name }) => name);
      events.push(`ask ${asked.join()}`);
      // Bob has nothing, and what the admin user has was taken by a try before.
      const answer = {
        rescued: asked.flatMap((name) => (name === 'azure' || name === shown ? [{ ...ada, name }] : [])),
        failed: asked.flatMap((name) =>
          ['ada', 'carol', 'dave'].includes(name) && name !== shown ? [{ name, reason: 'it is not mounted' }] : [],
        ),
      };
      return Promise.resolve({ exitCode: 0, stdout: JSON.stringify(answer), stderr: '' });
    };
    const withWorkspace = async (_name: string, user: string, work: () => Promise<unknown>) => {
      if (user === 'carol') throw new PoolhouseError('Conflict', 'She has no room.');
      shown = user;
      return work().finally(() => (shown = ''));
    };
    Object.assign(world, { engine: { ...world.engine, exec }, folders: { withWorkspace } });
    await expect(rescueFiles(world, await instance(), signal)).rejects.toMatchObject({
      code: 'Unavailable',
      message: expect.stringContaining('so it stays: carol: She has no room.') as string,
    });
    expect(events).toEqual(['ask azure,ada,bob,carol,dave', 'ask ada', 'ask dave']);
    expect(ran).toEqual([]);
    const audited = pool.logged
      .filter(({ fields }) => fields['audit'] === 'rescued')
      .map(({ fields }) => fields['name']);
    expect(audited).toEqual(['azure', 'ada', 'dave']);
  });
});
