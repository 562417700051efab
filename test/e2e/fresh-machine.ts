/**
 * A machine on which no engine has ever run, to see what is left of a whole life on it: this one, with mounts, a network,
 * `/etc`, `/run` and the engine's state of its own. `fresh-machine.test.ts` starts this program; it prints what it saw.
 */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { killHard, must, run, TestInstallation, type Result } from './installation.ts';
import { differences, processesOf, takePicture } from './machine-picture.ts';

export interface Seen {
  what: string;
  result: Result;
  differences: string[];
  processes: string[];
}

/** What the machine must not have seen yet; the folders are emptied for it alone. */
const setup = `
set -e
mount -t tmpfs -o mode=755 tmpfs /mnt && cp -a /etc/. /mnt && mount --move /mnt /etc
# Somebody else's, who may take them away meanwhile.
awk '{ print $5 }' /proc/self/mountinfo | grep -E '^/(tmp|run|var/lib/(lxd|incus))/' | tac | xargs -r umount --lazy
for folder in /run /tmp /var/lib/lxd /var/lib/incus /var/log/lxd /var/log/incus; do
  if [ -d $folder ]; then mount -t tmpfs -o mode=755 tmpfs $folder; fi
done
# What the kernel tells of interfaces, which the engine looks at, is that of another network until it is mounted anew.
mount --rbind /sys/fs/cgroup /mnt && mount -t sysfs sysfs /sys && mount --rbind /mnt /sys/fs/cgroup && umount --lazy /mnt
umount --lazy /var/lib/lxcfs 2>/dev/null || true
ip link set lo up
echo 0 > /proc/sys/net/ipv4/ip_forward
sed -i '/^poolhouse:/d' /etc/passwd /etc/group /etc/shadow /etc/gshadow
"$0" "$@"`;

/** Runs the scenario below on a fresh machine. */
export async function seenOnFreshMachine(): Promise<Seen[]> {
  const self = fileURLToPath(import.meta.url);
  const printed = await must(
    'unshare',
    // Whatever runs there ends with it.
    ['--mount', '--net', '--pid', '--fork', '--kill-child', '--mount-proc', '--propagation', 'private'].concat([
      'sh',
      '-c',
      setup,
      process.execPath,
      self,
    ]),
    { timeoutMs: 240_000 },
  );
  return JSON.parse(printed) as Seen[];
}

async function scenario(): Promise<Seen[]> {
  const before = await takePicture();
  const seen: Seen[] = [];
  const ids: string[] = [];
  const destroy = async (what: string, installation: TestInstallation) => {
    const result = await installation.poolhouse('down', '--destroy', '--yes');
    seen.push({
      what,
      result,
      differences: differences(before, await takePicture(), ids, []),
      processes: await processesOf([installation.home, '/run/poolhouse', ...ids]),
    });
  };
  const make = async () => {
    const installation = await TestInstallation.make({ poolGiB: 5 });
    await installation.up();
    ids.push((await installation.id()) ?? '');
    return installation;
  };

  await destroy('a whole life', await make());

  const orphan = await make();
  killHard((await engine()).pid);
  await destroy('the daemon was killed before', orphan);

  const half = await TestInstallation.make({});
  await must('useradd', ['--system', '--user-group', '--comment', 'Poolhouse gateway', 'poolhouse']);
  await destroy('an `up` that had only begun', half);
  await destroy('once more', half);

  const others = await TestInstallation.make({});
  await must('useradd', ['--system', '--user-group', '--comment', 'The pool house in the garden', 'poolhouse']);
  await destroy(`somebody's account of that name`, others);
  await run('userdel', ['poolhouse']);
  return seen;
}

/** The daemon that was started here. */
async function engine(): Promise<{ pid: number }> {
  const note = JSON.parse(await readFile('/run/poolhouse-engine.pid', 'utf8')) as { daemon: { pid: number } };
  return note.daemon;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.stdout.write(JSON.stringify(await scenario()));
  process.exit(0);
}
