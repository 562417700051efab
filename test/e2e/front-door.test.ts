/**
 * One address, and everybody lands where their work is: people on real instances by the clients of OpenSSH, while
 * instances come from nothing, control is killed, and machines die.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  killHard,
  missingForSystemTests,
  must,
  repository,
  run,
  ssh,
  TestInstallation,
  until,
  type Result,
} from './installation.ts';

const missing = await missingForSystemTests(['sshpass', 'ssh', 'scp', 'rsync', 'nft', 'mmdebstrap']);
const password = 'Base-Image-Pass-1';
const group = 'team';

describe.skipIf(missing !== undefined)(
  `the front door${missing === undefined ? '' : ` (left out: ${missing})`}`,
  () => {
    let installation: TestInstallation;
    let folder: string;
    let address: string;

    /** As a person who has a key, and a file of known hosts that is checked. */
    const as = (user: string, command: string, ...options: string[]): Promise<Result> =>
      run('ssh', [...withKey(), ...options, `${user}@${address}`, command], { timeoutMs: 120_000 });
    const withKey = () => [
      ...['-F', 'none', '-i', join(folder, 'key'), '-o', 'BatchMode=yes', '-o', 'LogLevel=ERROR'],
      ...['-o', `UserKnownHostsFile=${join(folder, 'known')}`, '-o', 'StrictHostKeyChecking=accept-new'],
    ];
    const scale = async (count: number) => {
      const arm = await installation.arm();
      const set = `/subscriptions/${arm.subscriptionId}/resourcegroups/${group}/providers/Microsoft.Compute/virtualMachineScaleSets/nat`;
      await arm.send('PATCH', set, { sku: { capacity: count } });
    };
    const inRotation = (count: number) =>
      until(`${count} in rotation`, async () => {
        const { instances } = await installation.pool('nat');
        return instances.length === count && instances.every((one) => one.inRotation) ? true : undefined;
      });

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'poolhouse-door-'));
      await must('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'key')]);
      installation = await TestInstallation.make({ poolGiB: 20 });
      await installation.up();
      for (const name of ['alice', 'bob', 'carol'])
        await installation.mustPoolhouse('users', 'add', name, '--ssh-key', join(folder, 'key.pub'));
      await installation.mustPoolhouse(
        ...['deploy', '-g', group, '-f', join(repository, 'test/e2e/nat-pool.json')],
        ...['-p', 'adminUsername=azure', '-p', `adminPassword=${password}`, '-p', 'instanceCount=2', '--json'],
      );
      await inRotation(2);
      address = (await installation.pool('nat')).frontEnds[0]?.address ?? '';
    });
    afterAll(async () => {
      await installation.destroy();
      await rm(folder, { recursive: true, force: true });
    });

    it('lets people in as themselves, with their home, and spreads them out', async () => {
      const holding = [as('alice', 'hostname; cat', '-tt'), as('bob', 'hostname; cat', '-tt')];
      await until('both have a session', async () => {
        const { instances } = await installation.pool('nat');
        return instances.every((one) => one.sessions === 1) ? true : undefined;
      });
      const here = (await as('alice', 'hostname')).stdout;
      expect((await as('alice', 'hostname; id -un; pwd')).stdout).toBe(`${here}alice\n/home/alice\n`);
      expect((await as('bob', 'hostname')).stdout).not.toBe(here);
      expect((await as('carol', 'id -un', '-p', '22')).stdout).toBe('carol\n');
      for (const user of ['alice', 'bob']) await as(user, `pkill -u ${user} cat`);
      await Promise.all(holding);
    });

    it('takes the admin user of the template with their password, and nobody who is not known', async () => {
      expect(await ssh(password, 'azure', address, 'sudo id -un')).toMatchObject({ exitCode: 0, stdout: 'root\n' });
      expect(await ssh('Wrong-Pass-1', 'azure', address, 'true')).not.toMatchObject({ exitCode: 0 });
      expect(await as('mallory', 'true')).toMatchObject({ exitCode: 255 });
      expect(await as('root', 'true')).toMatchObject({ exitCode: 255 });
    });

    it('carries scp, rsync and exit codes', async () => {
      const big = join(folder, 'big');
      await must('sh', ['-c', `head -c 50000000 /dev/urandom > ${big}`]);
      const shell = ['ssh', ...withKey()].join(' ');
      await must('scp', ['-q', ...withKey(), big, `alice@${address}:copied`]);
      await must('rsync', ['-e', shell, `alice@${address}:copied`, join(folder, 'back')]);
      await must('cmp', [big, join(folder, 'back')]);
      expect(await as('alice', 'exit 42')).toMatchObject({ exitCode: 42 });
      expect(await as('alice', 'kill -TERM $$')).toMatchObject({ exitCode: 255 });
    });

    it('keeps sessions when control is killed, and lets new people in meanwhile', async () => {
      const { control } = await installation.status();
      const open = as('alice', 'sleep 4; echo still here');
      await until('it is open', async () =>
        (await installation.pool('nat')).instances.some((one) => one.sessions > 0) ? true : undefined,
      );
      killHard(control.pid);
      expect(await as('carol', 'id -un')).toMatchObject({ exitCode: 0, stdout: 'carol\n' });
      expect(await open).toMatchObject({ exitCode: 0, stdout: 'still here\n' });
      await until('control is back', async () => {
        const status = await installation.poolhouse('status', '--json');
        return status.exitCode === 0 ? true : undefined;
      });
    });

    it('keeps a machine for who asks for it, though nothing of theirs is there', async () => {
      const here = (await as('alice', 'hostname')).stdout;
      expect(await as('alice', 'keep 1h')).toMatchObject({
        exitCode: 0,
        stdout: expect.stringContaining(here.trim()) as string,
      });
      expect(await as('alice', 'keep 30h')).toMatchObject({
        exitCode: 1,
        stderr: expect.stringContaining('at most') as string,
      });
      await until('nobody is there', async () =>
        (await installation.pool('nat')).instances.every((one) => one.sessions === 0) ? true : undefined,
      );
      await scale(0);
      await until('the other machine is gone, and this one waits', async () => {
        const { instances } = await installation.pool('nat');
        return instances.length === 1 && instances[0]?.draining === true ? true : undefined;
      });
      expect(await as('alice', 'hostname')).toMatchObject({ exitCode: 0, stdout: here });
      expect(await as('alice', 'keep off')).toMatchObject({ exitCode: 0 });
      await until('it is gone too', async () =>
        (await installation.pool('nat')).instances.length === 0 ? true : undefined,
      );
    });

    it('wakes a pool without a machine, and never shows another host key', async () => {
      const known = await readFile(join(folder, 'known'), 'utf8');
      await until('nobody is there', async () =>
        (await installation.pool('nat')).instances.every((one) => one.sessions === 0) ? true : undefined,
      );
      await scale(0);
      await until('the pool is empty', async () =>
        (await installation.pool('nat')).instances.length === 0 ? true : undefined,
      );
      const began = Date.now();
      const [first, second] = await Promise.all([as('alice', 'hostname'), as('bob', 'hostname')]);
      process.stderr.write(`from nothing: ${String(Date.now() - began)} ms\n`);
      expect(first).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^nat/) as string });
      expect(second).toMatchObject({ exitCode: 0, stdout: first.stdout });
      expect((await installation.pool('nat')).capacity).toBe(1);
      expect(await readFile(join(folder, 'known'), 'utf8')).toBe(known);
    });

    it('says so where the pool was switched off', async () => {
      const arm = await installation.arm();
      const set = `/subscriptions/${arm.subscriptionId}/resourcegroups/${group}/providers/Microsoft.Compute/virtualMachineScaleSets/nat`;
      await arm.send('POST', `${set}/deallocate`, {});
      await until('it is off', async () =>
        (await installation.pool('nat')).instances.every((one) => one.power === 'stopped') ? true : undefined,
      );
      const refused = await as('alice', 'true');
      expect(refused).toMatchObject({ exitCode: 255 });
      expect(refused.stderr).toContain('switched this pool off');
      await arm.send('POST', `${set}/start`, {});
      await inRotation(1);
      expect(await as('alice', 'true')).toMatchObject({ exitCode: 0 });
    });

    it('starts a stopped machine for who comes', async () => {
      const arm = await installation.arm();
      const set = `/subscriptions/${arm.subscriptionId}/resourcegroups/${group}/providers/Microsoft.Compute/virtualMachineScaleSets/nat`;
      const [instance] = (await installation.pool('nat')).instances;
      await arm.send('POST', `${set}/poweroff`, { instanceIds: [instance?.instanceId ?? ''] });
      await until('it is off', async () =>
        (await installation.pool('nat')).instances.every((one) => one.power === 'stopped') ? true : undefined,
      );
      const began = Date.now();
      expect(await as('alice', 'hostname')).toMatchObject({ exitCode: 0 });
      process.stderr.write(`from stopped: ${String(Date.now() - began)} ms\n`);
    });

    it('leaves an audit line for each sign-in and session, and no secret', async () => {
      const log = await readFile(join(installation.home, 'logs', 'gateway.log'), 'utf8');
      for (const audit of ['signed in', 'refused', 'session begins', 'session ends'])
        expect(log).toContain(`"audit":"${audit}"`);
      expect(log).not.toContain(password);
      expect(log).not.toContain('Wrong-Pass-1');
    });
  },
);
