/** People on real instances: there at once, with home, workspace, groups and sudo; and gone with all that they run. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { missingForSystemTests, repository, ssh, TestInstallation, until } from './installation.ts';

const missing = await missingForSystemTests(['sshpass', 'nft', 'mmdebstrap', 'curl']);
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
      await installation.mustPoolhouse('up');
      await installation.mustPoolhouse('groups', 'add', 'team');
      await installation.mustPoolhouse('users', 'add', 'alice', '--group', 'team');
      await installation.mustPoolhouse(
        ...['deploy', '-g', 'team', '-f', join(repository, 'examples/shared-pool/template.json')],
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
