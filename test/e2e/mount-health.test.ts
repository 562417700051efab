/** Mounts of real instances: one that is missing or hangs keeps new people away until it is mended, and all are back after a restart. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { WhyDocument } from '../../src/control/instance-facts.ts';
import { insideInstance } from './inside-instance.ts';
import { missingForSystemTests, must, repository, ssh, TestInstallation, until } from './installation.ts';
import { engineSocket } from './machine-picture.ts';
import { smallSample } from './small-sample.ts';

const missing = await missingForSystemTests(['sshpass', 'nft', 'mmdebstrap', 'curl']);
const admin = 'azure';
const password = 'Correct-Horse-7';
const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKZ0dqOPMA8xJT4Nr8tqV0Z9EEiOTjFCgZxT1n8PVyLZ somebody';

/** A FUSE file system of which nobody ever answers a question. */
const hang = `
import ctypes, os, sys, time
device = os.open('/dev/far', os.O_RDWR)
libc = ctypes.CDLL(None, use_errno=True)
options = ('fd=%d,rootmode=40000,user_id=0,group_id=0' % device).encode()
if libc.mount(b'nobody', b'/mnt/far', b'fuse.nobody', 6, options) != 0:
    sys.exit(os.strerror(ctypes.get_errno()))
time.sleep(600)
`;

