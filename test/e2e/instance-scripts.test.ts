/**
 * What runs inside instances to make accounts, homes and workspaces, as root and with the real kernel, but without an
 * instance: in namespaces of its own, with empty folders where an instance has its homes. Needs root, and no engine.
 */
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { accountHomes, poolAccounts, renderAccounts } from '../../src/identity/render-accounts.ts';
import { peopleUids, type User } from '../../src/identity/people.ts';
import { must, repository } from './installation.ts';

const files = join(repository, 'images/recipes/base/files');
const missing = whatIsMissing();

/** The reason why these cannot run here. */
function whatIsMissing(): string | undefined {
  if (process.getuid?.() !== 0) return 'not root';
  try {
    execFileSync('unshare', ['-mpf', '--mount-proc', 'python3', '-c', 'import os; os.pidfd_open(1)'], {
      stdio: 'ignore',
    });
    return undefined;
  } catch {
    return 'no namespaces of our own, or no python3';
  }
}

const admin = { name: 'azure', uid: 20_000, hash: '*' };
const person = (name: string, uid: number, over: Partial<User> = {}): Omit<User, 'passwordHash'> => ({
  ...{ name, uid, groups: [], sshKeys: [], pools: 'all', disabled: false, sudo: false, createdAt: 1 },
  ...over,
});
const provisionOf = (...people: Omit<User, 'passwordHash'>[]) => {
  const accounts = poolAccounts(people, [], 'a/b');
  return JSON.stringify({
    ...renderAccounts(admin, accounts),
    users: accountHomes(admin, [], accounts),
    people: peopleUids,
  });
};
const workspaceOf = (...people: Omit<User, 'passwordHash'>[]) =>
  JSON.stringify({
    mountPoint: '/mnt',
    rootMode: '0755',
    users: people.map(({ name, uid }) => ({ name, uid, gid: uid, person: true })),
  });

describe.skipIf(missing !== undefined)(
  `the scripts of an instance${missing === undefined ? '' : ` (left out: ${missing})`}`,
  () => {
    let folder: string;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'poolhouse-scripts-'));
    });
    afterAll(() => rm(folder, { recursive: true }));

    /** Runs shell commands as on an instance: `provision DOCUMENT`, `workspace DOCUMENT`; gives what they print. */
    async function inside(commands: string, documents: Record<string, string>): Promise<string[]> {
      for (const [name, text] of Object.entries(documents)) await writeFile(join(folder, name), text);
      const script = `set -eu
      for at in /home /var/lib /mnt; do mount -t tmpfs -o mode=755 none $at; done; mkdir /var/lib/extrausers
      provision() { python3 -I ${files}/provision < ${folder}/$1; }
      workspace() { python3 -I ${files}/workspace < ${folder}/$1; }
      at=/mnt/notebooks/alice; control() { test ! -e $at || mv $at $at-$2; install -d -m 700 -o $1 -g $1 $at; }
      as() { setpriv --reuid "$1" --regid "$1" --clear-groups -- sh -c "$2"; }
      ${commands}`;
      const output = await must('unshare', ['-mpf', '--mount-proc', 'sh', '-c', script], {});
      return output.split('\n').filter((line) => line !== '');
    }

    it('make accounts and homes, and nothing anew the second time', async () => {
      const lines = await inside(
        `provision both; stat -c '%n %u:%g %a' /home/* /var/lib/extrausers/*; cat /var/lib/extrausers/shadow
       as 10001 'echo kept > /home/alice/note; chmod 711 /home/alice'
       provision both; cat /home/alice/note; stat -c %a /home/alice; ls -A /home`,
        { both: provisionOf(person('alice', 10_001), person('bob', 10_002)) },
      );
      expect(lines.map((line) => line.replace(/:\d+ 640$/, ' 640'))).toEqual([
        '/home/alice 10001:10001 750',
        '/home/azure 20000:20000 750',
        '/home/bob 10002:10002 750',
        '/var/lib/extrausers/group 0:0 644',
        '/var/lib/extrausers/passwd 0:0 644',
        '/var/lib/extrausers/shadow 0 640',
        ...['azure', 'alice', 'bob'].map((name) => `${name}:*:19000:0:99999:7:::`),
        'kept',
        '711',
        ...['alice', 'azure', 'bob'],
      ]);
    });

    it('end the processes of who is gone, whatever they do, and those of nobody else', async () => {
      const lines = await inside(
        `provision both
       for uid in 10001 10002 20000 1234; do setpriv --reuid $uid --regid $uid --clear-groups sleep 1000 & done
       as 10001 'trap "" TERM HUP; while :; do sh -c "sleep 1000 &"; sleep 0.01; done' &
       sleep 0.3; provision bob
       ps -eo uid,comm | awk '$2 == "sleep" && $1 { print $1 }' | sort -n; ls /home`,
        { both: provisionOf(person('alice', 10_001), person('bob', 10_002)), bob: provisionOf(person('bob', 10_002)) },
      );
      expect(lines).toEqual(['1234', '10002', '20000', 'alice', 'azure', 'bob']);
    });

    it('give nobody the files of who had the name before', async () => {
      const lines = await inside(
        `provision before; workspace workspaceBefore; control 10001
       as 10001 'echo hers > /home/alice/note; echo hers > /mnt/notebooks/alice/note'
       provision after; workspace workspaceAfter; control 10007 10001; workspace workspaceAfter
       stat -c '%n %u' /home/alice* /mnt/notebooks/* ; cat /home/alice-10001/note /mnt/notebooks/alice-10001/note
       ls -A /mnt/notebooks/alice`,
        {
          before: provisionOf(person('alice', 10_001)),
          after: provisionOf(person('alice', 10_007)),
          workspaceBefore: workspaceOf(person('alice', 10_001)),
          workspaceAfter: workspaceOf(person('alice', 10_007)),
        },
      );
      expect(lines).toEqual([
        '/home/alice 10007',
        '/home/alice-10001 10001',
        '/mnt/notebooks/alice 10007',
        '/mnt/notebooks/alice-10001 10001',
        'hers',
        'hers',
      ]);
    });

    it('show people their workspace, and follow no link that they planted', async () => {
      const lines = await inside(
        `provision both; workspace both2
       readlink /home/alice/notebooks/remote; stat -c %u /home/alice/notebooks/remote
       as 10002 'rm -rf /home/bob/notebooks; ln -s /var/lib/extrausers /home/bob/notebooks'
       workspace both2; ls /var/lib/extrausers; ls -ld /home/azure/notebooks/remote 2>&1 | grep -c 'No such'`,
        {
          both: provisionOf(person('alice', 10_001), person('bob', 10_002)),
          both2: workspaceOf(person('alice', 10_001), person('bob', 10_002)),
        },
      );
      expect(lines).toEqual(['/mnt/notebooks/alice', '10001', 'group', 'passwd', 'shadow', '1']);
    });

    it('are quick where nothing changes, for hundreds of people', async () => {
      const people = Array.from({ length: 500 }, (_, index) => person(`user${index}`, 10_000 + index));
      const [milliseconds] = await inside(
        `provision many; before=$(date +%s%N); provision many; echo $((($(date +%s%N) - before) / 1000000))`,
        { many: provisionOf(...people) },
      );
      expect(Number(milliseconds)).toBeLessThan(5_000); // tens of them, on a machine that has nothing else to do
    });
  },
);
