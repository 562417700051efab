/**
 * The mission: the published template, unmodified, sent by the real az, becomes machines that people reach by one
 * address, with the same files on each. From nothing to nothing.
 */
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { insideInstance } from './inside-instance.ts';
import { missingForSystemTests, must, repository, ssh, TestInstallation, until, type Result } from './installation.ts';
import { JupyterClient } from './jupyter-client.ts';

const fixtures = join(repository, '..', 'shared', 'fixtures', 'templates');
const missing = existsSync(join(fixtures, 'dsvm-vmss-cluster.json'))
  ? await missingForSystemTests(['az', 'sshpass', 'nft', 'mmdebstrap', 'curl'])
  : 'the published templates are not beside this checkout';
const password = 'Correct-Horse-7';
const user = 'dsvmuser';
const group = 'team';

/** What the published script does, written anew: it checks no exit code either. */
const mountScript = `#!/bin/bash
mkdir -p "$4"
mount -t cifs "//$1.file.core.windows.net/$3" "$4" -o "vers=3.0,username=$1,password=$2,dir_mode=0777,file_mode=0777"
ln -s "$4" "/home/$5/$(basename "$4")"
ln -s "$4/notebooks/$5" "/home/$5/notebooks/remote"
`;

describe.skipIf(missing !== undefined)(
  `the published template${missing === undefined ? '' : ` (left out: ${missing})`}`,
  () => {
    let installation: TestInstallation;
    let files: Server;
    let folder: string;
    let az: (...argv: string[]) => Promise<Result>;
    let azCompute: (...argv: string[]) => Promise<Result>;
    let key: string;
    let address: string;
    /** Where the front door leads the user. */
    let own = '';

    const succeed = async (asked: Promise<Result>): Promise<string> => {
      const result = await asked;
      expect(result, result.stderr).toMatchObject({ exitCode: 0 });
      return result.stdout;
    };
    const template = () => `http://127.0.0.1:${(files.address() as AddressInfo).port}/dsvm-vmss-cluster.json`;
    const atTheDoor = (command: string) => ssh(password, user, address, command);
    const inside = (hostname: string, command: string) => insideInstance(installation, hostname, user, command);
    const engine = async (path: string) =>
      must('curl', [
        '-s',
        '--unix-socket',
        existsSync('/var/lib/incus/unix.socket') ? '/var/lib/incus/unix.socket' : '/var/lib/lxd/unix.socket',
        `http://daemon${path}`,
      ]);

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'poolhouse-files-'));
      await mkdir(join(folder, 'mirror'));
      await writeFile(join(folder, 'mirror', 'mountazurefiles.sh'), mountScript);
      await copyFile(join(fixtures, 'dsvm-vmss-cluster.json'), join(folder, 'dsvm-vmss-cluster.json'));
      files = createServer((request, response) => {
        readFile(join(folder, request.url === '/dsvm-vmss-cluster.json' ? 'dsvm-vmss-cluster.json' : 'nothing')).then(
          (text) => response.end(text),
          () => response.writeHead(404).end(),
        );
      });
      await new Promise<void>((resolve) => files.listen(0, '127.0.0.1', resolve));
      installation = await TestInstallation.make({
        mirrors: {
          'https://raw.githubusercontent.com/Azure/DataScienceVM/master/Extensions/General/': join(folder, 'mirror'),
        },
        fetchAllow: [`127.0.0.1:${(files.address() as AddressInfo).port}`],
        poolGiB: 30,
      });
      await installation.mustPoolhouse('up');
      az = await installation.az('latest');
      azCompute = await installation.az('hybrid');
    });

    afterAll(async () => {
      files.close();
      await installation.destroy();
      await rm(folder, { recursive: true, force: true });
    });

    it('changes nothing and takes no time when it is brought up again', async () => {
      const before = await installation.status();
      const started = Date.now();
      await installation.mustPoolhouse('up');
      expect(Date.now() - started).toBeLessThan(5_000); // a promise to users, not a measurement
      expect((await installation.status()).control.pid).toBe(before.control.pid);
    });

    it('has a share before there is a pool', async () => {
      await succeed(az('group', 'create', '-n', group, '-l', 'westeurope'));
      await succeed(
        az('storage', 'account', 'create', '-g', group, '-n', 'teamfiles', '-l', 'westeurope', '--sku', 'Standard_LRS'),
      );
      await succeed(
        az(
          'storage',
          'share-rm',
          'create',
          '-g',
          group,
          '--storage-account',
          'teamfiles',
          '-n',
          'dsvmshare',
          '--quota',
          '5',
        ),
      );
      key = (
        await succeed(
          az('storage', 'account', 'keys', 'list', '-g', group, '-n', 'teamfiles', '--query', '[0].value', '-o', 'tsv'),
        )
      ).trim();
      expect(Buffer.from(key, 'base64')).toHaveLength(64);
    });

    it('becomes two machines in rotation, from its URI', async () => {
      const printed = await succeed(
        az(
          'group',
          'deployment',
          'create',
          '--resource-group',
          group,
          '--template-uri',
          template(),
          '--parameters',
          `@${join(fixtures, 'dsvm-vmss-cluster.parameters.json')}`,
          `storageAccountKey=${key}`,
          '-o',
          'json',
        ),
      );
      expect(JSON.parse(printed)).toMatchObject({ properties: { provisioningState: 'Succeeded' } });
      expect(printed).not.toContain(key);
      const pool = await installation.pool('teampool');
      expect(pool.instances.map((instance) => [instance.name, instance.power, instance.inRotation])).toEqual([
        ['teampool000000', 'running', true],
        ['teampool000001', 'running', true],
      ]);
      expect(pool.frontEnds.map((one) => [one.rule, one.port, one.backendPort, one.instancesInRotation])).toEqual([
        ['Jupyter', 8000, 8000, 2],
        ['SSH', 22, 22, 2],
      ]);
      expect(pool.shares).toEqual([{ account: 'teamfiles', share: 'dsvmshare', mountPoint: '/mnt/dsvmshare' }]);
      address = pool.frontEnds[0]?.address ?? '';
    });

    it('changes nothing when it is deployed again, from a file and with an inline override', async () => {
      await succeed(
        az(
          'deployment',
          'group',
          'create',
          '-g',
          group,
          '-n',
          'again',
          '--template-file',
          join(fixtures, 'dsvm-vmss-cluster.json'),
          '--parameters',
          `@${join(fixtures, 'dsvm-vmss-cluster.parameters.json')}`,
          `storageAccountKey=${key}`,
          'instanceCount=2',
        ),
      );
      expect((await installation.pool('teampool')).instances.map((instance) => instance.instanceId)).toEqual([
        '0',
        '1',
      ]);
    });

    it('lets the user in by the one address, to their own machine, with the same files on both', async () => {
      own = (await atTheDoor('hostname')).stdout.trim();
      const both = ['teampool000000', 'teampool000001'];
      const other = both.find((name) => name !== own) ?? '';
      expect(both).toContain(own);
      const there = await atTheDoor(
        'hostname; ls -d ~/dsvmshare/. ~/notebooks/remote/. && echo "from one" > ~/notebooks/remote/note && sudo -n id -un',
      );
      expect(there, there.stderr).toMatchObject({ exitCode: 0 });
      expect(there.stdout.trim().split('\n')).toEqual(expect.arrayContaining([own, 'root']));
      expect((await inside(other, 'cat ~/notebooks/remote/note; stat -c %U ~/notebooks/remote/note')).stdout).toBe(
        `from one\n${user}\n`,
      );
      const mounted = await inside(other, 'grep " /mnt/dsvmshare " /proc/self/mountinfo');
      expect(mounted.stdout).toMatch(/nosuid,nodev/);
    });

    it('keeps the storage key out of the instances, the answers and the logs', async () => {
      // By standard input: sudo writes the commands that it is given into the journal.
      const search = `grep -rlF '${key.slice(0, 40)}' /etc /home /opt /root /run /tmp /usr/local /var 2>/dev/null; true\n`;
      const inside = await ssh(password, user, address, 'sudo bash -s', [], search);
      expect(inside).toMatchObject({ exitCode: 0, stdout: '' });
      for (const asked of [
        azCompute('vmss', 'show', '-g', group, '-n', 'teampool'),
        azCompute('vmss', 'get-instance-view', '-g', group, '-n', 'teampool', '--instance-id', '0'),
        az('deployment', 'operation', 'group', 'list', '-g', group, '-n', 'again'),
        az('deployment', 'group', 'show', '-g', group, '-n', 'again'),
      ]) {
        const printed = await succeed(asked);
        expect(printed).not.toContain(key);
        expect(printed).not.toContain(password);
      }
      for (const name of ['control.log', 'gateway.log']) {
        const log = await readFile(join(installation.home, 'logs', name), 'utf8');
        expect(log).not.toContain(key);
        expect(log).not.toContain(password);
      }
      expect((await readFile(join(installation.home, 'store.sqlite'))).includes(key)).toBe(false);
    });

    it('mounts again after an unmount, refuses a wrong key with the exit code of mount, and stays over a reboot', async () => {
      const wrong = await atTheDoor(
        `sudo mkdir -p /mnt/other; sudo mount -t cifs //teamfiles.file.core.windows.net/dsvmshare /mnt/other -o username=teamfiles,password=wrong; echo "exit $?"`,
      );
      expect(wrong.stdout).toContain('exit 32');
      expect(wrong.stderr).toMatch(/mount error\(13\): Permission denied/);
      expect(await readFile(join(installation.home, 'logs', 'control.log'), 'utf8')).toMatch(/mount refused/);
      const again = await atTheDoor(
        `sudo umount /mnt/dsvmshare && ! mountpoint -q /mnt/dsvmshare && sudo mount -t cifs //teamfiles.file.core.windows.net/dsvmshare /mnt/dsvmshare -o username=teamfiles,password=${key} && cat ~/dsvmshare/notebooks/${user}/note`,
      );
      expect(again.stdout, again.stderr).toBe('from one\n');

      // When the first process was started, in the kernel's ticks, tells one boot from another.
      const boot = 'cut -d " " -f 22 /proc/1/stat';
      own = (await atTheDoor('hostname')).stdout.trim();
      const before = (await inside(own, boot)).stdout;
      await inside(own, 'sudo systemctl reboot');
      await until('the instance is back with a new boot, and the share', async () => {
        const back = await inside(own, `${boot}; cat ~/dsvmshare/notebooks/${user}/note`).catch(() => undefined);
        return back?.stdout.endsWith('\nfrom one\n') === true && !back.stdout.startsWith(before) ? true : undefined;
      });
    });

    it('signs people in at the front door, once for JupyterHub too, and runs their cells', async () => {
      const source = '127.0.0.1';
      const plain = await must('curl', [
        '-s',
        '-o',
        '/dev/null',
        '-w',
        '%{http_code} %{redirect_url}',
        `http://${address}:8000/hub/login`,
      ]);
      expect(plain).toBe(`308 https://${address}:8000/hub/login`);
      const browser = new JupyterClient(address, source);
      const page = await until('the sign-in page', async () => {
        const reply = await browser.visit('/hub/login').catch(() => undefined);
        return reply?.status === 200 ? reply : undefined;
      });
      expect(page.text).toMatch(/password/i);
      expect((await new JupyterClient(address, source).signIn(user, 'not-the-password')).text).toContain(
        'The name or the password is not right.',
      );
      expect((await browser.signIn(user, password)).status).toBe(303);
      await browser.startServer(user).catch(async (error: unknown) => {
        const log = await inside(own, 'sudo journalctl -u jupyterhub -n 60 --no-pager');
        throw new Error(log.stdout, { cause: error });
      });
      expect(
        (
          await browser.runCell(
            user,
            'import numpy, pandas, matplotlib, sklearn; print(6 * 7, open("notebooks/remote/note").read().strip())',
          )
        ).trim(),
      ).toBe('42 from one');
    });

    it('grows to three and shrinks to one, without hurting what stays', async () => {
      await succeed(azCompute('vmss', 'scale', '-g', group, '-n', 'teampool', '--new-capacity', '3'));
      const grown = await installation.pool('teampool');
      expect(grown.instances.filter((instance) => instance.inRotation)).toHaveLength(3);
      await succeed(azCompute('vmss', 'scale', '-g', group, '-n', 'teampool', '--new-capacity', '1'));
      const listed = JSON.parse(
        await succeed(azCompute('vmss', 'list-instances', '-g', group, '-n', 'teampool', '-o', 'json')),
      ) as { instanceId: string; provisioningState: string }[];
      // The one where somebody's notebook server runs, if any: else Azure's order would leave the first.
      expect(listed.map((instance) => instance.provisioningState)).toEqual(['Succeeded']);
      const [{ instanceId: kept } = { instanceId: '' }] = listed;
      expect(['0', '1']).toContain(kept);
      expect((await installation.pool('teampool')).capacity).toBe(1);
      // Ids are never used again.
      await succeed(azCompute('vmss', 'scale', '-g', group, '-n', 'teampool', '--new-capacity', '2'));
      expect((await installation.pool('teampool')).instances.map((instance) => instance.instanceId)).toEqual([
        kept,
        '3',
      ]);
    });

    it('is gone when its group is deleted', async () => {
      await succeed(az('group', 'delete', '-n', group, '--yes'));
      expect((await installation.status()).pools).toEqual([]);
      const project = `poolhouse-${(await installation.id()) ?? ''}`;
      const instances = JSON.parse(await engine(`/1.0/instances?project=${project}`)) as { metadata: string[] };
      expect(instances.metadata.filter((path) => !path.includes('/seed-'))).toEqual([]);
      const volumes = JSON.parse(
        await engine(`/1.0/storage-pools/${project}-shares/volumes/custom?project=${project}`),
      ) as { metadata: string[] };
      expect(volumes.metadata).toEqual([]);
      expect(
        await must('nft', ['list', 'table', 'inet', `poolhouse_${(await installation.id()) ?? ''}`]),
      ).not.toContain('elements');
    });
  },
);
