import { describe, expect, it } from 'vitest';
import { hostDefects, type HostFacts } from './host-checks.ts';

const unified = '35 24 0:30 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate';
const legacy = [
  '36 24 0:31 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755',
  '37 36 0:32 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct',
  '38 36 0:33 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory',
].join('\n');
const good: HostFacts = {
  subuid: '_lxd:100000:10000001\nroot:100000:10000001\n',
  subgid: 'root:100000:65536\n',
  mounts: `22 1 8:1 / / rw - ext4 /dev/sda1 rw\n${unified}\n`,
  controllers: 'cpuset cpu io memory pids\n',
  userNamespaces: '63431\n',
};

const cases: [what: string, facts: Partial<HostFacts>, defects: RegExp[]][] = [
  ['a usual host', {}, []],
  ['cgroups as of old', { mounts: legacy, controllers: undefined }, []],
  ['root by its number', { subuid: '0:100000:65536' }, []],
  ['no such files at all', { subuid: undefined, subgid: undefined }, []],
  [
    'no range for root',
    { subuid: 'alice:100000:65536\n', subgid: '' },
    [/in \/etc\/subuid and \/etc\/subgid, .*usermod --add-subuids \S+ --add-subgids \S+ root$/],
  ],
  ['a range in one of them only', { subgid: undefined }, [/in \/etc\/subgid, .*usermod --add-subgids \S+ root$/]],
  ['a range that is too small', { subuid: 'root:100000:1000' }, [/at least 65536 ids in \/etc\/subuid/]],
  ['no cgroups', { mounts: '22 1 8:1 / / rw - ext4 /dev/sda1 rw', controllers: undefined }, [/mount -t cgroup2/]],
  ['no memory controller', { controllers: 'cpuset cpu\n' }, [/cgroup_enable=memory/]],
  [
    'no memory controller, as of old',
    { mounts: legacy.replace('rw,memory', 'rw,pids'), controllers: undefined },
    [/memory/],
  ],
  ['no user namespaces', { userNamespaces: '0\n' }, [/user\.max_user_namespaces/]],
  ['several at once', { subuid: '', mounts: '', userNamespaces: undefined }, [/subuid/, /namespaces/, /cgroups/]],
];

describe('what an engine needs of its host', () => {
  it.each(cases)('with %s', (_what, over, expected) => {
    const defects = hostDefects({ ...good, ...over }, { ownIdMap: false });
    expect(defects).toEqual(expected.map((words) => expect.stringMatching(words) as string));
  });

  it('is less where the engine maps ids by its own files', () => {
    expect(hostDefects({ ...good, subuid: '' }, { ownIdMap: true })).toEqual([]);
  });
});
