/**
 * What goes wrong on real instances, sent by the real az: scripts that fail, never end, or print without end; a wrong
 * storage key; more than the host can hold; names and networks that are taken already.
 */
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { BlockList } from 'node:net';
import { tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { poolPassword, poolResources, poolUser, type PoolParts } from './pool-resources.ts';
import { missingForSystemTests, must, run, ssh, TestInstallation, until, type Result } from './installation.ts';

const missing = await missingForSystemTests(['az', 'sshpass', 'ssh-keygen', 'nft', 'mmdebstrap', 'curl', 'ip']);
const group = 'team';
const user = poolUser;
const password = poolPassword;
const hidden = 'do-not-show-this-9';

describe.skipIf(missing !== undefined)(
  `bad scripts, keys and sizes${missing === undefined ? '' : ` (left out: ${missing})`}`,
  () => {
    let installation: TestInstallation;
    let folder: string;
    let az: (...argv: string[]) => Promise<Result>;
    let azCompute: (...argv: string[]) => Promise<Result>;

    async function deploy(name: string, pools: PoolParts[], ...more: string[]): Promise<Result> {
      const file = join(folder, `${name}.json`);
      const template = {
        $schema: 'https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#',
        contentVersion: '1.0.0.0',
        parameters: { secret: { type: 'securestring', defaultValue: hidden } },
        resources: pools.flatMap(poolResources),
      };
      await writeFile(file, JSON.stringify(template));
      return az('deployment', 'group', 'create', '-g', group, '-n', name, '--template-file', file, ...more);
    }
    /** A deployment that failed, in words for people. */
    function expectFailed({ exitCode, stdout, stderr }: Result, ...codes: string[]): void {
      expect({ exitCode, stdout }, stderr).toEqual({ exitCode: 1, stdout: '' });
      for (const code of codes) expect(stderr).toContain(code);
      expect(stderr).not.toMatch(/^\s+at |Traceback|InternalServerError/m);
      expect(stderr).not.toContain(hidden);
    }
    async function succeed(asked: Promise<Result>): Promise<string> {
      const result = await asked;
      expect(result, result.stderr).toMatchObject({ exitCode: 0 });
      return result.stdout;
    }
    const addressOf = async (name: string) => (await installation.pool(name)).instances[0]?.address ?? '';
    const inside = async (name: string, command: string) => ssh(password, user, await addressOf(name), command);
    const remove = (name: string) => succeed(azCompute('vmss', 'delete', '-g', group, '-n', name));
    const stateOf = async (deployment: string) =>
      (
        await az(
          ...['deployment', 'group', 'show', '-g', group, '-n', deployment],
          ...['--query', 'properties.provisioningState', '-o', 'tsv'],
        )
      ).stdout.trim();
    const instanceView = (name: string) =>
      succeed(azCompute('vmss', 'get-instance-view', '-g', group, '-n', name, '--instance-id', '0', '-o', 'json'));
    const engineInstances = async () => {
      const socket = existsSync('/var/lib/incus/unix.socket')
        ? '/var/lib/incus/unix.socket'
        : '/var/lib/lxd/unix.socket';
      const project = `poolhouse-${(await installation.id()) ?? ''}`;
      const text = await must('curl', ['-s', '--unix-socket', socket, `http://d/1.0/instances?project=${project}`]);
      return (JSON.parse(text) as { metadata: string[] }).metadata
        .filter((path) => !path.includes('/seed-'))
        .toSorted();
    };

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'poolhouse-scripts-'));
      installation = await TestInstallation.make({ poolGiB: 30 });
      await installation.up();
      az = await installation.az('latest');
      azCompute = await installation.az('hybrid');
      await succeed(az('group', 'create', '-n', group, '-l', 'westeurope'));
    });
    afterAll(async () => {
      await installation.destroy();
      await rm(folder, { recursive: true, force: true });
    });

    it('a script that exits 1 fails its deployment, with what it said', async () => {
      const command = `echo "looking for SECRET"; echo "no licence was found" >&2; exit 1`;
      const failed = await deploy('exits', [{ name: 'exits', command }]);
      expectFailed(failed, 'DeploymentFailed', 'VMExtensionProvisioningError');
      expect(failed.stderr).toMatch(/extension 'setup' on instance 0/);
      expect(failed.stderr).toMatch(/exit status=1/);
      expect(failed.stderr).toMatch(/looking for \*\*\*.*no licence was found/);
      // As in Azure the set stays, to be looked at; nobody is sent there.
      const [instance] = (await installation.pool('exits')).instances;
      expect(instance).toMatchObject({ power: 'running', inRotation: false });
      const view = await instanceView('exits');
      expect(view).toContain('no licence was found');
      expect(view).not.toContain(hidden);
      await remove('exits');
      expect(await engineInstances()).toEqual([]);
    });

    describe('a script that never ends', () => {
      // One part of it leaves its session, as services do.
      const command = 'setsid sleep 987654 & sleep 987654; true';
      const sleeping = async (name: string) => {
        const { exitCode, stdout } = await inside(name, 'pgrep -fc "^sleep 98765[4]" || true');
        return exitCode === 0 ? Number(stdout) : -1;
      };
      const begun = (name: string) =>
        until(`the script of ${name} runs`, async () => ((await sleeping(name)) === 2 ? true : undefined));

      it('keeps its deployment active, which no other of that name may replace', async () => {
        await succeed(deploy('endless', [{ name: 'endless', command }], '--no-wait'));
        await begun('endless');
        const refused = await deploy('endless', []);
        expectFailed(refused, 'DeploymentActive');
        expect(refused.stderr).toMatch(/Unable to edit or replace deployment 'endless': .* is still active/);
        expect(refused.stderr).toMatch(/az deployment group cancel/);
        await succeed(deploy('beside', []));
        expect(await stateOf('endless')).toMatch(/Accepted|Running/);
      });

      it('ends with its deployment, and all that it started with it', async () => {
        await succeed(az('deployment', 'group', 'cancel', '-g', group, '-n', 'endless'));
        await until('the deployment is cancelled', async () =>
          (await stateOf('endless')) === 'Canceled' ? true : undefined,
        );
        await until('the script has ended', async () => ((await sleeping('endless')) === 0 ? true : undefined), 15_000);
        const view = await until('it is written down', async () => {
          const text = await instanceView('endless');
          return text.includes('was cancelled') ? text : undefined;
        });
        expect(view).toMatch(/the deployment was cancelled, and the script with it. Deploy again to run it/);
      });

      it('runs again when it is deployed again, and ends with its scale set', async () => {
        await succeed(deploy('again', [{ name: 'endless', command }], '--no-wait'));
        await begun('endless');
        await remove('endless');
        expect(await engineInstances()).toEqual([]);
        await until('the deployment has ended', async () => ((await stateOf('again')) === 'Failed' ? true : undefined));
      });

      it('is ended at its limit', async () => {
        const tags = { 'poolhouse-script-minutes': '0.1' };
        const failed = await deploy('late', [{ name: 'late', command, tags }]);
        expectFailed(failed, 'DeploymentFailed', 'VMExtensionProvisioningTimeout');
        expect(failed.stderr).toMatch(/extension 'setup' on instance 0 has timed out/);
        expect(failed.stderr).toMatch(/ran longer than 0.1 minutes and was ended.*tag 'poolhouse-script-minutes'/);
        expect(await sleeping('late')).toBe(0);
        await remove('late');
      });
    });

    it('a script that prints a gigabyte fills neither memory nor disk', async () => {
      const controlPid = (await installation.status()).control.pid;
      const status = async () => readFile(`/proc/${controlPid}/status`, 'utf8');
      const peak = (text: string) => Number(/VmHWM:\s+(\d+) kB/.exec(text)?.[1]) / 1_024;
      const before = peak(await status());
      const command = 'head -c 1G /dev/zero | tr "\\0" x; echo; echo "all is well"; echo "on the other side" >&2';
      await succeed(deploy('talks', [{ name: 'talks', command }]));
      expect(peak(await status()) - before).toBeLessThan(200);
      const view = await instanceView('talks');
      expect(view).toMatch(/x\\nall is well\\n\\n\[stderr\]\\non the other side/);
      expect(view.length).toBeLessThan(20_000);
      for (const name of await readdir(join(installation.home, 'logs')))
        expect((await stat(join(installation.home, 'logs', name))).size).toBeLessThan(2 ** 20);
      expect((await stat(join(installation.home, 'store.sqlite'))).size).toBeLessThan(16 * 2 ** 20);
      expect((await inside('talks', 'sudo du -sm --exclude=/proc --exclude=/sys /var /tmp /run')).stdout).not.toMatch(
        /^\d{4,}/m,
      );
      await remove('talks');
    });

    it('a wrong storage key fails the deployment although the script does not look', async () => {
      await succeed(az('storage', 'account', 'create', '-g', group, '-n', 'teamfiles', '-l', 'westeurope'));
      await succeed(az('storage', 'share-rm', 'create', '-g', group, '--storage-account', 'teamfiles', '-n', 'files'));
      const command =
        'mkdir -p /mnt/files; mount -t cifs //teamfiles.file.core.windows.net/files /mnt/files -o vers=3.0,username=teamfiles,password=SECRET; true';
      const failed = await deploy('wrongkey', [{ name: 'wrongkey', command }]);
      expectFailed(failed, 'DeploymentFailed', 'VMExtensionProvisioningError');
      expect(failed.stderr).toMatch(/mount of \/\/teamfiles\/files at \/mnt\/files was refused: .*key/);
      expect(failed.stderr).toMatch(/mount error\(13\): Permission denied/);
      expect((await inside('wrongkey', 'mountpoint /mnt/files')).stdout).toContain('is not a mountpoint');
      const [found] = (await installation.status()).pools.filter((one) => one.name === 'wrongkey');
      expect(found).toMatchObject({ shares: [], instances: [{ inRotation: false }] });
      expect(await readFile(join(installation.home, 'logs', 'control.log'), 'utf8')).not.toContain(hidden);
      await remove('wrongkey');
    });

    describe('a pool beyond the host', () => {
      const half = Math.ceil((totalmem() / 2 ** 30) * 0.6); // each a GiB
      it.each<[string, PoolParts[]]>([
        ['by itself', [{ name: 'small' }, { name: 'huge', capacity: 2 * half }]],
        [
          'together with another of its template',
          [
            { name: 'one', capacity: half },
            { name: 'two', capacity: half },
          ],
        ],
      ])('%s is refused before anything is made', async (_what, pools) => {
        const world = async () => [(await az('resource', 'list', '-o', 'json')).stdout, await engineInstances()];
        const before = await world();
        const refused = await deploy('beyond', pools);
        expectFailed(refused, 'InvalidTemplateDeployment', 'AllocationFailed');
        expect(refused.stderr).toMatch(/need \d+ GiB of memory, .*this host has \d+ GiB. Ask for fewer instances/);
        expect(await world()).toEqual(before);
        expect((await az('deployment', 'group', 'show', '-g', group, '-n', 'beyond')).stderr).toContain(
          'DeploymentNotFound',
        );
      });
    });

    describe('what is taken already', () => {
      const keyFile = (name: string) => join(folder, `${name}.key`);
      /** Those of this host; another installation's bridge may come and go meanwhile. */
      const routes = async () =>
        (await must('ip', ['-4', 'route', 'show', 'table', 'main']))
          .split('\n')
          .filter((line) => !/ dev ph[0-9a-f]{8}/.test(line))
          .join('\n');
      /** The network that this host itself is in, and who it is there. */
      let own: { prefix: string; gateway: string };
      let routesBefore: string;
      const wayOut = async () => must('ip', ['-4', 'route', 'get', own.gateway]);
      let wayOutBefore: string;

      beforeAll(async () => {
        for (const name of ['red', 'blue'])
          await must('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', keyFile(name)]);
        routesBefore = await routes();
        const [, gateway = '', device = ''] = /^default via (\S+) dev (\S+)/m.exec(routesBefore) ?? [];
        const [, prefix = ''] = new RegExp(`^(\\S+/\\d+) dev ${device} `, 'm').exec(routesBefore) ?? [];
        own = { prefix, gateway };
        expect(prefix).toMatch(/\/\d+$/);
        wayOutBefore = await wayOut();
        const parts = async (name: string) => ({ name, publicKey: await readFile(`${keyFile(name)}.pub`, 'utf8') });
        await succeed(deploy('taken', [{ ...(await parts('red')), prefix }, await parts('blue')]));
      });

      const enter = async (key: string, name: string, command: string) => {
        const options = ['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-o', 'BatchMode=yes'];
        const identity = ['-o', 'LogLevel=ERROR', '-o', 'IdentitiesOnly=yes', '-i', keyFile(key)];
        return run('ssh', [...options, ...identity, `${user}@${await addressOf(name)}`, command]);
      };

      it('the admin user of another pool: each is somebody else, and the key of one opens only that one', async () => {
        const [red, blue] = [await enter('red', 'red', 'id -u'), await enter('blue', 'blue', 'id -u')];
        expect([red.exitCode, blue.exitCode]).toEqual([0, 0]);
        expect(red.stdout).toMatch(/^2\d{4}\n$/);
        expect(blue.stdout).toMatch(/^2\d{4}\n$/);
        expect(red.stdout).not.toBe(blue.stdout);
        for (const [key, name] of [
          ['red', 'blue'],
          ['blue', 'red'],
        ] as const) {
          const refused = await enter(key, name, 'true');
          expect(refused.exitCode).toBe(255);
          expect(refused.stderr).toMatch(/Permission denied/);
        }
      });

      it('the network of the host: it stays in the document, and nobody’s way changes', async () => {
        const shown = JSON.parse(
          await succeed(
            az(
              'resource',
              'show',
              '-g',
              group,
              '-n',
              'red-net',
              '--resource-type',
              'Microsoft.Network/virtualNetworks',
            ),
          ),
        ) as { properties: { addressSpace: { addressPrefixes: string[] } } };
        expect(shown.properties.addressSpace.addressPrefixes).toEqual([own.prefix]);
        // Nothing of the host's leads elsewhere than before; what came is the instances' own network, beside it.
        expect(await wayOut()).toBe(wayOutBefore);
        for (const route of routesBefore.trim().split('\n')) expect(await routes()).toContain(route.trim());
        const taken = new BlockList();
        for (const route of routesBefore.split('\n')) {
          const [, network, bits] = /^([\d.]+)\/(\d+) dev (?!ph)/.exec(route) ?? [];
          if (network !== undefined) taken.addSubnet(network, Number(bits));
        }
        const instances = await Promise.all(['red', 'blue'].map(addressOf));
        expect(instances.map((address) => taken.check(address))).toEqual([false, false]);
        expect(new Set(instances).size).toBe(2);
        // From an instance the host's gateway is where it always was.
        expect((await enter('red', 'red', `ip route get ${own.gateway}`)).stdout).toMatch(/via .* dev eth0/);
      });
    });
  },
);
