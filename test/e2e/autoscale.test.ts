/**
 * A pool that grows when people come and shrinks when they have gone, on the real engine and with the client of OpenSSH:
 * nothing, one for who comes first, three when they are full, nothing again, and everybody's files afterwards.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dig, isObject, type JsonObject } from '../../src/core/json.ts';
import { SshClient } from './gateway-ground.ts';
import { missingForSystemTests, must, run, TestInstallation, until } from './installation.ts';
import { smallSample } from './small-sample.ts';
import { sshArguments } from './ssh-arguments.ts';

const missing = await missingForSystemTests(['ssh', 'nft', 'mmdebstrap']);
const people = ['alice', 'bob', 'carol'];
const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKZ0dqOPMA8xJT4Nr8tqV0Z9EEiOTjFCgZxT1n8PVyLZ somebody';

/** Two more where somebody waits; all go when nobody has a session. */
function setting(target: string): JsonObject {
  const trigger = { metricResourceUri: target, timeGrain: 'PT1M', timeWindow: 'PT5M', timeAggregation: 'Last' };
  return {
    location: 'westeurope',
    properties: {
      enabled: true,
      targetResourceUri: target,
      profiles: [
        {
          name: 'people',
          capacity: { minimum: '0', maximum: '3', default: '0' },
          rules: [
            {
              metricTrigger: {
                ...{ ...trigger, metricName: 'Waiting Users', statistic: 'Sum', operator: 'GreaterThan', threshold: 0 },
              },
              scaleAction: { direction: 'Increase', type: 'ChangeCount', value: '2', cooldown: 'PT1M' },
            },
            {
              metricTrigger: {
                ...{ ...trigger, metricName: 'Active Sessions', statistic: 'Sum', operator: 'Equals', threshold: 0 },
              },
              scaleAction: { direction: 'Decrease', type: 'ChangeCount', value: '3', cooldown: 'PT1M' },
            },
          ],
        },
      ],
    },
  };
}

describe.skipIf(missing !== undefined)(`autoscale${missing === undefined ? '' : ` (left out: ${missing})`}`, () => {
  let installation: TestInstallation;
  let arm: Awaited<ReturnType<TestInstallation['arm']>>;
  let folder: string;
  let address: string;
  let set: string;

  const argv = (user: string, command: string) => sshArguments(folder, `${user}@${address}`, command);
  const pool = () => installation.pool('sharedpool');
  const isEmpty = () =>
    until(
      'the pool is empty',
      async () => {
        const { capacity, instances } = await pool();
        return capacity === 0 && instances.length === 0 ? true : undefined;
      },
      240_000,
    );

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'poolhouse-autoscale-'));
    await must('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'key')]);
    installation = await TestInstallation.make({ poolGiB: 30 });
    await installation.up();
    await writeFile(join(folder, 'template.json'), await smallSample());
    for (const name of people)
      await installation.mustPoolhouse('users', 'add', name, '--ssh-key', join(folder, 'key.pub'));
    await installation.mustPoolhouse(
      ...['deploy', '-g', 'team', '-f', join(folder, 'template.json')],
      ...['-p', 'adminUsername=azure', '-p', 'adminPassword=Correct-Horse-7', '-p', `adminPublicKey=${key}`],
      ...['-p', 'instanceCount=1', '-p', 'shareQuotaGiB=1'],
    );
    arm = await installation.arm();
    const found = await pool();
    set = found.id;
    address = found.frontEnds[0]?.address ?? '';
    await arm.send('PATCH', set, { tags: { 'poolhouse-users-per-instance': '1' } });
    const id = `${set.replace(/\/providers\/.*$/, '')}/providers/Microsoft.Insights/autoscaleSettings/people`;
    await arm.send('PUT', id, setting(set));
  });
  afterAll(async () => {
    await installation.destroy();
    await rm(folder, { recursive: true, force: true });
  });

  it('goes from nothing to one, to three, and to nothing, and everybody has their files', async () => {
    await isEmpty();
    const first = new SshClient(argv('alice', 'hostname; echo weights > model.bin; cat'), true);
    await until('alice is on a machine', async () => (first.text.includes('\n') ? true : undefined));
    expect((await pool()).capacity).toBe(1);
    await first.echo('hello');
    const others = ['bob', 'carol'].map((user) => new SshClient(argv(user, 'hostname; cat'), true));
    const clients = [first, ...others];
    for (const other of others)
      await until('each has a machine', async () => (other.text.includes('\n') ? true : undefined), 120_000);
    expect(new Set(clients.map(({ text }) => text.split('\n')[0])).size).toBe(3);
    expect((await pool()).capacity).toBe(3);
    for (const client of clients) await client.echo('still here');

    const host = first.text.split('\n')[0] ?? '';
    for (const client of clients) {
      client.child.stdin?.end();
      expect(await client.done).toBe(0);
    }
    await isEmpty();
    const events = dig(
      (
        await arm.send(
          'GET',
          `/subscriptions/${arm.subscriptionId}/providers/Microsoft.Insights/eventtypes/management/values?api-version=2015-04-01&$filter=${encodeURIComponent(`eventTimestamp ge '${new Date(Date.now() - 3_600_000).toISOString()}' and resourceUri eq '${set}'`)}`,
        )
      ).body,
      'value',
    );
    const operations = (Array.isArray(events) ? events : [])
      .filter(isObject)
      .map((one) => dig(one, 'operationName', 'value'));
    expect(operations).toContain('Microsoft.Insights/AutoscaleSettings/Scaleup/Action');
    expect(operations).toContain('Microsoft.Insights/AutoscaleSettings/Scaledown/Action');
    expect(await installation.mustPoolhouse('why', host)).toContain('is gone');

    const back = await run(
      'ssh',
      argv('alice', 'cat notebooks/remote/rescued/*/model.bin; ls notebooks/remote/rescued'),
      { timeoutMs: 60_000 },
    );
    expect(back, back.stderr).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(new RegExp(`^weights\n${host}-`)) as string,
    });
  });
});
