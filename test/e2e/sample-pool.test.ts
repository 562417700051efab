/**
 * What a newcomer does: one command, then ssh and the browser, also from another machine; a second pool of the base
 * image with a port for each instance; down and up again.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sampleOf } from '../check/metric-documents.ts';
import { makeFarMachine, type FarMachine } from './far-machine.ts';
import {
  killHard,
  missingForSystemTests,
  must,
  repository,
  ssh,
  sshArguments,
  TestInstallation,
  until,
} from './installation.ts';
import { JupyterClient } from './jupyter-client.ts';

const missing = await missingForSystemTests(['az', 'sshpass', 'nft', 'mmdebstrap', 'curl', 'ip']);
const user = 'alice';

describe.skipIf(missing !== undefined)(
  `the sample pool${missing === undefined ? '' : ` (left out: ${missing})`}`,
  () => {
    let installation: TestInstallation;
    let far: FarMachine;
    let password: string;
    let address: string;

    beforeAll(async () => {
      far = await makeFarMachine('phs');
      installation = await TestInstallation.make({ poolGiB: 30 });
    });
    afterAll(async () => {
      await installation.destroy();
      await far.remove();
    });

    /** As stock ssh on the other machine does it. */
    const fromAfar = async (host: string, command: string) =>
      (
        await far.run('sshpass', ['-e', 'ssh', ...sshArguments(user, host, command)], {
          env: { ...process.env, SSHPASS: password },
        })
      ).stdout.trim();

    it('is deployed by one command, which prints how to connect', async () => {
      const printed = await installation.mustPoolhouse('up', '--sample');
      password = (await readFile(join(installation.home, 'sample', 'password'), 'utf8')).trim();
      address = (await installation.pool('sharedpool')).frontEnds[0]?.address ?? '';
      expect(address).toMatch(/^127\.77\./);
      expect(printed).toContain(`${user}@${address}`);
      expect(printed).toContain(`https://${address}:8000`);
      expect(printed).not.toContain(password);
      expect((await ssh(password, user, address, 'hostname')).stdout).toMatch(/^sharedpool00000[01]\n$/);
    });

    it('has Jupyter, the share and sudo', async () => {
      const there = await ssh(
        password,
        user,
        address,
        'echo kept > ~/notebooks/remote/note; findmnt -no OPTIONS /mnt/shared; sudo -n id -un; git --version; tmux -V; lsblk >/dev/null; systemctl --failed --no-legend',
      );
      const [options, root, git, tmux, ...failed] = there.stdout.trim().split('\n');
      expect(options).toMatch(/nosuid,nodev/);
      expect([root, git?.slice(0, 3), tmux?.slice(0, 4), failed]).toEqual(['root', 'git', 'tmux', []]);
      const counted = await (await fetch((await installation.status()).control.metricsUrl ?? '')).text();
      expect(sampleOf(counted, 'poolhouse_mounts_total', { result: 'mounted' })).toBe(2);
      const browser = new JupyterClient(address, '127.0.0.1');
      const page = await until('the sign-in page', async () => {
        const reply = await browser.visit('/hub/login').catch(() => undefined);
        return reply?.status === 200 ? reply : undefined;
      });
      expect(page.text).toMatch(/password/i);
    });

    it('is reached from another machine, by address and by name, once it may have an address of the host', async () => {
      expect(await fromAfar(far.hostAddress, 'hostname')).not.toMatch(/^sharedpool/);
      await installation.mustPoolhouse('up', '--address', far.hostAddress);
      await until('the front ends are on the new address', async () => {
        const { frontEnds } = await installation.pool('sharedpool');
        return frontEnds.every((one) => one.address === far.hostAddress && one.instancesInRotation === 2) || undefined;
      });
      for (const host of [far.hostAddress, far.hostName]) {
        expect(await fromAfar(host, 'hostname; cat ~/notebooks/remote/note')).toMatch(/^sharedpool00000[01]\nkept$/);
        const status = await far.run('curl', [
          '-sk',
          '-o',
          '/dev/null',
          '-w',
          '%{http_code}',
          `https://${host}:8000/poolhouse/signin`,
        ]);
        expect(status.stdout).toBe('200');
      }
      address = far.hostAddress;
    });

    it('leads to each instance by the port that its NAT pool gave it', async () => {
      const secret = 'Base-Image-Pass-1';
      const deployed = JSON.parse(
        await installation.mustPoolhouse(
          'deploy',
          '-g',
          'nat',
          '-f',
          join(repository, 'test/e2e/nat-pool.json'),
          '-p',
          'adminUsername=bob',
          '-p',
          `adminPassword=${secret}`,
          '--json',
        ),
      ) as { properties: { outputs: { address: { value: string } } } };
      const where = deployed.properties.outputs.address.value;
      const names = await Promise.all(
        ['50000', '50001'].map(async (port) =>
          (await ssh(secret, 'bob', where, 'hostname', ['-p', port])).stdout.trim(),
        ),
      );
      expect(names.toSorted()).toEqual(['nat000000', 'nat000001']);
      expect((await ssh(secret, 'bob', where, 'hostname', ['-p', '50002'])).stdout).toBe('');
    });

    it('is counted, by front end and pool, and nobody is named', async () => {
      const { control, gateway } = await installation.status();
      const read = async (url = '') => (await fetch(url)).text();
      const [ofControl, ofGateway] = [await read(control.metricsUrl), await read(gateway.metricsUrl)];
      const pool = { resource_group: 'shared-pool', pool: 'sharedpool' };
      expect(sampleOf(ofControl, 'poolhouse_pool_instances', { ...pool, state: 'in_rotation' })).toBe(2);
      const frontEnd = { resource_group: 'shared-pool', rule: 'ssh' };
      expect(sampleOf(ofGateway, 'poolhouse_gateway_connections_total', frontEnd)).toBeGreaterThanOrEqual(4);
      expect(
        sampleOf(ofGateway, 'poolhouse_gateway_carried_bytes_total', { ...frontEnd, direction: 'to_client' }),
      ).toBeGreaterThan(4_000);
      expect(
        sampleOf(ofGateway, 'poolhouse_gateway_connections_total', { resource_group: 'nat' }),
      ).toBeGreaterThanOrEqual(2);
      for (const text of [ofControl, ofGateway]) {
        expect(sampleOf(text, 'poolhouse_healthy')).toBe(1);
        expect(sampleOf(text, 'process_open_fds')).toBeGreaterThan(0);
        for (const name of [user, 'bob', password, address]) expect(text).not.toContain(name);
      }
    });

    it('is reached again after control and gateway were killed, and after a firewall took its rules away', async () => {
      const { control, gateway } = await installation.status();
      killHard(control.pid);
      killHard(gateway.pid);
      await must('nft', ['delete', 'table', 'inet', `poolhouse_${(await installation.id()) ?? ''}`]);
      await until('the pool answers', async () =>
        /^sharedpool/.test((await ssh(password, user, address, 'hostname')).stdout) ? true : undefined,
      );
      const after = await until('both serve', async () => {
        const status = await installation.status().catch(() => undefined);
        return status?.gateway.healthy === true ? status : undefined;
      });
      expect(after.pools.flatMap((pool) => pool.instances.map((instance) => instance.instanceId))).toEqual([
        '0',
        '1',
        '0',
        '1',
      ]);
    });

    it('stays where it is when Poolhouse goes down, and is served again when it is up', async () => {
      const uptime = async () => Number((await ssh(password, user, address, 'cut -d. -f1 /proc/uptime')).stdout);
      const before = await uptime();
      await installation.mustPoolhouse('down');
      expect((await ssh(password, user, address, 'hostname')).stdout).not.toMatch(/^sharedpool/);
      await installation.mustPoolhouse('up', '--sample');
      expect(await until('the pool answers', async () => (await uptime()) || undefined)).toBeGreaterThanOrEqual(before);
    });

    it('is not deployed again once it was deleted', async () => {
      const az = await installation.az('latest');
      expect(await az('group', 'delete', '-n', 'shared-pool', '--yes')).toMatchObject({ exitCode: 0 });
      await installation.mustPoolhouse('up', '--sample');
      expect((await installation.status()).pools.map((pool) => pool.name)).toEqual(['nat']);
    });
  },
);
