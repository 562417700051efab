/** What an engine needs of its host and no package brings. Looked at before the first instance, which would fail oddly. */
import { readFile } from 'node:fs/promises';
import { PoolhouseError } from '../core/errors.ts';

export interface HostFacts {
  /** `/etc/subuid` and `/etc/subgid`; undefined where there is no such file. */
  subuid: string | undefined;
  subgid: string | undefined;
  /** `/proc/self/mountinfo` */
  mounts: string;
  /** `/sys/fs/cgroup/cgroup.controllers`; undefined where there is none. */
  controllers: string | undefined;
  /** `/proc/sys/user/max_user_namespaces`; undefined where the kernel has none. */
  userNamespaces: string | undefined;
}

/** An instance's own accounts are mapped to so many of the host's. */
const leastRange = 65_536;

/** What is wrong with the host, in words that say what to do. Pure. */
export function hostDefects(facts: HostFacts, engine: { ownIdMap: boolean }): string[] {
  const defects: string[] = [];
  const files = [
    ['/etc/subuid', facts.subuid, '--add-subuids'],
    ['/etc/subgid', facts.subgid, '--add-subgids'],
  ] as const;
  // Where neither file is there, the engine takes a range of its own.
  if (!engine.ownIdMap && (facts.subuid !== undefined || facts.subgid !== undefined)) {
    const missing = files.filter(([, text]) => !hasRootRange(text ?? ''));
    if (missing.length > 0)
      defects.push(
        `Root has no range of at least ${leastRange} ids in ${missing.map(([file]) => file).join(' and ')}, from which instances' accounts are taken. Add it, and restart the engine's daemon: usermod ${missing.map(([, , option]) => `${option} 1000000-1000999999`).join(' ')} root`,
      );
  }
  if (facts.userNamespaces === undefined || facts.userNamespaces.trim() === '0')
    defects.push(
      `User namespaces are switched off, without which root in an instance would be root here. Switch them on: sysctl user.max_user_namespaces=15000 (or use a kernel that has them)`,
    );
  const types = facts.mounts
    .split('\n')
    .map((line) => /^(?:\S+ ){4}(\S+) .* - (cgroup2?) \S+ (\S+)$/.exec(line))
    .filter((match) => match !== null);
  const hasMemory =
    types.some((match) => match[2] === 'cgroup' && (match[3] ?? '').split(',').includes('memory')) ||
    facts.controllers?.split(/\s+/).includes('memory') === true;
  if (types.length === 0)
    defects.push(
      `No cgroups are mounted, by which instances are held together and limited. Mount them: mount -t cgroup2 none /sys/fs/cgroup. In a container they must be handed in by its host.`,
    );
  else if (!hasMemory)
    defects.push(
      `The cgroup controller 'memory' is missing, by which an instance's memory is limited. Boot the kernel with cgroup_enable=memory.`,
    );
  return defects;
}

/** `HostNotReady` with everything that is wrong, so that it can be mended at once. */
export async function checkHost(engine: { ownIdMap: boolean }): Promise<void> {
  const read = (file: string) => readFile(file, 'utf8').catch(() => undefined);
  const defects = hostDefects(
    {
      subuid: await read('/etc/subuid'),
      subgid: await read('/etc/subgid'),
      mounts: (await read('/proc/self/mountinfo')) ?? '',
      controllers: await read('/sys/fs/cgroup/cgroup.controllers'),
      userNamespaces: await read('/proc/sys/user/max_user_namespaces'),
    },
    engine,
  );
  if (defects.length > 0)
    throw new PoolhouseError('HostNotReady', `This host cannot run instances yet. ${defects.join('\n')}`);
}

function hasRootRange(text: string): boolean {
  return text.split('\n').some((line) => {
    const [who, start, count] = line.trim().split(':');
    return (who === 'root' || who === '0') && Number(start) > 0 && Number(count) >= leastRange;
  });
}
