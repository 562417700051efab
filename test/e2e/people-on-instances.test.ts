/** People on real instances: there at once, with home, workspace, groups and sudo; and gone with all that they run. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { missingForSystemTests, must, run, ssh, TestInstallation, until } from './installation.ts';
import { smallSample } from './small-sample.ts';

const missing = await missingForSystemTests(['sshpass', 'sftp', 'nft', 'mmdebstrap', 'curl']);
const admin = 'azure';
const password = 'Correct-Horse-7';
const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKZ0dqOPMA8xJT4Nr8tqV0Z9EEiOTjFCgZxT1n8PVyLZ somebody';

describe.skipIf(missing !== undefined)(
  `people on instances${missing === undefined ? '' : ` (left out: ${missing})`}`,
  () => {
    let installation: TestInstallation;
    let address: string;

    beforeAll(async () => {
      installation = await TestInstallation.make({ poolGiB: 30 });
      await installation.up();
      const file = join(installation.home, 'template.json');
      await writeFile(file, await smallSample());
      await installation.mustPoolhouse('groups', 'add', 'team');
      await installation.mustPoolhouse('users', 'add', 'alice', '--group', 'team');
      await installation.mustPoolhouse(
        ...['deploy', '-g', 'team', '-f', file],
        ...['-p', `adminUsername=${admin}`, '-p', `adminPassword=${password}`, '-p', `adminPublicKey=${key}`],
        ...['-p', 'instanceCount=1'],
      );
      address = (await installation.pool('sharedpool')).frontEnds[0]?.address ?? '';
    });
    afterAll(() => installation.destroy());

    const inside = async (command: string) => (await ssh(password, admin, address, command)).stdout.trim();
    const somebodyIs = (name: string, there: boolean) =>
      until(`${name} is ${there ? '' : 'not '}there`, async () =>
        (await inside(`getent passwd ${name} | cut -d: -f1`)) === (there ? name : '') ? true : undefined,
      );

    it('are there with the first start, with home, group and workspace', async () => {
      expect(await inside('id -u alice; id -Gn alice; sudo getent shadow alice | cut -d: -f2')).toBe(
        '10000\nalice team\n*',
      );
      expect(await inside('stat -c "%U %a" /home/alice; sudo readlink /home/alice/notebooks/remote')).toBe(
        'alice 750\n/mnt/shared/notebooks/alice',
      );
      const asAlice = 'sudo runuser -u alice --';
      expect(
        await inside(`${asAlice} sh -c 'echo kept > ~alice/notebooks/remote/note; sudo -n id -un || echo no'`),
      ).toBe('no');
    });

    it('come while it runs, and nothing stops for it', async () => {
      const before = await inside('cat /proc/sys/kernel/random/boot_id; systemctl show -p MainPID --value ssh');
      await installation.mustPoolhouse('users', 'add', 'bob', '--sudo');
      await somebodyIs('bob', true);
      expect(await inside('sudo runuser -u bob -- sudo -n id -un')).toBe('root');
      expect(await inside('sudo readlink /home/bob/notebooks/remote')).toBe('/mnt/shared/notebooks/bob');
      expect(await inside('cat /proc/sys/kernel/random/boot_id; systemctl show -p MainPID --value ssh')).toBe(before);
    });

    it('move no file out of their workspace to where it is not theirs, and none of another in, by sftp', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'poolhouse-people-'));
      onTestFinished(() => rm(folder, { recursive: true }));
      await must('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'key')]);
      await installation.mustPoolhouse('users', 'set', 'bob', '--ssh-key', join(folder, 'key.pub'));
      await writeFile(join(folder, 'note'), "bob's");
      const own = '/mnt/shared/notebooks/bob';
      const renames = [
        [`${own}/note`, '/mnt/shared/notebooks/alice/note-of-bob'],
        [`${own}/note`, `${own}/../alice/note`],
        [`${own}/note`, 'notebooks/remote/../../alice/note-of-bob'],
        [`${own}/note`, '/mnt/shared/notebooks/note'],
        [`${own}/note`, '/etc/cron.d/note'],
        [`${own}/note`, '/home/alice/note'],
        ['/mnt/shared/notebooks/alice/note', `${own}/note-of-alice`],
        ['/mnt/shared/notebooks/alice', `${own}/alice`],
        [`${own}/to-alice/note`, `${own}/note-of-alice`],
      ];
      const batch = [
        `put ${join(folder, 'note')} ${own}/note`,
        `symlink /mnt/shared/notebooks/alice ${own}/to-alice`,
        ...renames.map(([from = '', to = '']) => `-rename ${from} ${to}`),
        `-get ${own}/to-alice/note ${join(folder, 'stolen')}`,
        `get ${own}/note ${join(folder, 'back')}`,
      ];
      const { exitCode, stderr } = await run(
        'sftp',
        [
          ...[
            '-q',
            '-b',
            '-',
            '-F',
            'none',
            '-i',
            join(folder, 'key'),
            '-o',
            `UserKnownHostsFile=${join(folder, 'known')}`,
          ],
          ...['-o', 'StrictHostKeyChecking=accept-new', '-o', 'LogLevel=ERROR', `bob@${address}`],
        ],
        { input: `${batch.join('\n')}\n` },
      );
      expect(exitCode, stderr).toBe(0);
      const refusals = stderr
        .split('\n')
        .filter((line) => /Permission denied|Failure|No such file|not found/.test(line));
      expect(refusals.length, stderr).toBe(renames.length + 1);
      expect(await readFile(join(folder, 'back'), 'utf8')).toBe("bob's");
      expect(await inside('sudo find /mnt/shared/notebooks/alice -name "note*" | xargs sudo grep -l kept')).toBe(
        '/mnt/shared/notebooks/alice/note',
      );
      expect(await inside('sudo find /mnt/shared/notebooks /etc/cron.d /home/alice -name "note*" | sort')).toBe(
        '/home/alice/notebooks\n/mnt/shared/notebooks\n/mnt/shared/notebooks/alice/note\n/mnt/shared/notebooks/bob/note',
      );
    });

    it('are gone when they are disabled, with all that they run, and their files are not', async () => {
      await inside(`sudo setsid runuser -u alice -- sh -c 'nohup sleep 10000 > /dev/null 2>&1 &'`);
      expect(await inside('pgrep -c -U 10000')).not.toBe('0');
      await installation.mustPoolhouse('users', 'set', 'alice', '--disable');
      await somebodyIs('alice', false);
      await until('nothing of hers runs', async () => ((await inside('pgrep -c -U 10000')) === '0' ? true : undefined));
      expect(await inside('sudo cat /mnt/shared/notebooks/alice/note; stat -c %u /home/alice')).toBe('kept\n10000');
      await installation.mustPoolhouse('users', 'set', 'alice', '--enable');
      await somebodyIs('alice', true);
      expect(await inside('sudo runuser -u alice -- sh -c "cat ~alice/notebooks/remote/note"')).toBe('kept');
    });

    it('leave nothing to who has the name after them', async () => {
      await installation.mustPoolhouse('users', 'remove', 'alice');
      await installation.mustPoolhouse('users', 'add', 'alice');
      await until('the new one is there', async () => ((await inside('id -u alice')) === '10002' ? true : undefined));
      await until('with a folder', async () =>
        (await inside('stat -c %u /mnt/shared/notebooks/alice')) === '10002' ? true : undefined,
      );
      expect(await inside('stat -c %u /home/alice /home/alice-10000')).toBe('10002\n10000');
      expect(await inside('sudo cat /mnt/shared/notebooks/alice-10000/note')).toBe('kept');
    });
  },
);
