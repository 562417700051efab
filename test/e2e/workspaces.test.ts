/**
 * Workspaces on three real instances: the same files everywhere, nobody else's, and no more of them than the quota says, whatever is
 * planted on the share.
 */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { WorkspaceUsage } from '../../src/control/workspace-usage.ts';
import { insideInstance } from './inside-instance.ts';
import { smallSample } from './small-sample.ts';
import { missingForSystemTests, must, repository, run, ssh, TestInstallation, until } from './installation.ts';

const missing = await missingForSystemTests(['sshpass', 'sftp', 'nft', 'mmdebstrap', 'curl']);
const password = 'Correct-Horse-7';
const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKZ0dqOPMA8xJT4Nr8tqV0Z9EEiOTjFCgZxT1n8PVyLZ somebody';
const MiB = 2 ** 20;
const share = '/mnt/shared';

describe.skipIf(missing !== undefined)(`workspaces${missing === undefined ? '' : ` (left out: ${missing})`}`, () => {
  let installation: TestInstallation;
  let folder: string;
  let address: string;
  let hosts: string[];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'poolhouse-workspaces-'));
    await must('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'key')]);
    await writeFile(join(folder, 'template.json'), await smallSample({ 'poolhouse-user-quota': '100MiB' }));
    installation = await TestInstallation.make({ poolGiB: 30 });
    await installation.up();
    await installation.mustPoolhouse('groups', 'add', 'team');
    for (const name of ['alice', 'carol']) await installation.mustPoolhouse('users', 'add', name, '--group', 'team');
    await installation.mustPoolhouse('users', 'add', 'bob', '--ssh-key', join(folder, 'key.pub'));
    await installation.mustPoolhouse(
      ...['deploy', '-g', 'team', '-f', join(folder, 'template.json'), '-p', 'adminUsername=azure'],
      ...['-p', `adminPassword=${password}`, '-p', `adminPublicKey=${key}`, '-p', 'vmSku=Standard_B1s'],
      ...['-p', 'instanceCount=3', '-p', 'shareQuotaGiB=1'],
    );
    const pool = await installation.pool('sharedpool');
    address = pool.frontEnds[0]?.address ?? '';
    hosts = pool.instances.map(({ name }) => name);
  });
  afterAll(async () => {
    await installation.destroy();
    await rm(folder, { recursive: true });
  });

  const on = (index: number, user: string, command: string) =>
    insideInstance(installation, hosts[index] ?? '', user, command);
  const mustOn = async (index: number, user: string, command: string) => {
    const { exitCode, stdout, stderr } = await on(index, user, command);
    expect(exitCode, `${command}\n${stdout}\n${stderr}`).toBe(0);
    return stdout.trim();
  };
  const usage = async (name: string): Promise<WorkspaceUsage | undefined> => {
    const shown = await installation.mustPoolhouse('users', 'show', name, '--json');
    return (JSON.parse(shown) as { workspaces: WorkspaceUsage[] }).workspaces[0];
  };
  const quotaIs = (name: string, bytes: number | null) =>
    until(`${name} has a quota of ${String(bytes)}`, async () =>
      (await usage(name))?.quotaBytes === bytes ? true : undefined,
    );

  it('are the same everywhere at once', async () => {
    expect(hosts).toHaveLength(3);
    expect(
      await mustOn(0, 'root', `stat -c '%a %U' ${share} ${share}/notebooks ${share}/notebooks/* ${share}/groups/*`),
    ).toBe('1777 root\n755 root\n700 alice\n700 azure\n700 bob\n700 carol\n2770 root');
    expect(await mustOn(0, 'alice', 'readlink ~/notebooks/remote ~/shared ~/groups/team')).toBe(
      `${share}/notebooks/alice\n${share}\n${share}/groups/team`,
    );
    await mustOn(0, 'alice', 'echo one > ~/notebooks/remote/note');
    for (const index of [1, 2]) expect(await mustOn(index, 'alice', 'cat ~/notebooks/remote/note')).toBe('one');
  });

  it('are locked on one instance for the others, and keep every row of a database', async () => {
    await mustOn(0, 'alice', 'setsid flock ~/notebooks/remote/lock sleep 1000 > /dev/null 2>&1 & sleep 1');
    expect((await on(1, 'alice', 'flock -n ~/notebooks/remote/lock true')).exitCode).toBe(1);
    await mustOn(0, 'root', 'pkill -U alice -x sleep');
    await until('it is free', async () =>
      (await on(1, 'alice', 'flock -n ~/notebooks/remote/lock true')).exitCode === 0 ? true : undefined,
    );
    const sql = (statement: string) =>
      `python3 -c 'import sqlite3,os; c=sqlite3.connect(os.path.expanduser("~/notebooks/remote/rows.db"),timeout=60,isolation_level=None)\n${statement}'`;
    await mustOn(0, 'alice', sql('c.execute("create table r(n)")'));
    await Promise.all(
      [0, 1, 2].map((index) =>
        mustOn(index, 'alice', sql('for n in range(40): c.execute("insert into r values(?)",(n,))')),
      ),
    );
    expect(await mustOn(1, 'alice', sql('print(c.execute("select count(*) from r").fetchone()[0])'))).toBe('120');
  });

  it('hold environments that run on every instance', async () => {
    await mustOn(0, 'alice', 'python3 -m venv --without-pip ~/notebooks/remote/env');
    expect(await mustOn(1, 'alice', '~/notebooks/remote/env/bin/python -c "import sys; print(sys.prefix)"')).toMatch(
      /\/notebooks\/(remote|alice)\/env$/,
    );
  });

  it('are closed to everybody else, by path', async () => {
    await mustOn(0, 'bob', 'echo mine > ~/notebooks/remote/note; echo mine > ~/shared/of-bob');
    const [hers, own] = [`${share}/notebooks/alice`, `${share}/notebooks/bob`];
    const attempts = [
      ...[`cat ${hers}/note`, `ls ${hers}`, `cd ${hers}`, `stat ${hers}/note`, `mv ${hers} ${own}/hers`],
      ...[`mv ${hers} ${share}/notebooks/other`, `rm -r ${hers}`, `rmdir ${hers}`, `chmod 777 ${hers}`],
      ...[`ln ${hers}/note ${own}/hard`, `ln -s ${hers}/note ${own}/soft && cat ${own}/soft`],
      ...[`ln -s ${hers} ${own}/folder && ls ${own}/folder/`, `cp ${own}/note ${hers}/note`, `mkdir ${hers}/x`],
      ...[
        `mv ${own}/note ${hers}/note`,
        `dd if=/dev/zero of=${hers}/full bs=1k count=1`,
        `touch ${share}/notebooks/new`,
      ],
      ...[`mv ${share}/notebooks ${share}/mine`, `mv ${share}/groups ${share}/mine`, `mkdir ${share}/groups/new`],
      ...[`ls ${share}/groups/team`, `touch ${share}/groups/team/x`, `ls ${hers}/.snapshots`],
    ];
    const script = attempts.map((one) => `( ${one} ) > /dev/null 2>&1 && echo "did: ${one}"`).join('\n');
    expect((await on(1, 'bob', `${script}\ntrue`)).stdout).toBe('');
    expect((await on(1, 'alice', 'rm -f ~/shared/of-bob || mv ~/shared/of-bob ~/shared/other')).exitCode).not.toBe(0);
    expect(await mustOn(2, 'alice', `cat ~/notebooks/remote/note; find ${hers} -maxdepth 1 -user bob`)).toBe('one');
  });

  it('are closed to everybody else, by sftp through the front door', async () => {
    const [hers, own] = [`${share}/notebooks/alice`, `${share}/notebooks/bob`];
    const attempts = [
      ...[`get ${hers}/note ${join(folder, 'stolen')}`, `get ${own}/way/note ${join(folder, 'stolen')}`, `ls ${hers}`],
      ...[`put ${join(folder, 'key.pub')} ${hers}/put`, `rename ${hers} ${own}/hers`, `ln ${hers}/note ${own}/hard`],
      ...[`rename ${own}/note ${hers}/note`, `rm ${hers}/note`, `mkdir ${hers}/x`, `chmod 777 ${hers}`],
    ];
    const batch = [`-rm ${own}/way`, `ln -s ${hers} ${own}/way`, ...attempts.map((one) => `-${one}`), 'pwd', ''];
    const options = [
      ...[
        '-q',
        '-b',
        '-',
        '-F',
        'none',
        '-i',
        join(folder, 'key'),
        '-o',
        `UserKnownHostsFile=${join(folder, 'known')}`,
      ],
      ...['-o', 'StrictHostKeyChecking=accept-new', '-o', 'LogLevel=ERROR'],
    ];
    const { exitCode, stderr } = await run('sftp', [...options, `bob@${address}`], { input: batch.join('\n') });
    expect(exitCode, stderr).toBe(0);
    expect(await readdir(folder)).not.toContain('stolen');
    expect(
      await mustOn(2, 'alice', `cat ~/notebooks/remote/note; ls -d ${hers}/put ${hers}/x 2> /dev/null || true`),
    ).toBe('one');
    expect(
      await mustOn(2, 'root', `cat ${own}/note; ls -A ${own} | grep -v -x -e note -e way -e soft -e folder || true`),
    ).toBe('mine');
  });

  it('are shared by the members of a group, whatever their umask, and by nobody else', async () => {
    await mustOn(0, 'alice', 'umask 077; mkdir ~/groups/team/data; echo first > ~/groups/team/data/list');
    await mustOn(1, 'carol', 'umask 077; echo second >> ~/groups/team/data/list; touch ~/groups/team/data/more');
    expect(await mustOn(2, 'alice', 'cat ~/groups/team/data/list; rm ~/groups/team/data/more')).toBe('first\nsecond');
    expect((await on(2, 'bob', `cat ${share}/groups/team/data/list`)).exitCode).not.toBe(0);
    expect((await on(2, 'azure', 'ls -d ~/groups')).exitCode).not.toBe(0);
  });

  it('hold what their quota says, under parallel writers, and go on when it is raised', async () => {
    await quotaIs('bob', 100 * MiB);
    expect((await usage('azure').catch(() => undefined))?.quotaBytes ?? null).toBeNull();
    await installation.mustPoolhouse('users', 'set', 'carol', '--quota', '20MiB');
    await quotaIs('carol', 20 * MiB);
    const writer = (name: string) => `dd if=/dev/urandom of=$HOME/notebooks/remote/${name} bs=64k count=160 conv=fsync`;
    const written = await Promise.all(
      [0, 1].map((index) => on(index, 'carol', `${writer(`a${index}`)} & ${writer(`b${index}`)} & wait`)),
    );
    expect(written.map(({ stderr }) => stderr).join('\n')).toContain('Disk quota exceeded');
    const bytes = Number(await mustOn(2, 'carol', 'sync; cat ~/notebooks/remote/* | wc -c'));
    expect(bytes).toBeLessThanOrEqual(20 * MiB);
    expect(bytes).toBeGreaterThan(15 * MiB);
    // Somebody else has room all the same.
    await mustOn(0, 'bob', 'dd if=/dev/zero of=$HOME/notebooks/remote/room bs=1M count=5 conv=fsync 2> /dev/null');
    const goesOn = on(0, 'carol', `until ${writer('c')} 2> /dev/null; do sleep 0.2; done`);
    await installation.mustPoolhouse('users', 'set', 'carol', '--quota', '60MiB');
    expect((await goesOn).exitCode).toBe(0);
    expect(await installation.mustPoolhouse('users', 'show', 'carol')).toMatch(
      /MiB of 60 MiB in notebooks\/carol on shared of /,
    );
    expect((await on(1, 'carol', 'rm ~/notebooks/remote/*')).exitCode).toBe(0);
  });

  it('are there for who comes, when they sign in', async () => {
    await must(join(repository, 'bin', 'poolhouse'), ['users', 'add', 'frank', '--password-stdin'], {
      env: installation.env,
      input: password,
    });
    const ask = () => ssh(password, 'frank', address, 'stat -L -c "%U %a" ~/notebooks/remote');
    const said = await until('frank is in', async () => {
      const answer = await ask();
      return answer.exitCode === 0 ? answer : undefined;
    });
    expect(said.stdout).toBe('frank 700\n');
    await quotaIs('frank', 100 * MiB);
  });

  it('lead nothing of ours elsewhere, whatever somebody has planted', async () => {
    const host = async () => (await readdir('/etc')).toSorted().join('\n');
    const inside = () => mustOn(0, 'root', 'ls -A /etc /etc/cron.d; stat -c "%a %U" /etc /root /tmp');
    await mustOn(0, 'root', 'mkdir -m 777 /tmp/elsewhere');
    const [etc, before] = [await host(), await inside()];
    await mustOn(
      0,
      'root',
      `cd ${share} && ln -s /etc notebooks/dave && ln -s /etc groups/crew && chown -h bob notebooks/dave groups/crew && ln -s /tmp/elsewhere notebooks/erin && ln -s /etc notebooks/alice/etc`,
    );
    await mustOn(0, 'bob', 'rm -rf ~/groups ~/notebooks/way; ln -s /tmp/elsewhere ~/groups');
    await installation.mustPoolhouse('groups', 'add', 'crew', '--user', 'bob');
    await installation.mustPoolhouse('users', 'add', 'dave', '--group', 'crew');
    await installation.mustPoolhouse('users', 'add', 'erin');
    await until('what was planted has made way', async () =>
      (await on(1, 'root', `stat -c '%F %U %a' ${share}/notebooks/dave ${share}/groups/crew`)).stdout ===
      'directory dave 700\ndirectory root 2770\n'
        ? true
        : undefined,
    );
    await until('everybody is on the instance', async () =>
      (await on(0, 'root', 'readlink /home/erin/notebooks/remote /home/dave/groups/crew')).exitCode === 0
        ? true
        : undefined,
    );
    // Root's own makes way too. Nobody followed it.
    const erins = `stat -c '%F %U' ${share}/notebooks/erin; readlink ${share}/notebooks/erin-moved; ls -A /tmp/elsewhere`;
    expect(await mustOn(0, 'root', erins)).toBe('directory erin\n/tmp/elsewhere');
    expect(await inside()).toBe(before);
    expect(await host()).toBe(etc);
    onTestFinished(async () => {
      await on(0, 'root', `rm -rf /tmp/elsewhere ${share}/notebooks/*-moved`);
    });
  });
});
