/** The program that makes the places of people's folders on an instance, as root with the real kernel, in namespaces of its own. */
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { must, repository, run } from './installation.ts';

const files = join(repository, 'images/recipes/base/files');
const isPossible = (() => {
  if (process.getuid?.() !== 0) return false;
  try {
    execFileSync('unshare', ['-mpf', '--mount-proc', 'python3', '-c', 'import os; os.pidfd_open(1)'], {
      stdio: 'ignore',
    });
    return true;
  } catch {
    return false;
  }
})();
const alice = { name: 'alice', uid: 10_001, gid: 10_001 };
const workspace = '/mnt/shared/notebooks/alice';
const home = {
  ...{ do: 'home', user: alice, workspace },
  rescue: {
    mountPoint: '/mnt/shared',
    folder: 'team-2030-01-01',
    limitBytes: 2 ** 20,
    skeleton: '/none',
  },
};

describe.skipIf(!isPossible)('the program that settles people on an instance', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'poolhouse-settle-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  /** Shell commands on an instance where the script has made /mnt/shared: `settle NAME` runs it with that document. */
  async function inside(commands: string, documents: Record<string, object>): Promise<string[]> {
    for (const [name, document] of Object.entries(documents))
      await writeFile(join(folder, name), JSON.stringify(document));
    const script = `set -eu
      rm -rf ${folder}/disk
      for at in /home /var/lib /mnt /usr/lib/poolhouse; do
        mkdir -p $at ${folder}/disk$at; chmod 755 ${folder}/disk$at; mount --bind ${folder}/disk$at $at
      done
      mkdir /mnt/shared; for name in rescue settle; do cp ${files}/$name /usr/lib/poolhouse/; done; chmod 755 /usr/lib/poolhouse/*
      settle() { python3 -I ${files}/settle < ${folder}/$1 2>&1 || echo refused; }
      as() { setpriv --reuid "$1" --regid "$1" --clear-groups -- sh -c "$2"; }
      show() { mount -t tmpfs -o mode=700,uid=10001,gid=10001 none ${workspace}; }
      ${commands}`;
    expect((await run('test', ['-e', '/usr/lib/poolhouse'])).exitCode, 'this machine is an instance').not.toBe(0);
    try {
      return (await must('unshare', ['-mpf', '--mount-proc', 'sh', '-c', script])).trim().split('\n');
    } finally {
      await run('rmdir', ['/usr/lib/poolhouse']);
    }
  }

  it('makes places that are root’s, and follows no link to one', async () => {
    const points = { do: 'points', target: '/mnt/shared', folders: ['notebooks/alice', 'groups/team'] };
    const lines = await inside(
      `chmod 777 /mnt/shared; as 10001 'mkdir -m 777 /mnt/shared/notebooks'; settle points
       find /mnt/shared -printf '%P %U %m\\n'; show; settle points; stat -c '%u %a' ${workspace}
       rmdir /mnt/shared/groups/team /mnt/shared/groups; ln -s /home /mnt/shared/groups; settle points | tail -1; ls /home`,
      { points },
    );
    expect(lines.slice(0, 5).toSorted()).toEqual([
      '0 755',
      'groups 0 755',
      'groups/team 0 755',
      'notebooks 0 755',
      'notebooks/alice 0 755',
    ]);
    expect(lines.slice(5)).toEqual(['10001 700', 'refused']);
  });

  it('makes the place of a share anew, where the engine took it away with the share', async () => {
    const points = { do: 'points', target: '/mnt/deep/shared', folders: ['notebooks/alice'] };
    const lines = await inside(`settle points; find /mnt/deep -printf '%p %U %m\\n'`, { points });
    expect(lines.toSorted()).toEqual([
      '/mnt/deep 0 755',
      '/mnt/deep/shared 0 755',
      '/mnt/deep/shared/notebooks 0 755',
      '/mnt/deep/shared/notebooks/alice 0 755',
    ]);
  });

  it('makes a workspace a home once, moves what was in the home there, and keeps what is the machine’s own on it', async () => {
    const lines = await inside(
      `mkdir -p ${workspace}; show
       mkdir -m 750 /home/alice; chown 10001:10001 /home/alice; as 10001 'echo mine > /home/alice/work'
       settle home; stat -c '%u %a' /home/alice; ls -A /home/alice; cat ${workspace}/rescued/*/work
       cat /home/.before-alice/work; stat -c '%u %a' /var/lib/poolhouse-local/alice
       readlink ${workspace}/.cache ${workspace}/notebooks/remote; as 10001 'rm ${workspace}/.bashrc'
       settle home; ls ${workspace}/.bashrc || echo stays so`,
      { home },
    );
    expect(lines).toEqual([
      '0 755',
      'mine',
      'mine',
      '10001 700',
      '/var/lib/poolhouse-local/alice/cache',
      '..',
      'stays so',
    ]);
  });

  it('moves no home while its owner works in it, and all that they have made by then', async () => {
    const lines = await inside(
      `mkdir -p ${workspace}; show
       mkdir -m 750 /home/alice; chown 10001:10001 /home/alice; as 10001 'mkdir /home/alice/work; echo 1 > /home/alice/work/one'
       as 10001 'cd /home/alice/work; sleep 1000 & echo $!' > ${folder}/pid; settle home | tail -1; ls -A /home
       as 10001 'echo 2 > /home/alice/work/two'; kill $(cat ${folder}/pid); while pgrep -U 10001 > /dev/null; do sleep 0.02; done
       settle home; ls ${workspace}/rescued/*/work; stat -c %u /home/alice`,
      { home },
    );
    expect(lines).toEqual(['refused', 'alice', 'one', 'two', '0']);
  });

  it('makes no home of what is not their workspace, or is not shown', async () => {
    expect(
      await inside(
        `mkdir -p ${workspace}; settle home | tail -1; mount -t tmpfs -o mode=700,uid=10002 none ${workspace}
         settle home | tail -1; settle arrive | tail -1; ls -A ${workspace}; ls -A /home`,
        { home, arrive: { do: 'arrive', user: alice, workspace } },
      ),
    ).toEqual(['refused', 'refused', 'refused']);
  });

  it('follows no link that somebody put into their workspace', async () => {
    expect(
      await inside(
        `mkdir -p ${workspace} /home/other; chown 10002 /home/other; show
         as 10001 'cd ${workspace}; ln -s /etc notebooks; ln -s /home/other .local; ln -s /etc/shadow .cache; ln -s /etc/x .profile'
         settle home | tail -1; ls -A /home/other; ls /etc/remote /etc/x 2> /dev/null || echo nothing`,
        { home },
      ),
    ).toEqual(['refused', 'nothing']);
  });

  it('ends all processes of somebody, and of nobody else', async () => {
    expect(
      await inside(
        `for uid in 10001 10002; do as $uid 'sleep 1000 & sleep 1000 &' > /dev/null; done
         settle end; pgrep -c -U 10001 || true; pgrep -c -U 10002; settle root | tail -1`,
        { end: { do: 'end', uid: 10_001 }, root: { do: 'end', uid: 0 } },
      ),
    ).toEqual(['0', '2', 'refused']);
  });
});
