/** A real instance goes, and nobody loses work: who is active on it shows, who wants to keep it may, and what lies on it is rescued. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { WhyDocument } from '../../src/control/instance-facts.ts';
import { missingForSystemTests, must, repository, ssh, TestInstallation, until } from './installation.ts';
import { JupyterClient } from './jupyter-client.ts';

const missing = await missingForSystemTests(['sshpass', 'nft', 'mmdebstrap', 'curl']);
const admin = 'azure';
const password = 'Correct-Horse-7';
const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKZ0dqOPMA8xJT4Nr8tqV0Z9EEiOTjFCgZxT1n8PVyLZ somebody';

describe.skipIf(missing !== undefined)(
  `an instance that goes${missing === undefined ? '' : ` (left out: ${missing})`}`,
  () => {
    let installation: TestInstallation;
    let address: string;
    let hostname: string;
    let scaleSet: string;

    beforeAll(async () => {
      installation = await TestInstallation.make({ poolGiB: 30 });
      await installation.mustPoolhouse('up');
      await must(join(repository, 'bin', 'poolhouse'), ['users', 'add', 'alice', '--password-stdin'], {
        env: installation.env,
        input: password,
      });
      await installation.mustPoolhouse(
        ...['deploy', '-g', 'team', '-f', join(repository, 'examples/shared-pool/template.json')],
        ...['-p', `adminUsername=${admin}`, '-p', `adminPassword=${password}`, '-p', `adminPublicKey=${key}`],
        ...['-p', 'instanceCount=1', '-p', 'shareQuotaGiB=1'],
      );
      const pool = await installation.pool('sharedpool');
      address = pool.frontEnds[0]?.address ?? '';
      scaleSet = pool.id;
      hostname = pool.instances[0]?.name ?? '';
    });
    afterAll(() => installation.destroy());

    const why = async (name = hostname) =>
      JSON.parse(await installation.mustPoolhouse('why', name, '--json')) as WhyDocument;
    const asAlice = (command: string) => ssh(password, 'alice', address, `bash -c '${command}'`);
    const patch = async (body: { sku?: { capacity: number }; tags: Record<string, string> }) => {
      const arm = await installation.arm();
      await arm.send('PATCH', `${scaleSet}?api-version=2023-09-01`, body);
    };

    it('is kept by who is on it, with a command there', async () => {
      const kept = await asAlice('poolhouse keep 1h');
      expect(kept.stdout, kept.stderr).toMatch(new RegExp(`^${hostname} is kept for you until`));
      const [alice] = (await why()).people;
      expect(alice).toMatchObject({ user: 'alice', keptUntil: expect.any(String) as string });
      expect((await asAlice('poolhouse keep soon')).exitCode).toBe(1);
      expect((await asAlice('poolhouse')).exitCode).toBe(2);
      expect((await asAlice('/usr/lib/poolhouse/keep 2h')).exitCode).toBe(1);
      expect((await asAlice('sudo -n id')).exitCode).not.toBe(0);
      expect((await asAlice('poolhouse keep off')).stdout).toContain('Nothing is kept');
    });

    it('shows who has what there, and which kernel is busy though it only waits', async () => {
      const browser = new JupyterClient(address, '127.0.0.1');
      await browser.signIn('alice', password);
      await browser.startServer('alice');
      void browser.runCell('alice', 'import time; time.sleep(1000)').catch(() => undefined); // ends with its instance
      const question = JSON.stringify({ users: [{ name: 'alice', uid: 10_000, gid: 10_000 }] });
      await until('the kernel is busy', async () => {
        const asked = await ssh(password, admin, address, 'sudo /usr/lib/poolhouse/busy-kernels', [], question);
        return asked.stdout === '{"busy": ["alice"]}' ? true : undefined;
      });
      await until('it shows', async () => {
        const alice = (await why()).people.find(({ user }) => user === 'alice');
        return alice !== undefined && alice.kernels > 0 && alice.sessions > 0 ? true : undefined;
      });
      expect(await installation.mustPoolhouse('why', hostname)).toMatch(/alice has .*1 kernel.* here, and is active/);
    });

    it('takes for idle whose kernel is done and whose job sleeps, and nobody whose kernel is busy', async () => {
      await ssh(password, admin, address, 'setsid nohup sleep 3000 > /dev/null 2>&1 &');
      const browser = new JupyterClient(address, '127.0.0.1');
      await browser.signIn(admin, password);
      await browser.startServer(admin);
      expect(await browser.runCell(admin, 'print(6 * 7)')).toBe('42\n');
      await asAlice('true');
      const began = Date.now();
      await patch({ tags: { 'poolhouse-idle-minutes': '1' } });
      await until(
        'a minute in which nothing moved',
        async () => {
          const { people, because } = await why();
          const alice = people.find(({ user }) => user === 'alice');
          // Every question says so: she is never idle in between.
          expect(because.join('\n')).not.toMatch(/alice has .* is idle/);
          const isAsked = Date.parse(alice?.activeAt ?? '') > began + 45_000;
          return isAsked &&
            because.some((line) => /^azure has .*1 kernel and 1 other process here, and is idle/.test(line))
            ? true
            : undefined;
        },
        150_000,
      );
    });

    it('leaves what people changed on it in their workspaces', async () => {
      await asAlice('mkdir -p ~/work/deep && echo weights > ~/work/deep/model.bin && ln -s /etc/passwd ~/work/link');
      await asAlice('mkdir -p ~/.cache/pip && echo x > ~/.cache/pip/wheel; echo kept > ~/notebooks/remote/on-share');
      await ssh(password, admin, address, 'echo hers > ~/note-of-admin');
      await patch({ sku: { capacity: 0 }, tags: { 'poolhouse-drain-minutes': '0' } });
      await until('it is gone', async () =>
        (await installation.pool('sharedpool')).instances.length === 0 ? true : undefined,
      );
      const gone = await why();
      expect(gone).toMatchObject({ present: false, instance: hostname });
      expect(gone.history.map(({ message }) => message)).toEqual(
        expect.arrayContaining([
          expect.stringContaining('was removed: its time to drain is over'),
          expect.stringMatching(/was rescued: .*of alice \d+ files to rescued\//),
        ]),
      );
      await patch({ sku: { capacity: 1 }, tags: {} });
      await until(
        'another one is there',
        async () =>
          (await installation.pool('sharedpool')).frontEnds[0]?.instancesInRotation === 1 ? true : undefined,
        120_000,
      );
      const find =
        'cd ~/notebooks/remote && find . -type f -o -type l | sort | grep -v -e /[.]ipython -e /[.]local -e history -e /[.]snapshots/';
      const files = (await asAlice(find)).stdout
        .replaceAll(/rescued\/[^/]+\//g, 'rescued/X/')
        .trim()
        .split('\n');
      expect(files).toEqual([
        './Welcome.ipynb',
        './on-share',
        './rescued/X/work/deep/model.bin',
        './rescued/X/work/link',
      ]);
      const read = await asAlice('cat ~/notebooks/remote/rescued/*/work/deep/model.bin; ls ~/notebooks/remote/rescued');
      expect(read.stdout).toMatch(new RegExp(`^weights\n${hostname}-\\d{4}-\\d{2}-\\d{2}\n$`));
      expect((await ssh(password, admin, address, 'sudo ls /mnt/shared/notebooks/azure/rescued')).stdout).toContain(
        hostname,
      );
    });

    it('stays where there is no room for that, says so, and goes when it is deleted by its id', async () => {
      const [instance] = (await installation.pool('sharedpool')).instances;
      const fill = (path: string, mib: number) =>
        `dd if=/dev/zero of=$HOME/${path} bs=1M count=${mib} 2> /dev/null; sync`;
      await asAlice(`${fill('notebooks/remote/full', 3_000)}; ${fill('large', 100)}`);
      await patch({ sku: { capacity: 0 }, tags: { 'poolhouse-drain-minutes': '0' } });
      const name = instance?.name ?? '';
      const said = await until('it could not be rescued', async () => {
        const now = await why(name);
        return now.stops.some((line) => line.includes('could be rescued')) ? now : undefined;
      });
      expect(said.because.join('\n')).toMatch(/alice: (Disk quota exceeded|No space left on device)/);
      expect(said.history.filter(({ status }) => status === 'Failed').length).toBeGreaterThan(0);
      const arm = await installation.arm();
      await arm.send('POST', `${scaleSet}/delete?api-version=2023-09-01`, {
        instanceIds: [instance?.instanceId ?? ''],
      });
      await until('it is gone', async () =>
        (await installation.pool('sharedpool')).instances.length === 0 ? true : undefined,
      );
    });
  },
);