describe.skipIf(missing !== undefined)(
  `the mounts of instances${missing === undefined ? '' : ` (left out: ${missing})`}`,
  () => {
    let installation: TestInstallation;
    let address: string;
    let names: string[];

    beforeAll(async () => {
      installation = await TestInstallation.make({ poolGiB: 30 });
      await installation.up();
      for (const user of ['alice', 'bob', 'carol'])
        await must(join(repository, 'bin', 'poolhouse'), ['users', 'add', user, '--password-stdin'], {
          env: installation.env,
          input: password,
        });
      await writeFile(join(installation.home, 'template.json'), await smallSample());
      await installation.mustPoolhouse(
        ...['deploy', '-g', 'team', '-f', join(installation.home, 'template.json')],
        ...['-p', `adminUsername=${admin}`, '-p', `adminPassword=${password}`, '-p', `adminPublicKey=${key}`],
        ...['-p', 'instanceCount=2', '-p', 'shareQuotaGiB=1'],
      );
      const pool = await installation.pool('sharedpool');
      address = pool.frontEnds[0]?.address ?? '';
      names = pool.instances.map(({ name }) => name);
    });
    afterAll(() => installation.destroy());

    const asRoot = async (instance: string, command: string) => {
      const result = await insideInstance(installation, instance, 'root', command);
      expect(result.exitCode, result.stderr).toBe(0);
      return result.stdout;
    };
    /** A host that is no desktop keeps /dev/fuse for itself: it is given to the instance by another name. */
    const giveDevice = async (hostname: string) => {
      const daemon = (...argv: string[]) => must('curl', ['-sSf', '--unix-socket', engineSocket(), ...argv]);
      const project = `project=poolhouse-${(await installation.id()) ?? ''}`;
      const list = await daemon(`http://daemon/1.0/instances?recursion=1&${project}`);
      const found = (
        JSON.parse(list) as { metadata: { name: string; config: Record<string, string> }[] }
      ).metadata.find(({ config }) => Object.values(config).includes(hostname));
      const device = { type: 'unix-char', source: '/dev/fuse', path: '/dev/far', mode: '0666' };
      await daemon(
        ...['-X', 'PATCH', '-d', JSON.stringify({ devices: { far: device } })],
        `http://daemon/1.0/instances/${found?.name ?? ''}?${project}`,
      );
    };
    const hostOf = async (user: string) => (await ssh(password, user, address, 'hostname')).stdout.trim();
    const instance = async (name: string) =>
      (await installation.pool('sharedpool')).instances.find((one) => one.name === name);
    const rotates = (name: string, isIn: boolean, limitMs = 90_000) =>
      until(
        `${name} is ${isIn ? '' : 'not '}in rotation`,
        async () => {
          const now = await instance(name);
          return now?.inRotation === isIn ? now : undefined;
        },
        limitMs,
      );

    it('keep new people away while one is hidden, and who is there stays', async () => {
      const [first = '', second = ''] = names;
      const held = ssh(password, admin, address, 'while [ ! -e /run/poolhouse-test ]; do sleep 0.1; done; hostname');
      const where = await hostOf(admin);
      const [ill, other] = where === first ? [first, second] : [second, first];
      // Each try to mend it takes one away.
      await asRoot(ill, 'for n in $(seq 40); do mount -t tmpfs none /mnt/shared || exit 1; done');
      const out = await rotates(ill, false);
      expect(out.reason).toMatch(/share .*\/.* is hidden at \/mnt\/shared/);
      expect(await hostOf('alice')).toBe(other);
      expect(await hostOf('bob')).toBe(other);
      await asRoot(ill, 'touch /run/poolhouse-test');
      expect((await held).stdout.trim()).toBe(ill);
      const why = JSON.parse(await installation.mustPoolhouse('why', ill, '--json')) as WhyDocument;
      expect(why.because.join('\n')).toMatch(/Nobody new is sent to it/);
      expect(why.history.map(({ message }) => message).join('\n')).toMatch(/takes nobody new: the share/);
      await asRoot(ill, 'while grep -q " /mnt/shared .* tmpfs " /proc/self/mountinfo; do umount -l /mnt/shared; done');
      await rotates(ill, true);
      expect(await asRoot(ill, 'ls /mnt/shared')).toContain('notebooks');
    });

    it('are mounted again when somebody has unmounted one', async () => {
      const [first = ''] = names;
      await asRoot(first, 'umount /mnt/shared && ! mountpoint -q /mnt/shared');
      await until('it is mounted again', async () =>
        (await insideInstance(installation, first, 'root', 'mountpoint -q /mnt/shared')).exitCode === 0
          ? true
          : undefined,
      );
      await rotates(first, true);
    });

    it('may hang: that is seen, and holds nothing of ours up', async () => {
      const [first = '', second = ''] = names;
      await giveDevice(first);
      await asRoot(
        first,
        `mkdir -p /mnt/far && cat > /run/hang.py << 'END'\n${hang}\nEND\nsystemd-run -q --unit far python3 /run/hang.py; for n in $(seq 50); do grep -q fuse.nobody /proc/self/mountinfo && exit 0; sleep 0.1; done; systemctl status far >&2; exit 1`,
      );
      const out = await rotates(first, false);
      expect(out.reason).toMatch(/the fuse\.nobody file system does not answer at \/mnt\/far/);
      expect(await hostOf('carol')).toBe(second);
      expect((await instance(second))?.inRotation).toBe(true);
      // Looks that never come back are not heaped up.
      const looks = await asRoot(first, 'pgrep -fc "[c]heck-mounts" || true');
      expect(Number(looks)).toBeLessThan(4);
      await asRoot(first, 'systemctl stop far; umount -l /mnt/far');
      await rotates(first, true);
    });

    it('are all back when an instance was started anew from inside', async () => {
      const [first = ''] = names;
      const boot = await asRoot(first, 'cat /proc/sys/kernel/random/boot_id; stat -c %Y /proc/1');
      await insideInstance(installation, first, 'root', 'systemctl --no-block reboot');
      await until('it has been started anew', async () => {
        const now = await insideInstance(
          installation,
          first,
          'root',
          'cat /proc/sys/kernel/random/boot_id; stat -c %Y /proc/1',
        ).catch(() => undefined);
        return now?.exitCode === 0 && now.stdout !== boot ? true : undefined;
      });
      await rotates(first, true);
      expect(await asRoot(first, 'ls /mnt/shared')).toContain('notebooks');
    });

    it('are given up by the operator alone', async () => {
      const [first = ''] = names;
      const said = await installation.mustPoolhouse('unmount', first, '/mnt/shared');
      expect(said).toMatch(/\/.* is not mounted at \/mnt\/shared of /);
      await asRoot(first, '! mountpoint -q /mnt/shared');
      expect((await installation.poolhouse('unmount', first, '/mnt/shared')).stderr).toMatch(/No share is attached/);
      expect((await instance(first))?.inRotation).toBe(true);
    });
  },
);
