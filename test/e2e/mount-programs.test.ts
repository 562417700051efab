/**
 * The programs of an instance that look at mounts, mend them, and mount what lies elsewhere: as root and with the real kernel, but
 * without an instance, in namespaces of their own. Needs root, and no engine.
 */
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { must, repository } from './installation.ts';

const files = join(repository, 'images/recipes/base/files');
const missing = whatIsMissing();

/** The reason why these cannot run here. */
function whatIsMissing(): string | undefined {
  if (process.getuid?.() !== 0) return 'not root';
  try {
    execFileSync('unshare', ['-mpf', '--mount-proc', 'python3', '-c', 'open("/dev/fuse")'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'no namespaces of our own, no python3 or no FUSE';
  }
}

/** A file system of which nobody answers a question: `nobody PATH OWNER`. */
const nobody = `
import ctypes, os, sys, time
device = os.open('/dev/fuse', os.O_RDWR)
options = 'fd=%d,rootmode=40000,user_id=%s,group_id=0' % (device, sys.argv[2])
if ctypes.CDLL(None).mount(b'nobody', sys.argv[1].encode(), b'fuse.nobody', 6, options.encode()) != 0:
    sys.exit('no FUSE')
print('there', flush=True)
time.sleep(60)
`;

interface Found {
  path: string;
  origin: string;
  state: string;
}

describe.skipIf(missing !== undefined)(
  `programs about mounts${missing === undefined ? '' : ` (left out: ${missing})`}`,
  () => {
    let folder: string;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'poolhouse-mounts-'));
      await writeFile(join(folder, 'nobody.py'), nobody);
    });
    afterAll(() => rm(folder, { recursive: true }));

    /**
     * Runs shell commands in a small world: `check PATH…` prints a line of JSON, `mend PATH HOW` too; a share is a file system
     * of its own at a path (`share PATH`), `far PATH [OWNER]` one that hangs.
     */
    async function inside(commands: string, table = ''): Promise<string[]> {
      await writeFile(join(folder, 'fstab'), table);
      const script = `set -eu
      cd /
      mount -t tmpfs none /run; mount -t tmpfs none /mnt; mkdir /mnt/a /mnt/b /run/back
      mount --bind ${folder}/fstab /etc/fstab
      check() { printf '{"seconds":1,"expected":[' > /run/asked; sep=; for at in "$@"; do printf '%s"%s"' "$sep" "$at" >> /run/asked; sep=,; done
        echo ']}' >> /run/asked; python3 -I ${files}/check-mounts < /run/asked; echo; }
      mend() { echo "{\\"repair\\":{\\"path\\":\\"$1\\",\\"how\\":\\"$2\\"}}" | python3 -I ${files}/check-mounts; echo; }
      share() { truncate -s 8M /run/back/disk$(echo $1 | tr / -); mkfs.ext4 -q /run/back/disk$(echo $1 | tr / -); mount -o loop /run/back/disk$(echo $1 | tr / -) $1; }
      far() { mkfifo /run/said; python3 ${folder}/nobody.py $1 \${2:-0} > /run/said & read there < /run/said; rm /run/said; }
      ${commands}`;
      const output = await must('unshare', ['-mpf', '--mount-proc', '--kill-child', 'bash', '-c', script], {});
      return output.split('\n').filter((line) => line !== '');
    }
    const statesOf = (line = '') =>
      (JSON.parse(line) as { mounts: Found[] }).mounts
        .filter(({ path }) => path.startsWith('/mnt'))
        .map(({ path, origin, state }) => `${path} ${origin} ${state}`);

    it('see what is attached: there, not there, and hidden', async () => {
      const [before, there, hidden, below] = await inside(
        `check /mnt/a; share /mnt/a; check /mnt/a; mount -t tmpfs none /mnt/a; check /mnt/a; umount /mnt/a; mount -t tmpfs none /mnt; mkdir /mnt/a; check /mnt/a; umount /mnt; umount /mnt/a`,
      );
      expect(statesOf(before)).toEqual(['/mnt/a attached missing']);
      expect(statesOf(there)).toEqual(['/mnt/a attached well']);
      expect(statesOf(hidden)).toEqual(['/mnt/a attached wrong']);
      expect(statesOf(below)).toEqual(['/mnt/a attached wrong']);
    });

    it('see what the table wants, and nothing that it does not want at once', async () => {
      const [line] = await inside(
        'check',
        [
          '# a remark',
          'server:/export /mnt/a nfs4 rw 0 0',
          '//server/share /mnt/b cifs nofail,credentials=/etc/key 0 0',
          'server:/other /mnt/c nfs noauto 0 0',
          'server:/later /mnt/d nfs4 x-systemd.automount 0 0',
          '/dev/sdb1 /mnt/e ext4 defaults 0 0',
          'server:/odd /mnt/with\\040room nfs rw 0 0',
        ].join('\n'),
      );
      expect(statesOf(line)).toEqual(['/mnt/a table missing', '/mnt/b table missing', '/mnt/with room table missing']);
      expect(line).not.toContain('server');
    });

    it('see one that hangs, within the time they were given, and never begin a second look at it', async () => {
      const [line, busy, own, seconds] = await inside(
        `far /mnt/a; began=$(date +%s%N); check; took=$(( ($(date +%s%N) - began) / 1000000 ))
         mkdir -p /run/poolhouse-mounts; flock -n /run/poolhouse-mounts/6-* sleep 20 & sleep 0.3; check
         far /mnt/b 1000; check | sed 's|/mnt/a|/srv/a|'; echo $took`,
      );
      expect(statesOf(line)).toEqual(['/mnt/a other hanging']);
      expect(busy).toContain('an earlier look at it has not come back');
      // What a user has mounted for themselves is nobody's to watch.
      expect(statesOf(own)).toEqual([]);
      expect(Number(seconds)).toBeLessThan(4_000);
    });

    it('see one whose server is gone', async () => {
      const [line] = await inside(`far /mnt/a; kill %1; wait %1 || true; check`);
      expect(statesOf(line)).toEqual(['/mnt/a other failing']);
    });

    it('mend: mount what the table wants, take away what hides or hangs', async () => {
      const [mounted, after, uncovered, then, gone, last, no] = await inside(
        `truncate -s 8M /run/disk; mkfs.ext4 -q /run/disk; mend /mnt/a mount; check /mnt/a; umount /mnt/a
         share /mnt/a; mount -t tmpfs none /mnt/a; mend /mnt/a uncover; check /mnt/a
         far /mnt/b; mend /mnt/b uncover; check; mend /mnt/b mount; umount /mnt/a`,
        '/run/disk /mnt/a ext4 loop,noauto 0 0',
      );
      expect(mounted).toBe('{"done": true, "message": ""}');
      expect(statesOf(after)).toEqual(['/mnt/a attached well']);
      expect(uncovered).toBe('{"done": true, "message": ""}');
      expect(statesOf(then)).toEqual(['/mnt/a attached well']);
      expect(gone).toBe('{"done": true, "message": ""}');
      expect(statesOf(last)).toEqual([]);
      expect(no).toMatch(/"done": false, "message": "mount: .*fstab/);
    });

    /** With programs of the distribution that say how they were called, and a kernel that has these file systems. */
    const elsewhere = (kernel: string, call: string) => `
      mkdir /run/bin
      for kind in cifs nfs; do printf '#!/bin/sh\\necho "real $*"\\n' > /run/bin/$kind; chmod +x /run/bin/$kind; done
      mount -t tmpfs none /mnt; mkdir /mnt/upper /mnt/work
      mount -t overlay -o lowerdir=/usr/sbin,upperdir=/mnt/upper,workdir=/mnt/work none /usr/sbin
      cp /run/bin/cifs /usr/sbin/mount.cifs.distrib; cp /run/bin/nfs /usr/sbin/mount.nfs.distrib
      cp ${files}/mount-elsewhere /usr/sbin/mount-elsewhere; cp ${files}/mount-elsewhere /usr/sbin/mount.nfs; ln -sf mount.nfs /usr/sbin/umount.nfs
      printf '${kernel}' > /run/kernel; mount --bind /run/kernel /proc/filesystems
      ${call}`;

    it.each([
      { what: 'cifs', call: 'mount-elsewhere cifs //server/share /mnt -o x', says: 'real //server/share /mnt -o x' },
      { what: 'nfs', call: 'mount.nfs server:/export /mnt', says: 'real server:/export /mnt' },
    ])('hand $what to the distribution where the kernel has it', async ({ call, says }) => {
      expect(await inside(elsewhere('nodev\\tcifs\\nnodev\\tnfs4\\n', call))).toEqual([says]);
    });

    it('say what is the matter where it has not, and let go what is mounted', async () => {
      const lines = await inside(
        elsewhere('nodev\\ttmpfs\\n', '{ mount.nfs server:/export /mnt || echo $?; umount.nfs /mnt; } 2>&1'),
      );
      expect(lines[0]).toMatch(
        /^mount\.nfs: the kernel of this machine has no nfs file system\. Use a kernel that has one/,
      );
      expect(lines.slice(1)).toEqual(['32', 'real /mnt']);
    });

    it('say so in a container, whatever its kernel has', async () => {
      const [line] = await inside(
        elsewhere(
          'nodev\\tcifs\\n',
          `unshare -U --map-root-user sh -c 'mount-elsewhere cifs //server/share /mnt -o password=hunter2 2>&1' || true`,
        ),
      );
      expect(line).toMatch(
        /^mount\.cifs: this instance is a container, and the kernel lets none mount cifs file systems/,
      );
      expect(line).not.toContain('hunter2');
    });
  },
);
