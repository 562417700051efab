/**
 * Capacity on the real engine, with people on it by the client of OpenSSH: standby instances, upgrades under living sessions,
 * machines that die, and a pool that grows and shrinks by rules.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dig, isObject, type JsonObject } from '../../src/core/json.ts';
import { engineNames } from '../../src/engines/incus/names.ts';
import { SshClient } from './gateway-ground.ts';
import { missingForSystemTests, must, repository, run, TestInstallation, until, type Result } from './installation.ts';
import { sshArguments } from './ssh-arguments.ts';

const missing = await missingForSystemTests(['ssh', 'nft', 'mmdebstrap']);
const group = 'team';
const people = ['alice', 'bob', 'carol'];
/** They have never been on a machine before the test that they are for. */
const newcomers = ['erin', 'frank', 'grace'];

describe.skipIf(missing !== undefined)(`capacity${missing === undefined ? '' : ` (left out: ${missing})`}`, () => {
  let installation: TestInstallation;
  let arm: Awaited<ReturnType<TestInstallation['arm']>>;
  let folder: string;
  let address: string;
  let set: string;

  const argv = (user: string, command: string) => sshArguments(folder, `${user}@${address}`, command);
  const as = (user: string, command: string): Promise<Result> =>
    run('ssh', argv(user, command), { timeoutMs: 120_000 });
  const pool = () => installation.pool('nat');
  const when = (what: string, is: (found: Awaited<ReturnType<typeof pool>>) => boolean) =>
    until(what, async () => (is(await pool()) ? true : undefined));
  const patch = (body: JsonObject) => arm.send('PATCH', set, body);
  const scale = async (capacity: number) => {
    await patch({ sku: { capacity } });
    await when(`${capacity} are in rotation, and no other counts`, ({ instances }) => {
      const members = instances.filter((one) => !one.standby);
      return members.length === capacity && members.every((one) => one.inRotation);
    });
  };
  const machines = async () => {
    const value = dig((await arm.send('GET', `${set}/virtualMachines`)).body, 'value');
    return (Array.isArray(value) ? value : []).filter(isObject).map((one) => ({
      id: JSON.stringify(one['instanceId']),
      isLatest: dig(one, 'properties', 'latestModelApplied') === true,
      isProtected: dig(one, 'properties', 'protectionPolicy', 'protectFromScaleIn') === true,
    }));
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'poolhouse-capacity-'));
    await must('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'key')]);
    installation = await TestInstallation.make({ poolGiB: 30 });
    await installation.mustPoolhouse('up');
    for (const name of [...people, ...newcomers])
      await installation.mustPoolhouse('users', 'add', name, '--ssh-key', join(folder, 'key.pub'));
    await installation.mustPoolhouse(
      ...['deploy', '-g', group, '-f', join(repository, 'test/e2e/nat-pool.json')],
      ...['-p', 'adminUsername=azure', '-p', 'adminPassword=Base-Image-Pass-1', '-p', 'instanceCount=2', '--json'],
    );
    arm = await installation.arm();
    set = `/subscriptions/${arm.subscriptionId}/resourcegroups/${group}/providers/Microsoft.Compute/virtualMachineScaleSets/nat`;
    await when(
      'two are in rotation',
      ({ instances }) => instances.length === 2 && instances.every((one) => one.inRotation),
    );
    address = (await pool()).frontEnds[0]?.address ?? '';
  });
  afterAll(async () => {
    await installation.destroy();
    await rm(folder, { recursive: true, force: true });
  });

  it('has a frozen standby that serves whoever comes to an empty pool, and makes another', async () => {
    await patch({ tags: { 'poolhouse-standby': '1', 'poolhouse-standby-power': 'frozen' } });
    await scale(0);
    await when('a standby is frozen', ({ instances }) =>
      instances.some((one) => one.standby && one.power === 'frozen'),
    );
    const standby = (await pool()).instances[0]?.name ?? '';
    const began = Date.now();
    expect(await as('alice', 'hostname')).toMatchObject({ exitCode: 0, stdout: `${standby}\n` });
    process.stderr.write(`from a frozen standby: ${String(Date.now() - began)} ms\n`);
    expect((await pool()).capacity).toBe(1);
    await when('another waits', ({ instances }) => instances.some((one) => one.standby && one.power === 'frozen'));
    await patch({ tags: { 'poolhouse-standby': '0' } });
    await when('none waits', ({ instances }) => instances.every((one) => !one.standby));
  });

  it('upgrades to another image under ten living sessions, and ends none of them', async () => {
    await scale(3);
    const clients = Array.from(
      { length: 10 },
      (_, index) => new SshClient(argv(people[index % 3] ?? '', 'hostname; cat'), true),
    );
    for (const [index, client] of clients.entries()) await client.echo(`first ${String(index)}`);
    const hosts = new Set(clients.map(({ text }) => text.split('\n')[0]));
    expect(hosts.size).toBe(3);
    expect((await machines()).every((one) => one.isProtected)).toBe(true);

    const profile = dig((await arm.send('GET', set)).body, 'properties', 'virtualMachineProfile');
    const image = { publisher: 'microsoft-dsvm', offer: 'ubuntu-1804', sku: '1804', version: 'latest' };
    await patch({
      properties: {
        upgradePolicy: { mode: 'Rolling', rollingUpgradePolicy: { maxBatchInstancePercent: 40 } },
        virtualMachineProfile: { ...(isObject(profile) ? profile : {}), storageProfile: { imageReference: image } },
      },
    });
    await when('one drains for it', ({ instances }) => instances.some((one) => one.draining));
    for (const [index, client] of clients.entries()) await client.echo(`second ${String(index)}`);
    expect((await machines()).every((one) => !one.isLatest)).toBe(true);

    // They leave in their own time, one after the other; what is left is upgraded behind them.
    for (const user of people) {
      const own = clients.filter((_, index) => people[index % 3] === user);
      for (const client of own) {
        client.child.stdin?.end();
        expect(await client.done).toBe(0);
      }
      const left = clients.filter((one) => one.child.exitCode === null);
      for (const [index, client] of left.entries()) await client.echo(`after ${user} ${String(index)}`);
    }
    await until(
      'all are of the new image',
      async () => ((await machines()).every((one) => one.isLatest) ? true : undefined),
      120_000,
    );
    await when('and serve', ({ instances }) => instances.length === 3 && instances.every((one) => one.inRotation));
    const latest = await arm.send('GET', `${set}/rollingUpgrades/latest`);
    expect(dig(latest.body, 'properties', 'runningStatus', 'code')).toBe('Completed');
    expect((await as('alice', 'test -e /usr/bin/jupyterhub && echo new')).stdout).toBe('new\n');
    expect(await readFile(join(folder, 'known'), 'utf8')).not.toBe('');
  });

  it('makes a machine again that was killed', async () => {
    const before = await machines();
    const { project } = engineNames((await installation.id()) ?? '');
    const listed = (columns: string) => must('lxc', ['list', '--project', project, '-f', 'csv', '-c', columns, 'nat']);
    const victim = (await listed('n')).split('\n')[0] ?? '';
    await must('lxc', ['delete', '--force', '--project', project, victim]);
    // It may be there again before anybody has seen that it was not.
    await until('it is made and started', async () =>
      (await listed('ns')).includes(`${victim},RUNNING`) ? true : undefined,
    );
    await when(
      'all serve again',
      ({ instances }) => instances.length === 3 && instances.every((one) => one.inRotation),
    );
    expect((await machines()).map(({ id }) => id)).toEqual(before.map(({ id }) => id));
  });

  it('sends nobody to a machine that its operator drains, and leaves it where it is', async () => {
    const [drained] = (await pool()).instances;
    await installation.mustPoolhouse('drain', drained?.name ?? '');
    await when('it drains', ({ instances }) => instances.some((one) => one.name === drained?.name && one.draining));
    for (const user of newcomers) expect((await as(user, 'hostname')).stdout).not.toBe(`${drained?.name ?? ''}\n`);
    await installation.mustPoolhouse('drain', drained?.name ?? '', '--off');
    await when('it serves again', ({ instances }) => instances.every((one) => one.inRotation));
  });
});
