/** The third way into shares, beside SMB and NFS: the real az on the real file server. Part of `ways-in.test.ts`, whose installation it uses. */
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { must, run, until, type Result, type TestInstallation } from './installation.ts';

export interface WaysInGround {
  installation: TestInstallation;
  folder: string;
  /** As somebody with sudo on an instance that has `team/shared` at `/mnt/shared`. */
  inside: (command: string) => Promise<Result>;
  /** smbclient on `team/shared`. */
  smb: (command: string) => Promise<Result>;
  stopFileServer: () => Promise<unknown>;
}

const hasAz = (await run('sh', ['-c', 'command -v az'])).exitCode === 0;
const oddName = 'odd ä +%#&/two %41.txt';

export function itServesAz(ground: () => WaysInGround): void {
  let variables: Promise<Record<string, string>> | undefined;
  const az = async (argv: readonly string[], connection?: string): Promise<Result> => {
    const { installation } = ground();
    variables ??= installation
      .mustPoolhouse('az-env', '--profile', 'latest', '--json')
      .then((text) => JSON.parse(text) as Record<string, string>);
    const more = connection === undefined ? {} : { AZURE_STORAGE_CONNECTION_STRING: connection };
    const env = { ...process.env, ...(await variables), ...more };
    return run('az', [...argv, '-o', 'json'], { env, timeoutMs: 180_000 });
  };
  const connectionString = async (): Promise<string> => {
    const { stdout } = await az(['storage', 'account', 'show-connection-string', '-g', 'team', '-n', 'team']);
    return (JSON.parse(stdout) as { connectionString: string }).connectionString;
  };
  /** Of az's storage commands, which have to succeed. */
  const storage = async (connection: string, ...argv: string[]): Promise<unknown> => {
    const { exitCode, stdout, stderr } = await az(['storage', ...argv], connection);
    if (exitCode !== 0) throw new Error(`az storage ${argv.join(' ')}: ${stderr}`);
    return stdout.trim() === '' ? undefined : (JSON.parse(stdout) as unknown);
  };

  it.skipIf(!hasAz)(
    'serves az: whole folders, snapshots, signatures; what comes is theirs whose folder it is',
    async () => {
      const { installation, folder, inside, smb } = ground();
      await writeFile(join(folder, 'alice.pub'), aliceKey);
      await installation.mustPoolhouse('users', 'add', 'alice', '--ssh-key', join(folder, 'alice.pub'));
      await until('she has her workspace', async () =>
        (await inside('test -d /mnt/shared/notebooks/alice')).exitCode === 0 ? true : undefined,
      );
      const connection = await connectionString();
      const [tree, back] = [join(folder, 'by-az'), join(folder, 'back-by-az')];
      const files: Record<string, Buffer> = { 'one.txt': Buffer.from('one'), 'deep/large.bin': randomBytes(4 * 2 ** 20 + 1), empty: Buffer.alloc(0), [oddName]: Buffer.from('two') }; // prettier-ignore
      for (const [name, content] of Object.entries(files)) {
        await mkdir(join(tree, name, '..'), { recursive: true });
        await writeFile(join(tree, name), content);
      }
      const theirs = ['--destination-path', 'notebooks/alice/data'];
      await storage(connection, 'directory', 'create', '-s', 'shared', '-n', 'notebooks/alice/data');
      await storage(connection, 'file', 'upload-batch', '-d', 'shared', '-s', tree, ...theirs);

      const found = await inside('cd /mnt/shared/notebooks/alice/data && find . -printf "%P %y %U %m\\n" && sha256sum deep/large.bin'); // prettier-ignore
      expect(found.stdout.split('\n')).toEqual(
        expect.arrayContaining([
          ' d 10000 700',
          'deep d 10000 700',
          'empty f 10000 600',
          `${oddName} f 10000 600`,
          `${createHash('sha256')
            .update(files['deep/large.bin'] ?? '')
            .digest('hex')}  deep/large.bin`,
        ]),
      );
      expect((await smb(`get "notebooks/alice/data/${oddName}" -`)).stdout).toContain('two');
      expect(await storage(connection, 'file', 'list', '-s', 'shared', '-p', 'notebooks/alice/data')).toMatchObject([
        { name: 'deep', type: 'dir' },
        { name: 'odd ä +%#&', type: 'dir' },
        { name: 'empty', properties: { contentLength: 0 } },
        { name: 'one.txt', properties: { contentLength: 3 } },
      ]);

      const { snapshot } = (await storage(connection, 'share', 'snapshot', '-n', 'shared')) as { snapshot: string };
      const source = /FileEndpoint=([^;]+)/.exec(connection)?.[1] ?? '';
      await storage(connection, 'file', 'copy', 'start', '-s', 'shared', '-p', 'notebooks/alice/copied.txt', '--source-uri', `${source}shared/notebooks/alice/data/one.txt`); // prettier-ignore
      expect((await inside('stat -c %U:%u /mnt/shared/notebooks/alice/copied.txt')).stdout).toBe('alice:10000\n');
      await inside('echo changed > /mnt/shared/notebooks/alice/data/one.txt');
      await storage(connection, 'file', 'delete-batch', '-s', 'shared/notebooks/alice/data', '--pattern', '*two*');
      expect((await smb(`get "notebooks/alice/data/${oddName}" -`)).stdout).toContain('NOT_FOUND');
      await mkdir(back);
      await storage(connection, 'file', 'download-batch', '-s', 'shared/notebooks/alice/data', '-d', back, '--snapshot', snapshot); // prettier-ignore
      await must('diff', ['-r', tree, back]);
      await storage(connection, 'share', 'delete', '-n', 'shared', '--snapshot', snapshot);

      const inAnHour = new Date(Date.now() + 3_600_000).toISOString().replace(/\.\d+Z/, 'Z');
      const sas = await storage(connection, 'share', 'generate-sas', '-n', 'shared', '--permissions', 'rl', '--expiry', inAnHour); // prettier-ignore
      const signed = `FileEndpoint=${source};SharedAccessSignature=${String(sas)}`;
      const one = ['-s', 'shared', '-p', 'notebooks/alice/data/one.txt'];
      await storage(signed, 'file', 'download', ...one, '--dest', join(folder, 'signed'));
      await must('grep', ['-qx', 'changed', join(folder, 'signed')]);
      expect((await az(['storage', 'file', 'delete', ...one], signed)).stderr).toContain('AuthorizationPermissionMismatch'); // prettier-ignore
    },
  );

  it.skipIf(!hasAz)('refuses az what a workspace has no room for, in words, and then goes on', async () => {
    const { installation, folder, inside } = ground();
    const connection = await connectionString();
    await installation.mustPoolhouse('users', 'set', 'alice', '--quota', '8MiB');
    await writeFile(join(folder, 'sixteen.bin'), randomBytes(16 * 2 ** 20));
    const argv = ['storage', 'file', 'upload', '-s', 'shared', '--source', join(folder, 'sixteen.bin'), '-p', 'notebooks/alice/sixteen.bin']; // prettier-ignore
    const refused = await until('the quota holds', async () => {
      const result = await az(argv, connection);
      return result.exitCode === 0 ? undefined : result;
    });
    expect(refused.stderr).toMatch(/disk quota is exceeded[^]*ShareSizeLimitReached/);
    await installation.mustPoolhouse('users', 'set', 'alice', '--quota', 'none');
    await until('there is room', async () => ((await az(argv, connection)).exitCode === 0 ? true : undefined));
    expect((await inside('stat -c %s /mnt/shared/notebooks/alice/sixteen.bin')).stdout).toBe(`${16 * 2 ** 20}\n`);
  });

  it.skipIf(!hasAz)('brings a file up whole though the file server is killed meanwhile', async () => {
    const { folder, inside, stopFileServer } = ground();
    const connection = await connectionString();
    const local = join(folder, 'long.bin');
    await must('dd', ['if=/dev/urandom', `of=${local}`, 'bs=1M', 'count=256', 'status=none']);
    const going = az(['storage', 'file', 'upload', '-s', 'shared', '--source', local, '-p', 'long.bin', '--max-connections', '1'], connection); // prettier-ignore
    await until('a part of it is there', async () =>
      Number((await inside('du -m /mnt/shared/long.bin | cut -f1')).stdout) > 8 ? true : undefined,
    );
    await stopFileServer();
    const result = await going;
    expect(result.exitCode, result.stderr).toBe(0);
    const sum = createHash('sha256');
    for await (const chunk of createReadStream(local)) sum.update(chunk as Buffer);
    expect((await inside('sha256sum < /mnt/shared/long.bin')).stdout).toBe(`${sum.digest('hex')}  -\n`);
    await inside('rm /mnt/shared/long.bin');
  });
}

const aliceKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKZ0dqOPMA8xJT4Nr8tqV0Z9EEiOTjFCgZxT1n8PVyLZ alice';
