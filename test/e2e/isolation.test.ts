/** Real instances that are shown only the folders of who is there, and homes that outlive their machine. */
import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { missingForSystemTests, must, repository, ssh, sshArguments, TestInstallation, until } from './installation.ts';
import { isolatedPool } from './isolated-pool.ts';

const missing = await missingForSystemTests(['sshpass', 'nft', 'mmdebstrap', 'curl']);
const password = 'Correct-Horse-7';

describe.skipIf(missing !== undefined)(
  `a pool that shows folders to those who are there${missing === undefined ? '' : ` (left out: ${missing})`}`,
  () => {
    let installation: TestInstallation;
    let address: string;

    beforeAll(async () => {
      installation = await TestInstallation.make({ poolGiB: 30 });
      await installation.up();
      for (const user of [['alice', '--sudo'], ['bob']])
        await must(join(repository, 'bin', 'poolhouse'), ['users', 'add', ...user, '--password-stdin'], {
          env: installation.env,
          input: password,
        });
      const file = join(installation.home, 'isolated.json');
      const tags = {
        ...{ 'poolhouse-isolation': 'user', 'poolhouse-survives': 'home' },
        'poolhouse-placement': 'most-users',
      };
      await writeFile(file, JSON.stringify(isolatedPool({ tags, capacity: 2 })));
      await installation.mustPoolhouse('deploy', '-g', 'lab', '-f', file, '-p', `adminPassword=${password}`);
      address = (await installation.pool('isolated')).frontEnds[0]?.address ?? '';
      await until('both are in rotation', async () =>
        (await installation.pool('isolated')).frontEnds[0]?.instancesInRotation === 2 ? true : undefined,
      );
    });
    afterAll(() => installation.destroy());

    const as = (user: string, command: string) => ssh(password, user, address, command);
    const said = async (user: string, command: string) => {
      const { stdout, stderr } = await as(user, command);
      return `${stdout}${stderr}`.trim();
    };
    /** A session of somebody until the test ends. */
    const stay = (user: string) => {
      const child = spawn('sshpass', ['-e', 'ssh', ...sshArguments(user, address, 'sleep 600')], {
        env: { ...process.env, SSHPASS: password },
        stdio: 'ignore',
      });
      onTestFinished(() => void child.kill());
    };
    const bobIsShown = (shown: boolean) =>
      until(
        `bob's folders are ${shown ? '' : 'not '}shown`,
        async () =>
          ((await said('alice', 'grep -c -e notebooks/bob -e /home/bob /proc/mounts')) !== '0') === shown
            ? true
            : undefined,
        90_000,
      );

    it('shows root the workspace of who is there, and nothing of anybody else', async () => {
      expect(await said('bob', 'echo of bob > ~/notebooks/remote/secret; echo kept > ~/note; ls -A ~/notebooks')).toBe(
        '.keep\nremote',
      );
      expect(await said('bob', 'cat ~/secret ~/notebooks/remote/note; readlink ~/.cache')).toBe(
        'of bob\nkept\n/var/lib/poolhouse-local/bob/cache',
      );
      stay('alice');
      await bobIsShown(false);
      expect(await said('alice', 'touch ~/notebooks/remote/mine && ls ~/notebooks/remote/')).toContain('mine');
      expect(await said('alice', 'sudo sh -c "ls -A /mnt/shared/notebooks/bob /home/bob; cat /home/bob/note"')).toMatch(
        /^(ls: cannot access .*No such file or directory\n){2}cat: .*No such file/,
      );
      // All that root can mount with what the script was given.
      const again = `set -- $(grep ^// /etc/fstab); mkdir -p /mnt/x /mnt/y
        mount -t cifs "$1" /mnt/x -o "$4"; mount -t cifs "$1/notebooks/bob" /mnt/y -o "$4"; mount /mnt/shared
        ls /mnt/x/notebooks; ls -A /mnt/y; find /mnt /home -name secret; ls /dev | xargs -I @ find /dev/@ -type b`;
      const found = await as('alice', `sudo sh -c '${again}'`);
      expect(found.stdout).toBe('alice\nazure\n');
      expect(found.stderr).toContain('mount error(1): Operation not permitted');
    });

    it('shows theirs at once to who signs in there, and keeps it while anything of theirs runs', async () => {
      stay('alice');
      const came = await as('bob', 'cat ~/notebooks/remote/secret ~/note; setsid nohup sleep 5000 > /dev/null 2>&1 &');
      expect(came.stdout, came.stderr).toBe('of bob\nkept\n');
      expect(await said('alice', 'cat /mnt/shared/notebooks/bob/secret')).toContain('Permission denied');
      await new Promise((resolve) => setTimeout(resolve, 35_000)); // for so long a place is kept for who was told of it
      await bobIsShown(true);
      await said('alice', 'sudo pkill -U bob sleep');
      await bobIsShown(false);
      expect(await said('alice', 'pgrep -c -U bob')).toBe('0');
    });

    it('shows them again after a start of the machine, and nothing more', async () => {
      const name = await said('alice', 'hostname');
      await as('alice', 'sudo systemctl reboot');
      const isInRotation = async () =>
        (await installation.pool('isolated')).instances.find((one) => one.name === name)?.inRotation === true;
      // It may be back before its probes have failed.
      const isAway = async () => ((await isInRotation()) ? undefined : true);
      await until('it is gone for a while', isAway, 20_000).catch(() => undefined);
      await until('it is back', async () => ((await isInRotation()) ? true : undefined), 90_000);
      expect(
        await said('alice', 'hostname; ls ~/notebooks/remote/mine; sudo ls -A /mnt/shared/notebooks/bob 2>/dev/null'),
      ).toBe(`${name}\n/home/alice/notebooks/remote/mine`);
    });

    it('follows no link that somebody put into their workspace, inside or on the host', async () => {
      const passwd = await readFile('/etc/passwd', 'utf8');
      await said(
        'alice',
        'cd ~ && mv notebooks kept && ln -s /etc notebooks && rm -rf .cache .local && ln -s /etc .cache && ln -s / .local && ln -s /etc/passwd .bash_history',
      );
      await until(
        'hers is gone',
        async () => ((await said('azure', 'grep -c /alice /proc/mounts')) === '0' ? true : undefined),
        90_000,
      );
      expect(await said('alice', 'stat -c %F ~/notebooks ~/.cache; stat -c %U /etc /etc/passwd')).toBe(
        'symbolic link\nsymbolic link\nroot\nroot',
      );
      await said('alice', 'cd ~ && rm notebooks .cache .local .bash_history && mv kept notebooks');
      expect(await readFile('/etc/passwd', 'utf8')).toBe(passwd);
    });

    it('has homes that outlive their machine, without what is the machine’s own', async () => {
      const name = await said('alice', 'hostname');
      const made = await said(
        'alice',
        `echo dot > ~/.mine; python3 -m venv --without-pip ~/env; mkdir -p ~/.cache; echo x > $XDG_CACHE_HOME/large; echo $XDG_CACHE_HOME
         bash -ic 'history -s remembered; history -a' 2> /dev/null; grep -c remembered ~/.bash_history`,
      );
      expect(made).toBe('/var/lib/poolhouse-local/alice/cache\n1');
      const pool = await installation.pool('isolated');
      const id = pool.instances.find((one) => one.name === name)?.instanceId ?? '';
      await (await installation.arm()).send('POST', `${pool.id}/delete?api-version=2023-09-01`, { instanceIds: [id] });
      await until('it is gone', async () =>
        (await installation.pool('isolated')).instances.some((one) => one.name === name) ? undefined : true,
      );
      const there = await said(
        'alice',
        `hostname; cat ~/.mine; ~/env/bin/python -c 'print(6 * 7)'; grep -c remembered ~/.bash_history; ls $XDG_CACHE_HOME/large
         ls ~/notebooks/remote/mine`,
      );
      expect(there.replace(/^\S+/, 'other')).toMatch(
        /^other\ndot\n42\n1\n\/home\/alice\/notebooks\/remote\/mine\nls: cannot access .*large/,
      );
      expect(there).not.toContain(name);
    });

    it('changes what machines show when the tags change', async () => {
      const set = async (isolation: string, survives: string) => {
        const { id } = await installation.pool('isolated');
        const tags = { 'poolhouse-isolation': isolation, 'poolhouse-survives': survives };
        await (await installation.arm()).send('PATCH', `${id}?api-version=2023-09-01`, { tags });
      };
      const done = async (audit: string) => {
        const log = await readFile(join(installation.home, 'logs', 'control.log'), 'utf8');
        const lines = log.split('\n').filter((line) => line.includes(`"audit":"${audit}"`));
        return lines.filter((line) => line.includes('"path":"/mnt/shared"')).length;
      };
      /** Asked of nobody there: who looks from inside keeps it as it is. */
      const afterwards = async (audit: string, change: () => Promise<void>) => {
        const all = (await installation.pool('isolated')).instances.length;
        const before = await done(audit);
        await change();
        await until(`all machines have changed: ${audit}`, async () => ((await done(audit)) >= before + all ? true : undefined), 180_000); // prettier-ignore
      };
      await said('bob', 'echo kept > ~/note');
      await afterwards('shown', () => set('share', 'notebooks'));
      await until('bob has links to it', async () =>
        /azure\nbob\nkept$/.test(await said('bob', 'ls /mnt/shared/notebooks; cat ~/notebooks/remote/note')) ? true : undefined,
      ); // prettier-ignore
      await afterwards('taken away', () => set('user', 'home'));
      expect(await said('bob', 'ls /mnt/shared/notebooks; cat ~/note ~/notebooks/remote/note')).toBe('azure\nbob\nkept\nkept'); // prettier-ignore
      const log = await readFile(join(installation.home, 'logs', 'control.log'), 'utf8');
      expect(log).not.toContain('takes nobody new: the cifs file system');
    });
  },
);
