import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { findPresences, hostProcesses, instanceOf, isWork, parseIdMap, type ProcessList } from './find-presences.ts';

const base = 1_000_000;
const instanceMap = `         0    ${String(base)}   65536\n`;
const cgroupV2 = (payload: string) => `0::/lxc.payload.${payload}/user.slice/user-10001.slice/session-1.scope\n`;
const cgroupV1 = (payload: string) =>
  `9:name=systemd:/lxc.payload.${payload}/init.scope\n4:memory:/lxc.payload.${payload}\n`;

describe('the id map of an instance', () => {
  it.each([
    ['begins at its first line', instanceMap, base],
    ['may have several lines', `0 ${String(base)} 1000000000\n`, base],
    ['is not that of the host', '         0          0 4294967295\n', undefined],
    ['is not that of a rootless container inside', '0 1010001 1\n1 1100000 65536\n', undefined],
    ['is not nothing', '', undefined],
  ])('%s', (_, text, expected) => {
    expect(parseIdMap(text)).toBe(expected);
  });
});

describe('the instance of a process', () => {
  const instances = new Set(['team-a1-000000', 'team-a1-000001']);
  it.each([
    ['cgroup v2', cgroupV2('poolhouse-1_team-a1-000000'), 'team-a1-000000'],
    ['cgroup v1', cgroupV1('poolhouse-1_team-a1-000001'), 'team-a1-000001'],
    ['the default project', cgroupV2('team-a1-000000'), 'team-a1-000000'],
    ['a second start', cgroupV2('poolhouse-1_team-a1-000001-1'), 'team-a1-000001'],
    ['another project', cgroupV2('poolhouse-2_team-a1-000000'), undefined],
    ['an unknown instance', cgroupV2('poolhouse-1_other'), undefined],
    ['the host', '0::/user.slice/user-1000.slice\n', undefined],
    ['a monitor of an instance', '0::/lxc.monitor.poolhouse-1_team-a1-000000\n', undefined],
  ])('is known from %s', (_, text, expected) => {
    expect(instanceOf(text, 'poolhouse-1', instances)).toBe(expected);
  });
});

describe('work', () => {
  it.each([
    ['a shell', 'bash\n', '-bash\0', true],
    ['a job', 'python3\n', 'python3\0train.py\0', true],
    ['a kernel', 'python3\n', '/usr/bin/python3\0-m\0ipykernel_launcher\0-f\0k.json\0', true],
    ['a script that is named like it', 'python3\n', 'python3\0my-jupyterhub-singleuser.py\0', true],
    ['a notebook server', 'jupyterhub-sing\n', '/usr/bin/python3\0/usr/bin/jupyterhub-singleuser\0--ip=x\0', false],
    ['a notebook server as a module', 'python3\n', 'python3\0-m\0jupyterhub.singleuser\0', false],
    ['the user manager', 'systemd\n', '/lib/systemd/systemd\0--user\0', false],
    ['its companion', '(sd-pam)\n', '(sd-pam)\0', false],
    ['a bus', 'dbus-daemon\n', '/usr/bin/dbus-daemon\0--session\0', false],
    ['sshd of a session', 'sshd\n', 'sshd: alice@pts/0\0', false],
    ['an sftp server', 'sftp-server\n', '/usr/lib/openssh/sftp-server\0', false],
    ['what has ended', 'bash\n', '', false],
  ])('%s', (_, comm, cmdline, expected) => {
    expect(isWork(comm, cmdline)).toBe(expected);
  });
});

type Fake = { uid: number; map?: string; cgroup: string; comm?: string; cmdline?: string; gone?: true };

function listOf(fakes: Record<string, Fake>): ProcessList {
  return {
    processes: () => Object.entries(fakes).map(([pid, { uid }]) => ({ pid, uid })),
    read(pid, file) {
      const fake = fakes[pid];
      if (fake === undefined || fake.gone === true) return undefined;
      const { map = instanceMap, cgroup, comm = 'python3\n', cmdline = 'python3\0job.py\0' } = fake;
      return { uid_map: map, cgroup, comm, cmdline, stat: '', io: '' }[file];
    },
  };
}

const payload = cgroupV2('poolhouse-1_one');
const service = '0::/lxc.payload.poolhouse-1_one/system.slice/x.service\n';
const world = {
  project: 'poolhouse-1',
  pools: new Map([
    ['one', '/pools/team'],
    ['two', '/pools/lab'],
  ]),
  users: new Map([
    [10_001, 'alice'],
    [20_000, 'azureuser'],
  ]),
};
const alice = { uid: base + 10_001, cgroup: payload };
const aliceOnOne = { pool: '/pools/team', user: 'alice', instance: 'one', pids: ['1'], kernels: 0 };

describe('who has something running where', () => {
  it.each<[string, Record<string, Fake>, object[]]>([
    ['is found by uid and control group', { 1: alice }, [aliceOnOne]],
    ['is told once, with all that runs', { 1: alice, 2: alice }, [{ ...aliceOnOne, pids: ['1', '2'] }]],
    [
      'may be on several instances',
      { 1: alice, 2: { ...alice, cgroup: cgroupV1('poolhouse-1_two') } },
      [aliceOnOne, { pool: '/pools/lab', user: 'alice', instance: 'two', pids: ['2'], kernels: 0 }],
    ],
    [
      'may be the admin user of a template',
      { 1: { ...alice, uid: base + 20_000 } },
      [{ ...aliceOnOne, user: 'azureuser' }],
    ],
    [
      'is nobody of a service inside',
      {
        1: { ...alice, uid: base + 101 },
        2: { uid: base, cgroup: service },
      },
      [],
    ],
    ['is found by what they run as root', { 1: { ...alice, uid: base } }, [aliceOnOne]],
    ['is not there by the sshd that serves them', { 1: { ...alice, uid: base, comm: 'sshd\n' } }, []],
    ['is nobody unknown who is root', { 1: { ...alice, uid: base, cgroup: payload.replace('10001', '10002') } }, []],
    ['is nobody unknown', { 1: { ...alice, uid: base + 10_002 } }, []],
    ['is nobody of the host', { 1: { uid: 10_001, cgroup: payload } }, []],
    ['is nobody in an instance of others', { 1: { ...alice, cgroup: cgroupV2('theirs_one') } }, []],
    ['is nobody of whom only companions are left', { 1: { ...alice, comm: 'systemd\n' } }, []],
    ['is found past what has just ended', { 1: { ...alice, gone: true }, 2: alice }, [{ ...aliceOnOne, pids: ['2'] }]],
    [
      'is found in a rootless container inside, too',
      { 1: { ...alice, map: '0 1010001 1\n1 1100000 65536\n' }, 2: { uid: base, cgroup: service } },
      [aliceOnOne],
    ],
  ])('%s', (_, fakes, found) => {
    expect(findPresences({ ...world, list: listOf(fakes) })).toEqual(found);
  });

  it('is read from files of the host', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'poolhouse-proc-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    await mkdir(join(folder, '17'));
    await mkdir(join(folder, 'self'));
    await writeFile(join(folder, '17', 'comm'), 'bash\n');
    const list = hostProcesses(folder);
    expect([...list.processes()]).toEqual([{ pid: '17', uid: process.getuid?.() }]);
    expect(list.read('17', 'comm')).toBe('bash\n');
    expect(list.read('17', 'cmdline')).toBeUndefined();
    expect([...hostProcesses().processes()].map(({ pid }) => pid)).toContain(String(process.pid));
  });
});
