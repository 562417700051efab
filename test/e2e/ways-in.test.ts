/** Others come to the files of a pool: by SMB with stock smbclient and rclone, by az, by NFS with libnfs, through the file server. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeFarMachine, type FarMachine } from './far-machine.ts';
import { missingForSystemTests, must, run, ssh, TestInstallation, until, type Result } from './installation.ts';
import { poolPassword, poolResources, poolUser } from './pool-resources.ts';
import { itServesAz } from './ways-in-by-az.ts';

const missing = await missingForSystemTests(['sshpass', 'nft', 'mmdebstrap', 'curl', 'smbclient', 'rclone', 'nfs-ls']);
const group = 'team';
const version = 'api-version=2022-09-01';

const account = (name: string) => ({
  type: 'Microsoft.Storage/storageAccounts',
  apiVersion: '2022-09-01',
  name,
  location: 'westeurope',
  kind: 'StorageV2',
  sku: { name: 'Standard_LRS' },
  properties: {},
});
const share = (of: string, name: string) => ({
  type: 'Microsoft.Storage/storageAccounts/fileServices/shares',
  apiVersion: '2022-09-01',
  name: `${of}/default/${name}`,
  dependsOn: [`[resourceId('Microsoft.Storage/storageAccounts', '${of}')]`],
  properties: { shareQuota: 1 },
});

describe.skipIf(missing !== undefined)(
  `the ways into shares${missing === undefined ? '' : ` (left out: ${missing})`}`,
  () => {
    let installation: TestInstallation;
    let far: FarMachine;
    let folder: string;
    let instance: string;
    /** The public address of the ways in. */
    let smb: string;
    let keys: { team: string[]; other: string[] };
    let engineProject: string;

    const keysOf = async (name: string, regenerate?: string) => {
      const arm = await installation.arm();
      const path = `/subscriptions/${arm.subscriptionId}/resourceGroups/${group}/providers/Microsoft.Storage/storageAccounts/${name}`;
      const { body } = await (regenerate === undefined
        ? arm.send('POST', `${path}/listKeys?${version}`)
        : arm.send('POST', `${path}/regenerateKey?${version}`, { keyName: regenerate }));
      return (body as unknown as { keys: { value: string }[] }).keys.map(({ value }) => value);
    };
    const client = (user: string, key: string, share_: string, command: string, options: string[] = []) =>
      run('smbclient', ['-m', 'SMB3', ...options, '-U', user, `//${smb}/${share_}`, '-c', command], {
        env: { ...process.env, PASSWD: key },
        cwd: folder,
        timeoutMs: 60_000,
      });
    const team = (command: string, key = keys.team[0] ?? '') => client('team', key, 'shared', command);
    const inside = (command: string) => ssh(poolPassword, poolUser, instance, `sudo bash -c '${command}'`);
    const said = ({ stdout, stderr }: Result) => stdout + stderr;
    const engine = (...argv: string[]) => {
      const socket = ['/var/lib/incus/unix.socket', '/var/lib/lxd/unix.socket'].find((one) => existsSync(one)) ?? '';
      return must('curl', ['-s', '--unix-socket', socket, ...argv]);
    };
    /** Of the file server, behind our back. */
    const setState = (action: string) => {
      const words = JSON.stringify({ action, force: true, timeout: 30 });
      const url = `http://d/1.0/instances/fileserver/state?project=${engineProject}`;
      return engine('-X', 'PUT', '-d', words, '-H', 'content-type: application/json', url);
    };
    const served = () =>
      until('SMB is served', async () => ((await team('ls')).exitCode === 0 ? true : undefined), 180_000);

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'poolhouse-ways-'));
      far = await makeFarMachine('ways');
      // The last of the operator's addresses is that of the ways in.
      installation = await TestInstallation.make({
        poolGiB: 20,
        smb: true,
        publicAddresses: ['127.0.0.1', far.hostAddress],
        nfs: [{ share: 'team/shared', clients: [`${far.hostAddress.replace(/1$/, '2')}/32`] }],
      });
      await installation.up();
      const key = "listKeys(resourceId('Microsoft.Storage/storageAccounts', 'team'), '2022-09-01').keys[0].value";
      const options = `-o vers=3.0,username=team,password=KEY,dir_mode=0777,file_mode=0777`;
      const template = JSON.stringify({
        $schema: 'https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#',
        contentVersion: '1.0.0.0',
        resources: [
          ...[account('team'), share('team', 'shared')],
          ...[account('other'), share('other', 'shared'), share('other', 'private')],
          ...poolResources({
            name: 'blue',
            natPorts: true,
            command: `mkdir -p /mnt/shared && mount -t cifs //team.file.core.windows.net/shared /mnt/shared ${options}`,
            dependsOn: [
              "[resourceId('Microsoft.Storage/storageAccounts/fileServices/shares', 'team', 'default', 'shared')]",
            ],
          }),
        ],
      }).replace('KEY', `', ${key}, '`);
      await writeFile(join(folder, 'template.json'), template);
      await installation.mustPoolhouse('deploy', '-g', group, '-f', join(folder, 'template.json'));
      keys = { team: await keysOf('team'), other: await keysOf('other') };
      instance = (await installation.pool('blue')).instances[0]?.address ?? '';
      engineProject = `poolhouse-${(await installation.id()) ?? ''}`;
      const status = await until(
        'the file server runs',
        async () => {
          const { fileServer } = await installation.status();
          return fileServer?.state === 'running' ? fileServer : undefined;
        },
        300_000,
      );
      smb = /^\/\/([^/]+)\/shared$/.exec(status.smb[0]?.path ?? '')?.[1] ?? '';
      await inside('mkdir -m 0700 /mnt/shared/hers && chown 10042:10042 /mnt/shared/hers');
      await inside('mkdir -m 0777 /mnt/shared/open && echo by nfs > /mnt/shared/open/note');
      await writeFile(join(folder, 'mine'), 'of mine');
      await served();
    });
    afterAll(async () => {
      await installation.destroy();
      await far.remove();
      await rm(folder, { recursive: true, force: true });
    });

    it('tells where they are, and counts the file server among no pool', async () => {
      const status = await installation.status();
      expect(smb).toBe(far.hostAddress);
      expect(status.fileServer?.smb.map(({ path, account: of }) => `${of} ${path}`).toSorted()).toEqual([
        `other //${smb}/private`,
        `other //${smb}/shared`,
        `team //${smb}/shared`,
      ]);
      expect(status.fileServer?.nfs).toMatchObject([{ source: `${smb}:/team/shared` }]);
      expect(status.pools.flatMap(({ instances }) => instances)).toHaveLength(1);
      expect(await installation.mustPoolhouse('status')).toMatch(/file server: running[^]*SMB +\/\/.*\/shared/);
      expect(status.control.reasons).toEqual([]);
    });

    it('lets in who has a key of the account, as Azure does, and nobody else', async () => {
      const [key1 = '', key2 = ''] = keys.team;
      expect(said(await client('AZURE\\team', key1, 'shared', 'ls'))).toContain('blocks');
      expect(said(await client('team.key2', key2, 'shared', 'ls'))).toContain('blocks');
      for (const [user, key] of [
        ['team', key2],
        ['team', keys.other[0] ?? ''],
        ['team', ''],
        ['nobody', ''],
        ['root', key1],
      ] as const)
        expect(said(await client(user, key, 'shared', 'ls')), user).toMatch(
          /NT_STATUS_(LOGON_FAILURE|ACCESS_DENIED|BAD_NETWORK_NAME)/,
        );
      expect((await client('other', keys.other[0] ?? '', 'private', 'ls')).exitCode).toBe(0);
      expect(said(await team('ls').then(() => client('team', key1, 'private', 'ls')))).toMatch(
        /NT_STATUS_(BAD_NETWORK_NAME|ACCESS_DENIED)/,
      );
      // Two accounts have a share of this name: each its own.
      expect(said(await client('other', keys.other[0] ?? '', 'shared', 'put mine'))).not.toContain('NT_STATUS');
      expect(said(await team('ls'))).not.toContain('mine');
      // Before SMB 3 nothing is encrypted.
      expect(
        said(
          await run('smbclient', ['-m', 'SMB2_10', '-U', 'team', `//${smb}/shared`, '-c', 'ls'], {
            env: { ...process.env, PASSWD: key1 },
          }),
        ),
      ).toContain('NT_STATUS');
    });

    it('shows the same files as an instance, with the owner that the folder has', async () => {
      const content = randomBytes(64 * 2 ** 20);
      await writeFile(join(folder, 'large'), content);
      const sum = createHash('sha256').update(content).digest('hex');
      expect(said(await team('cd hers; put large; mkdir below; get large back'))).not.toContain('NT_STATUS');
      expect((await run('cmp', ['large', 'back'], { cwd: folder })).exitCode).toBe(0);
      const seen = await inside('cd /mnt/shared/hers && stat -c "%n %u %a" large below && sha256sum large');
      expect(seen.stdout.split('\n')).toEqual(
        expect.arrayContaining(['large 10042 600', 'below 10042 700', `${sum}  large`]),
      );
      await inside('echo changed inside > /mnt/shared/hers/note');
      expect(said(await team('get hers/note -'))).toContain('changed inside');
    });

    it('follows no link', async () => {
      await inside('cd /mnt/shared && ln -s /etc/passwd file-link && ln -s /etc folder-link && ln -s ../../other up');
      for (const command of ['get file-link stolen', 'get folder-link/passwd stolen', 'ls up/*', 'put mine file-link'])
        expect(said(await team(command)), command).toContain('NT_STATUS');
      expect((await inside('readlink /mnt/shared/file-link')).stdout).toBe('/etc/passwd\n');
    });

    it('serves rclone', async () => {
      await must('mkdir', ['-p', join(folder, 'tree/deep')]);
      await writeFile(join(folder, 'tree/one'), 'one');
      await writeFile(join(folder, 'tree/deep/two'), randomBytes(100_000));
      const pass = (await must('rclone', ['obscure', '-'], { input: keys.team[0] ?? '' })).trim();
      const env = { ...process.env, RCLONE_SMB_HOST: smb, RCLONE_SMB_USER: 'team', RCLONE_SMB_PASS: pass };
      for (const verb of ['copy', 'check'])
        await must('rclone', [verb, join(folder, 'tree'), ':smb:shared/tree'], { env });
      expect((await inside('cat /mnt/shared/tree/one')).stdout).toBe('one');
    });

    itServesAz(() => ({ installation, folder, inside, smb: team, stopFileServer: () => setState('stop') }));

    it('exports by NFS to whom it is exported, and to nobody else', async () => {
      const at = (path: string, more = '') => `nfs://${smb}/team/shared/open${path}?version=4${more}`;
      await until('NFS is served', async () =>
        (await far.run('nfs-ls', [at('')])).stdout.includes('note') ? true : undefined,
      );
      expect((await far.run('nfs-cat', [at('/note')])).stdout).toBe('by nfs\n');
      await writeFile(join(folder, 'small'), 'from far away');
      const copied = await far.run('nfs-cp', [join(folder, 'small'), at('/small', '&uid=10042&gid=10042')]);
      expect(copied.exitCode, said(copied)).toBe(0);
      // Who is root there is nobody here, and so is who has a number that there is not.
      await far.run('nfs-cp', [join(folder, 'small'), at('/of-root', '&uid=0&gid=0')]);
      await far.run('nfs-cp', [join(folder, 'small'), at('/of-none', '&uid=4000000000&gid=4000000000')]);
      const owners = await inside('cd /mnt/shared/open && stat -c "%n %u" * && cat small');
      expect(owners.stdout.split('\n')).toEqual(
        expect.arrayContaining(['small 10042', 'of-root 65534', 'of-none 65534', 'from far away']),
      );
      expect(
        (await far.run('nfs-cat', [`nfs://${smb}/team/shared/hers/note?version=4&uid=10043&gid=10043`])).exitCode,
      ).not.toBe(0);
      // This host is not among the clients, neither at the public address nor at the file server's own.
      const own = (await installation.status()).fileServer?.address ?? '';
      for (const address of [smb, own])
        expect(
          (await run('timeout', ['5', 'nfs-ls', `nfs://${address}/team/shared?version=4`])).exitCode,
          address,
        ).not.toBe(0);
    });

    it('is closed to instances, and reaches nobody itself', async () => {
      const own = (await installation.status()).fileServer?.address ?? '';
      const tries = [own, smb].flatMap((address) =>
        [445, 2049].map(
          (port) => `timeout 2 bash -c "exec 3<>/dev/tcp/${address}/${port}" && echo open ${address}:${port}`,
        ),
      );
      expect((await inside(`${tries.join('; ')}; true`)).stdout).toBe('');
    });

    it('takes a new key at once, and lets go on who came with the old one', async () => {
      const [old = ''] = keys.team;
      // It comes in, tells so, and goes on when it is told to.
      await writeFile(join(folder, 'wait'), 'touch came; until [ -e go-on ]; do sleep 0.1; done\n');
      const going = run('smbclient', ['-m', 'SMB3', '-U', 'team', `//${smb}/shared`], {
        env: { ...process.env, PASSWD: old },
        cwd: folder,
        input: 'ls\n!sh wait\nput mine after\nls after\n',
      });
      await until('the session is there', () => Promise.resolve(existsSync(join(folder, 'came')) ? true : undefined));
      keys.team = await keysOf('team', 'key1');
      await until('the new key counts', async () => ((await team('ls')).exitCode === 0 ? true : undefined), 20_000);
      expect(said(await team('ls', old))).toContain('NT_STATUS_LOGON_FAILURE');
      await writeFile(join(folder, 'go-on'), '');
      expect(said(await going)).toMatch(/after +[NA]/);
    });

    it('is there again when Samba is killed, and when the file server is stopped or deleted', async () => {
      const exec = (...argv: string[]) =>
        engine(
          ...['-X', 'POST', '-d', JSON.stringify({ command: argv }), '-H', 'content-type: application/json'],
          `http://d/1.0/instances/fileserver/exec?project=${engineProject}`,
        );
      await exec('pkill', '-9', 'smbd');
      await served();
      // Back within a second or two: its first process tells that it is another life.
      const life = async () => {
        const answer = await engine(`http://d/1.0/instances/fileserver/state?project=${engineProject}`);
        return /"pid":(\d+)/.exec(answer)?.[1] ?? '0';
      };
      const first = await life();
      await setState('stop');
      const second = await until('it was started again', async () => {
        const pid = await life();
        return pid !== '0' && pid !== first ? pid : undefined;
      });
      await served();
      await until('it was deleted', async () => {
        await setState('stop');
        const answer = await engine('-X', 'DELETE', `http://d/1.0/instances/fileserver?project=${engineProject}`);
        return /"type":"async"|not found/i.test(answer) ? true : undefined;
      });
      await until('there is another one', async () => {
        const pid = await life();
        return pid !== '0' && pid !== second ? true : undefined;
      });
      await served();
      expect(said(await team('ls'))).toContain('hers');
      expect(said(await far.run('nfs-ls', [`nfs://${smb}/team/shared/open?version=4`]))).toContain('note');
    });

    it('shows a share that came, and not one that went', async () => {
      const arm = await installation.arm();
      const path = `/subscriptions/${arm.subscriptionId}/resourceGroups/${group}/providers/Microsoft.Storage/storageAccounts/other/fileServices/default/shares`;
      await arm.send('PUT', `${path}/fresh?${version}`, { properties: { shareQuota: 1 } });
      const asOther = (name: string) => client('other', keys.other[0] ?? '', name, 'ls');
      await until('it is served', async () => ((await asOther('fresh')).exitCode === 0 ? true : undefined));
      await arm.send('DELETE', `${path}/private?${version}`);
      await until('it is gone', async () =>
        said(await asOther('private')).includes('NT_STATUS_BAD_NETWORK_NAME') ? true : undefined,
      );
      expect((await asOther('shared')).exitCode).toBe(0);
    });
  },
);
