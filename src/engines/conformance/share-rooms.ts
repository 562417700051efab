/** What is promised of folders with rooms of their own, and of snapshots: quotas, owners, and that no planted link leads anywhere. */
import { describe, expect, it } from 'vitest';
import { mebibyte, type Ground } from './ground.ts';

export function describeShareRooms(ground: Ground): void {
  const { signal, started, find, run, shell, fails, real, specOf } = ground;
  const share = { account: 'team', share: 'files', quotaBytes: 128 * mebibyte };
  const whole = { account: 'team', share: 'files', folder: '', path: '/mnt/files' };
  const alice = { account: 'team', share: 'files', folder: 'notebooks/alice', uid: 10_001, gid: 10_001, mode: 0o700 };
  const bob = { ...alice, folder: 'notebooks/bob', uid: 10_002, gid: 10_002 };
  const as = (uid: number, script: string) =>
    `su -s /bin/sh -c ${JSON.stringify(script)} ${uid === 10_001 ? 'alice' : 'bob'}`;
  const people =
    'grep -q alice /etc/passwd || echo "alice:x:10001:10001::/:/bin/sh\nbob:x:10002:10002::/:/bin/sh" >> /etc/passwd';
  const withPeople = async () => {
    const spec = await started();
    await shell(spec.name, people);
    return spec;
  };
  const namesOf = async () => (await ground.engine.listSnapshots('team', 'files', signal)).map(({ name }) => name);

  describe('folders with rooms of their own', () => {
    it('makes them once, changes their quota, and lists them', async () => {
      await expect(ground.engine.ensureFolder(alice, signal)).rejects.toEqual(fails('ShareNotFound'));
      await ground.engine.ensureShare(share, signal);
      expect(await ground.engine.ensureFolder(alice, signal)).toBe('made');
      expect(await ground.engine.ensureFolder({ ...alice, quotaBytes: 16 * mebibyte }, signal)).toBe('kept');
      await ground.engine.ensureFolder({ ...bob, quotaBytes: 32 * mebibyte }, signal);
      await ground.engine.ensureFolder(bob, signal);
      const found = await ground.engine.listFolders('team', 'files', signal);
      const any = expect.any(Number) as number;
      expect(found.sort((a, b) => a.folder.localeCompare(b.folder))).toEqual([
        { folder: 'notebooks/alice', usedBytes: any, quotaBytes: 16 * mebibyte },
        { folder: 'notebooks/bob', usedBytes: any },
      ]);
    });

    it('attaches one, which is made where it is missing, and not the same place twice', async () => {
      const spec = specOf();
      await ground.engine.create(spec, signal);
      await ground.engine.ensureShare(share, signal);
      const attachment = { ...whole, folder: 'notebooks/alice', path: '/mnt/alice' };
      await ground.engine.attachShare(spec.name, attachment, signal);
      await ground.engine.attachShare(spec.name, attachment, signal);
      expect((await find(spec.name))?.attachments).toEqual([attachment]);
      await expect(
        ground.engine.attachShare(spec.name, { ...attachment, folder: 'notebooks/bob' }, signal),
      ).rejects.toEqual(fails('Conflict'));
      await expect(ground.engine.deleteShare('team', 'files', signal)).rejects.toEqual(fails('Conflict'));
      await ground.engine.detachShare(spec.name, attachment.path, signal);
      await ground.engine.deleteShare('team', 'files', signal);
    });

    real('shows an instance one of them and nothing else of the share, also after a restart', async () => {
      await ground.engine.ensureShare(share, signal);
      for (const folder of [alice, bob]) await ground.engine.ensureFolder(folder, signal);
      const [one, two] = [await withPeople(), await withPeople()];
      await ground.engine.attachShare(one.name, whole, signal);
      await shell(one.name, as(10_001, 'echo mine > /mnt/files/notebooks/alice/note'));
      const attachment = { ...whole, folder: 'notebooks/alice', path: '/mnt/files/notebooks/alice' };
      await ground.engine.attachShare(two.name, attachment, signal);
      const look = () =>
        shell(
          two.name,
          'cat /mnt/files/notebooks/alice/note; ls /mnt/files/notebooks; stat -c %u:%a /mnt/files/notebooks/alice',
        );
      expect((await look()).stdout).toBe('mine\nalice\n10001:700\n');
      const options = await run(two.name, 'grep', ' /mnt/files/notebooks/alice ', '/proc/self/mountinfo');
      expect(options.stdout.split(' ')[5]?.split(',')).toEqual(expect.arrayContaining(['nosuid', 'nodev']));
      await ground.engine.setPower(two.name, 'stopped', signal);
      await ground.engine.setPower(two.name, 'running', signal);
      expect((await look()).stdout).toBe('mine\nalice\n10001:700\n');
      await ground.engine.detachShare(two.name, attachment.path, signal);
      expect((await run(two.name, 'ls', attachment.path)).stdout).toBe('');
      expect((await run(one.name, 'cat', '/mnt/files/notebooks/alice/note')).stdout).toBe('mine\n');
    });

    real('holds each to its quota, all together to that of the share, and lets remove what is too much', async () => {
      await ground.engine.ensureShare({ ...share, quotaBytes: 48 * mebibyte }, signal);
      await ground.engine.ensureFolder({ ...alice, quotaBytes: 16 * mebibyte }, signal);
      await ground.engine.ensureFolder(bob, signal);
      const spec = await withPeople();
      await ground.engine.attachShare(spec.name, whole, signal);
      const write = (uid: number, folder: string, mebibytes: number) =>
        shell(
          spec.name,
          as(uid, `dd if=/dev/urandom of=/mnt/files/notebooks/${folder}/big bs=1M count=${mebibytes} 2>&1`),
        );
      const full = await write(10_001, 'alice', 24);
      expect(full.exitCode).not.toBe(0);
      expect(full.stdout).toContain('quota exceeded');
      expect((await write(10_002, 'bob', 24)).exitCode).toBe(0);
      expect((await write(10_002, 'bob', 40)).exitCode).not.toBe(0);
      expect((await shell(spec.name, as(10_001, 'rm /mnt/files/notebooks/alice/big && echo gone'))).stdout).toBe(
        'gone\n',
      );
      await ground.engine.ensureFolder({ ...alice, quotaBytes: 64 * mebibyte }, signal);
      await ground.engine.ensureShare({ ...share, quotaBytes: 256 * mebibyte }, signal);
      expect((await write(10_001, 'alice', 40)).exitCode).toBe(0);
      await shell(spec.name, 'sync');
      await expect
        .poll(async () => (await ground.engine.listShares(signal))[0]?.usedBytes, { timeout: 10_000 })
        .toBeGreaterThan(70 * mebibyte);
    });

    real('is led nowhere by links that were planted in the share', async () => {
      await ground.engine.ensureShare(share, signal);
      await ground.engine.ensureShare({ ...share, share: 'other' }, signal);
      const spec = await withPeople();
      await ground.engine.attachShare(spec.name, whole, signal);
      await shell(
        spec.name,
        'mkdir /mnt/files/notebooks; ln -s /etc /mnt/files/notebooks/alice; ln -s /etc /mnt/files/groups; ln -s /etc /mnt/files/.snapshots',
      );
      const before = await run(spec.name, 'ls', '/etc');
      await expect(ground.engine.ensureFolder(alice, signal)).rejects.toEqual(fails('Conflict'));
      await expect(ground.engine.ensureFolder({ ...bob, folder: 'groups/team' }, signal)).rejects.toEqual(
        fails('Conflict'),
      );
      await ground.engine.snapshotShare('team', 'files', 'one', signal);
      expect((await run(spec.name, 'ls', '/mnt/files/.snapshots')).stdout).toBe('one\n');
      await expect(
        ground.engine.attachShare(spec.name, { ...whole, folder: 'notebooks/alice', path: '/mnt/alice' }, signal),
      ).rejects.toEqual(fails('Conflict'));
      expect((await run(spec.name, 'ls', '/etc')).stdout).toBe(before.stdout);
      await shell(spec.name, 'rm /mnt/files/notebooks/alice; mkdir /mnt/files/notebooks/alice');
      expect(await ground.engine.ensureFolder(alice, signal)).toBe('plain');
    });
  });

  describe('folders of others', () => {
    real('are kept under their names with an id, and made anew for who has the name now', async () => {
      await ground.engine.ensureShare(share, signal);
      const spec = await withPeople();
      await ground.engine.attachShare(spec.name, whole, signal);
      await ground.engine.ensureFolder({ ...alice, uid: 10_007, gid: 10_007 }, signal);
      await shell(spec.name, 'echo theirs > /mnt/files/notebooks/alice/note');
      expect(await ground.engine.ensureFolder(alice, signal)).toBe('kept');
      const claim = { ...alice, claimed: true };
      expect(await ground.engine.ensureFolder(claim, signal)).toBe('made');
      expect(await ground.engine.ensureFolder(claim, signal)).toBe('kept');
      const seen = 'cd /mnt/files/notebooks; stat -c "%n %u" *; cat alice-10007/note; ls alice';
      expect((await shell(spec.name, seen)).stdout).toBe('alice 10001\nalice-10007 10007\ntheirs\n');
    });
  });

  describe('snapshots', () => {
    it('keeps them by name, lists and deletes them, and goes with its share', async () => {
      await ground.engine.ensureShare(share, signal);
      await ground.engine.ensureFolder(alice, signal);
      await ground.engine.snapshotShare('team', 'files', 'one', signal);
      await ground.engine.snapshotShare('team', 'files', 'one', signal);
      await ground.engine.snapshotShare('team', 'files', '2026-11-26T18-00-00Z', signal);
      expect((await namesOf()).sort()).toEqual(['2026-11-26T18-00-00Z', 'one']);
      await ground.engine.deleteSnapshot('team', 'files', 'one', signal);
      await ground.engine.deleteSnapshot('team', 'files', 'one', signal);
      expect(await namesOf()).toEqual(['2026-11-26T18-00-00Z']);
      await ground.engine.deleteShare('team', 'files', signal);
      await expect(ground.engine.listSnapshots('team', 'files', signal)).rejects.toEqual(fails('ShareNotFound'));
    });

    real('is taken, deleted and removed with a share that is full', async () => {
      await ground.engine.ensureShare({ ...share, quotaBytes: 32 * mebibyte }, signal);
      await ground.engine.ensureFolder({ ...alice, quotaBytes: 16 * mebibyte }, signal);
      const spec = await withPeople();
      await ground.engine.attachShare(spec.name, whole, signal);
      const fill = (folder: string) =>
        `cd ${folder}; dd if=/dev/urandom of=big bs=64k; while echo x > "f$((n+=1))"; do :; done`;
      await shell(spec.name, as(10_001, fill('/mnt/files/notebooks/alice')));
      await shell(spec.name, fill('/mnt/files'));
      for (const name of ['one', 'two']) await ground.engine.snapshotShare('team', 'files', name, signal);
      await ground.engine.deleteSnapshot('team', 'files', 'one', signal);
      expect(await ground.engine.ensureFolder(bob, signal)).toBe('made');
      expect((await shell(spec.name, as(10_001, 'echo x > /mnt/files/notebooks/alice/more'))).exitCode).not.toBe(0);
      const limits = await ground.engine.listFolders('team', 'files', signal);
      expect(limits.find(({ folder }) => folder === 'notebooks/alice')?.quotaBytes).toBe(16 * mebibyte);
      await ground.engine.detachShare(spec.name, '/mnt/files', signal);
      await ground.engine.deleteShare('team', 'files', signal);
      expect(await ground.engine.listShares(signal)).toEqual([]);
    });

    real('goes with a share in which somebody made paths that are too long for the engine', async () => {
      await ground.engine.ensureShare(share, signal);
      await ground.engine.ensureFolder(alice, signal);
      const spec = await withPeople();
      await ground.engine.attachShare(spec.name, whole, signal);
      // Built from its end, so that no path that is named is long.
      const deep = `cd /mnt/files/notebooks/alice; name=$(printf '%0200d' 0); mkdir $name; n=0
        while [ $((n+=1)) -le 30 ]; do mkdir outer && mv $name outer/ && mv outer $name || exit 1; done`;
      expect((await shell(spec.name, deep)).exitCode).toBe(0);
      await ground.engine.snapshotShare('team', 'files', 'one', signal);
      await ground.engine.detachShare(spec.name, '/mnt/files', signal);
      await ground.engine.deleteShare('team', 'files', signal);
      expect(await ground.engine.listShares(signal)).toEqual([]);
    });

    real('does not take what people have put in its place for its own', async () => {
      await ground.engine.ensureShare(share, signal);
      await ground.engine.ensureFolder(alice, signal);
      await ground.engine.ensureFolder(bob, signal);
      const spec = await withPeople();
      await ground.engine.attachShare(spec.name, whole, signal);
      await ground.engine.snapshotShare('team', 'files', 'one', signal);
      await shell(
        spec.name,
        as(10_001, 'cd /mnt/files/notebooks/alice; mv .snapshots old; mkdir -p .snapshots/two; chmod 700 .snapshots'),
      );
      await shell(spec.name, as(10_002, 'cd /mnt/files/notebooks/bob; mv .snapshots old; ln -s /etc .snapshots'));
      await ground.engine.snapshotShare('team', 'files', 'two', signal);
      const folders = await ground.engine.listFolders('team', 'files', signal);
      expect(folders.map(({ folder }) => folder).sort()).toEqual(['notebooks/alice', 'notebooks/bob']);
      const seen = (name: string) =>
        shell(
          spec.name,
          `cd /mnt/files/notebooks/${name}; ls -d .snap* old; ls .snapshots; stat -c %u:%a .snapshots-moved`,
        );
      expect((await seen('alice')).stdout).toBe('.snapshots\n.snapshots-moved\nold\ntwo\n10001:700\n');
      expect((await seen('bob')).stdout).toContain('.snapshots\n.snapshots-moved\nold\ntwo\n');
      await ground.engine.deleteSnapshot('team', 'files', 'one', signal);
      expect((await shell(spec.name, 'ls -A /mnt/files/notebooks/*/old')).stdout).not.toContain('one');
    });

    real('shows what was there, read-only, with the folders of their own, and does not count it', async () => {
      await ground.engine.ensureShare({ ...share, quotaBytes: 48 * mebibyte }, signal);
      await ground.engine.snapshotShare('team', 'files', 'empty', signal);
      await ground.engine.ensureFolder({ ...alice, quotaBytes: 32 * mebibyte }, signal);
      const spec = await withPeople();
      await ground.engine.attachShare(spec.name, whole, signal);
      const fill = 'cd /mnt/files/notebooks/alice; dd if=/dev/urandom of=big bs=1M count=24 && echo old > note && sync';
      expect((await shell(spec.name, as(10_001, fill))).exitCode).toBe(0);
      await shell(spec.name, 'echo root > /mnt/files/top');
      await ground.engine.snapshotShare('team', 'files', 'one', signal);
      await shell(spec.name, as(10_001, 'cd /mnt/files/notebooks/alice; rm big; echo new > note'));
      const read =
        'cd /mnt/files; cat .snapshots/one/top .snapshots/one/notebooks/alice/note notebooks/alice/.snapshots/one/note';
      expect((await shell(spec.name, read)).stdout).toBe('root\nold\nold\n');
      for (const [uid, script] of [
        [10_001, 'echo x > /mnt/files/notebooks/alice/.snapshots/one/note'],
        [10_001, 'rm -rf /mnt/files/notebooks/alice/.snapshots/one/note'],
        [10_002, 'cat /mnt/files/notebooks/alice/.snapshots/one/note'],
        [10_002, 'cat /mnt/files/.snapshots/one/notebooks/alice/note'],
      ] as const)
        expect((await shell(spec.name, as(uid, script))).exitCode, script).not.toBe(0);
      expect(
        (await shell(spec.name, 'touch /mnt/files/.snapshots/one/x /mnt/files/.snapshots/empty/x')).exitCode,
      ).not.toBe(0);
      // What only the snapshot keeps is not the share's: there is room for as much again.
      await shell(spec.name, 'sync');
      await expect
        .poll(async () => (await ground.engine.listShares(signal))[0]?.snapshotBytes, { timeout: 15_000 })
        .toBeGreaterThan(20 * mebibyte);
      expect((await shell(spec.name, as(10_001, fill))).exitCode).toBe(0);
      await ground.engine.deleteSnapshot('team', 'files', 'one', signal);
      expect(await namesOf()).toEqual(['empty']);
      expect((await shell(spec.name, 'ls /mnt/files/notebooks/alice/.snapshots')).stdout).toBe('');
      expect((await shell(spec.name, 'cat /mnt/files/notebooks/alice/note')).stdout).toBe('old\n');
    });
  });
}
