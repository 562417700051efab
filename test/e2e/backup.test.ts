/** A pool with people's files is kept in one file while they work, lost with its machine, and made again from the file. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { missingForSystemTests, must, repository, ssh, TestInstallation, until } from './installation.ts';

const missing = await missingForSystemTests(['sshpass', 'nft', 'mmdebstrap', 'curl']);
const password = 'Correct-Horse-7';
const publicKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKZ0dqOPMA8xJT4Nr8tqV0Z9EEiOTjFCgZxT1n8PVyLZ somebody';

describe.skipIf(missing !== undefined)(
  `a pool that is restored${missing === undefined ? '' : ` (left out: ${missing})`}`,
  () => {
    let before: TestInstallation;
    let after: TestInstallation;
    let folder: string;
    let file: string;
    let key: string;
    let hostKeys: string;

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'poolhouse-kept-'));
      [file, key] = [join(folder, 'backup.tar'), join(folder, 'key')];
      before = await TestInstallation.make({ poolGiB: 30, apiPort: 20_000 + (process.pid % 9_000) }); // others begin at the same time
      await before.mustPoolhouse('up');
      await must(join(repository, 'bin', 'poolhouse'), ['users', 'add', 'alice', '--password-stdin'], {
        env: before.env,
        input: password,
      });
      await before.mustPoolhouse(
        ...['deploy', '-g', 'team', '-f', join(repository, 'examples/shared-pool/template.json')],
        ...['-p', 'adminUsername=azure', '-p', `adminPassword=${password}`, '-p', `adminPublicKey=${publicKey}`],
        ...['-p', 'instanceCount=1', '-p', 'shareQuotaGiB=1'],
      );
    });
    afterAll(async () => {
      if (existsSync(before.home)) await before.destroy();
      await (after as TestInstallation | undefined)?.destroy();
      await rm(folder, { recursive: true, force: true });
    });

    const inRotation = (installation: TestInstallation) =>
      until(
        'its instance is in rotation',
        async () => {
          const front = (await installation.pool('sharedpool')).frontEnds.find(({ backendPort }) => backendPort === 22);
          return front?.instancesInRotation === 1 ? front.address : undefined;
        },
        240_000,
      );
    const as = async (installation: TestInstallation, user: string, command: string) => {
      const result = await ssh(password, user, await inRotation(installation), `bash -c '${command}'`);
      if (result.exitCode !== 0) throw new Error(`${user}: ${command}: ${result.stdout}${result.stderr}`);
      return result.stdout;
    };
    /** What is on the share, with its owners, modes, links, and times but those of links; what Jupyter and shells write there by themselves is left out. */
    const picture = (installation: TestInstallation) =>
      as(
        installation,
        'azure',
        'sudo find /mnt/shared -path "*/.snapshots" -prune -o -path "*/kept*" -printf "%P %y %m %U %G %n %l " \\( -type l -printf "\\n" -o -printf "%T@\\n" \\) | sort; sudo sh -c "sha256sum /mnt/shared/notebooks/alice/kept/*"',
      );
    let kept: string;

    it('is kept with its files while they are written, and no snapshot stays', { timeout: 900_000 }, async () => {
      await as(
        before,
        'alice',
        'cd ~/notebooks/remote && mkdir -m 750 kept && cd kept && echo weights > model && ln model same && ln -s /etc/shadow link && head -c 9000000 /dev/urandom > large && chmod 640 large && touch -d 2020-02-02 model',
      );
      await as(before, 'azure', 'sudo sh -c "echo all > /mnt/shared/kept-by-all"');
      kept = await picture(before);
      expect(kept).toMatch(/notebooks\/alice\/kept\/model f 644 10000 10000 2 /);
      hostKeys = await before.mustPoolhouse('host-keys');
      const writes = as(
        before,
        'alice',
        'cd ~/notebooks/remote && for n in $(seq 400); do echo $n > busy-$n; sleep 0.02; done',
      );
      const said = JSON.parse(await before.mustPoolhouse('backup', file, '--shares', '--json')) as {
        shares: { share: string }[];
      };
      expect(said.shares.map(({ share }) => share)).toEqual(['shared']);
      await writes;
      const left = await as(before, 'azure', 'sudo ls -A /mnt/shared/.snapshots 2> /dev/null || true');
      expect(left).not.toContain('backup-');
      await copyFile(join(before.home, 'secrets', 'key'), key);
      await as(before, 'alice', 'echo lost > ~/notebooks/remote/kept/later; rm ~/notebooks/remote/kept/model');
      await before.destroy();
    });

    it(
      'lets nobody in before its files are there, also where the restore was killed',
      { timeout: 900_000 },
      async () => {
        after = await TestInstallation.make({});
        await rm(join(after.home, 'config.json'));
        const argv = ['restore', file, '--master-key', key, '--yes'];
        const child = spawn(join(repository, 'bin', 'poolhouse'), argv, { env: after.env, stdio: 'ignore' });
        const ended = new Promise((resolve) => child.once('exit', resolve));
        const note = join(after.home, 'restoring.json');
        await until(
          'control serves, and shares are being filled',
          async () => {
            const { pools } = await after.status().catch(() => ({ pools: [] }));
            return pools.length > 0 && existsSync(note) ? true : undefined;
          },
          300_000,
        );
        child.kill('SIGKILL');
        await ended;
        expect((await after.pool('sharedpool')).instances.map(({ power }) => power)).toEqual(['absent']);
        expect(JSON.parse(await readFile(note, 'utf8'))).toMatchObject({ phase: 'shares' });

        const done = await after.poolhouse(...argv);
        expect(done.exitCode, done.stderr).toBe(0);
        expect(done.stdout).toContain('Filled: 1 share.');
        expect(existsSync(note)).toBe(false);
      },
    );

    it('has everybody sign in as before, and find what there was', async () => {
      expect(await picture(after)).toBe(kept);
      expect(
        await as(after, 'alice', 'cat ~/notebooks/remote/kept/same; echo more > ~/notebooks/remote/kept/more'),
      ).toBe('weights\n');
      expect(await as(after, 'alice', 'ls ~/notebooks/remote/kept')).not.toContain('later');
      expect(await after.mustPoolhouse('host-keys')).toBe(hostKeys);
      await after.arm(); // signs in with the secret that clients have
    });
  },
);
