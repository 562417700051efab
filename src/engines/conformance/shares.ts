/** What is promised of shares: quota, attaching and detaching, the same files everywhere, no rights by what lies there. */
import { describe, expect, it } from 'vitest';
import { mebibyte, type Ground } from './ground.ts';

export function describeShares(ground: Ground): void {
  const { signal, specOf, started, find, run, shell, fails, real } = ground;
  describe('shares', () => {
    const share = { account: 'team', share: 'files', quotaBytes: 32 * mebibyte };
    const attachment = { account: 'team', share: 'files', folder: '', path: '/mnt/files' };

    it('makes shares, changes their quota, lists and removes them', async () => {
      await ground.engine.ensureShare(share, signal);
      await ground.engine.ensureShare(share, signal);
      await ground.engine.ensureShare({ ...share, quotaBytes: 64 * mebibyte }, signal);
      await ground.engine.ensureShare({ ...share, account: 'other' }, signal);
      const found = (await ground.engine.listShares(signal)).sort((a, b) => a.account.localeCompare(b.account));
      const holds = { usedBytes: expect.any(Number) as number, snapshotBytes: expect.any(Number) as number };
      expect(found).toEqual([
        { account: 'other', share: 'files', quotaBytes: 32 * mebibyte, ...holds },
        { account: 'team', share: 'files', quotaBytes: 64 * mebibyte, ...holds },
      ]);
      await ground.engine.deleteShare('other', 'files', signal);
      await ground.engine.deleteShare('other', 'files', signal);
      expect((await ground.engine.listShares(signal)).map((one) => one.account)).toEqual(['team']);
    });

    it.each(['running', 'stopped'] as const)('attaches to a %s instance, tells so, and detaches', async (power) => {
      const spec = specOf();
      await ground.engine.create(spec, signal);
      await ground.engine.setPower(spec.name, power, signal);
      await ground.engine.ensureShare(share, signal);
      await ground.engine.attachShare(spec.name, attachment, signal);
      await ground.engine.attachShare(spec.name, attachment, signal);
      expect((await find(spec.name))?.attachments).toEqual([attachment]);
      await ground.engine.detachShare(spec.name, attachment.path, signal);
      await ground.engine.detachShare(spec.name, attachment.path, signal);
      expect((await find(spec.name))?.attachments).toEqual([]);
    });

    it('refuses a share that does not exist, and another one at the same path', async () => {
      const spec = specOf();
      await ground.engine.create(spec, signal);
      await expect(ground.engine.attachShare(spec.name, attachment, signal)).rejects.toEqual(fails('ShareNotFound'));
      await ground.engine.ensureShare(share, signal);
      await ground.engine.ensureShare({ ...share, share: 'more' }, signal);
      await ground.engine.attachShare(spec.name, attachment, signal);
      await expect(ground.engine.attachShare(spec.name, { ...attachment, share: 'more' }, signal)).rejects.toEqual(
        fails('Conflict'),
      );
      expect((await find(spec.name))?.attachments).toEqual([attachment]);
    });

    it('keeps a share while an instance has it attached, and over the end of the instance', async () => {
      const spec = specOf();
      await ground.engine.create(spec, signal);
      await ground.engine.ensureShare(share, signal);
      await ground.engine.attachShare(spec.name, attachment, signal);
      await expect(ground.engine.deleteShare('team', 'files', signal)).rejects.toEqual(fails('Conflict'));
      await ground.engine.delete(spec.name, signal);
      expect(await ground.engine.listShares(signal)).toHaveLength(1);
      await ground.engine.deleteShare('team', 'files', signal);
      expect(await ground.engine.listShares(signal)).toEqual([]);
    });

    it('attaches two shares to one instance at the same time', async () => {
      const spec = await started();
      const both = ['files', 'more'].map((one) => ({ ...attachment, share: one, path: `/mnt/${one}` }));
      for (const one of both) await ground.engine.ensureShare({ ...share, share: one.share }, signal);
      await Promise.all(both.map((one) => ground.engine.attachShare(spec.name, one, signal)));
      expect((await find(spec.name))?.attachments).toEqual(expect.arrayContaining(both));
      await Promise.all(both.map((one) => ground.engine.detachShare(spec.name, one.path, signal)));
      expect((await find(spec.name))?.attachments).toEqual([]);
    });

    real('shows the same files on two instances, and nothing after detaching', async () => {
      await ground.engine.ensureShare(share, signal);
      const [one, two] = [await started(), await started()];
      for (const spec of [one, two]) await ground.engine.attachShare(spec.name, attachment, signal);
      await shell(one.name, 'echo hello > /mnt/files/note; chown 20001:20001 /mnt/files/note');
      expect((await shell(two.name, 'cat /mnt/files/note; stat -c %u:%g /mnt/files/note')).stdout).toBe(
        'hello\n20001:20001\n',
      );
      await ground.engine.detachShare(two.name, attachment.path, signal);
      expect((await run(two.name, 'ls', '/mnt/files/note')).exitCode).not.toBe(0);
      expect((await run(one.name, 'ls', '/mnt/files/note')).exitCode).toBe(0);
    });

    real('shows a share after a restart, and again after an umount inside', async () => {
      await ground.engine.ensureShare(share, signal);
      const spec = await started();
      await ground.engine.attachShare(spec.name, attachment, signal);
      await run(spec.name, 'touch', '/mnt/files/note');
      await ground.engine.setPower(spec.name, 'stopped', signal);
      await ground.engine.setPower(spec.name, 'running', signal);
      expect((await run(spec.name, 'ls', '/mnt/files')).stdout).toBe('note\n');
      await run(spec.name, 'umount', '/mnt/files');
      expect((await run(spec.name, 'ls', '/mnt/files')).stdout).toBe('');
      await ground.engine.attachShare(spec.name, attachment, signal);
      expect((await run(spec.name, 'ls', '/mnt/files')).stdout).toBe('note\n');
      await run(spec.name, 'umount', '/mnt/files');
      await ground.engine.detachShare(spec.name, attachment.path, signal);
      expect((await find(spec.name))?.attachments).toEqual([]);
    });

    real('attaches at a path with a space in it', async () => {
      await ground.engine.ensureShare(share, signal);
      const spec = await started();
      const spaced = { ...attachment, path: '/mnt/our files' };
      await ground.engine.attachShare(spec.name, spaced, signal);
      await run(spec.name, 'touch', '/mnt/our files/note');
      await ground.engine.attachShare(spec.name, spaced, signal);
      expect((await run(spec.name, 'ls', '/mnt/our files')).stdout).toBe('note\n');
    });

    real('gives nobody root by a program planted on a share', async () => {
      await ground.engine.ensureShare(share, signal);
      const [one, two] = [await started(), await started()];
      for (const spec of [one, two]) await ground.engine.attachShare(spec.name, attachment, signal);
      const plant =
        'cp /bin/effective-user /mnt/files/planted; chown 0:0 /mnt/files/planted; chmod 4755 /mnt/files/planted';
      // The same program on the instance's own disk does give root: the test can fail.
      await shell(one.name, `${plant}; cp -p /mnt/files/planted /bin/own; chmod 4755 /bin/own`);
      const asNobody = (instance: string, program: string) =>
        run(instance, 'su', '-s', '/bin/sh', '-c', program, 'nobody');
      expect(await asNobody(one.name, '/bin/own')).toMatchObject({ exitCode: 0 });
      for (const { name: instance } of [one, two])
        expect(await asNobody(instance, '/mnt/files/planted')).toMatchObject({ exitCode: 254 });
      const optionsOf = async () =>
        (await run(two.name, 'grep', ' /mnt/files ', '/proc/self/mountinfo')).stdout.split(' ')[5]?.split(',');
      expect(await optionsOf()).toEqual(expect.arrayContaining(['nosuid', 'nodev']));
      // Not even root of the instance can take it off.
      await run(two.name, 'mount', '-o', 'remount,bind,suid,dev', '/mnt/files');
      expect(await optionsOf()).toEqual(expect.arrayContaining(['nosuid', 'nodev']));
      expect(await asNobody(two.name, '/mnt/files/planted')).toMatchObject({ exitCode: 254 });
    });

    real('is removed, and so is an instance, however deep somebody has nested folders there', async () => {
      await ground.engine.ensureShare(share, signal);
      await ground.engine.ensureFolder({ ...share, folder: 'notebooks/alice', uid: 0, gid: 0, mode: 0o700 }, signal);
      const spec = await started();
      await ground.engine.attachShare(spec.name, attachment, signal);
      // From the innermost outwards: no path is ever too long for who makes them.
      const nest = `n=${'d'.repeat(200)}; mkdir $n; for i in $(seq 25); do mkdir outer && mv $n outer/ && mv outer $n; done`;
      for (const folder of ['/mnt/files', '/mnt/files/notebooks/alice', '/root'])
        expect((await shell(spec.name, `mkdir -p ${folder} && cd ${folder} && ${nest}`)).exitCode, folder).toBe(0);
      await ground.engine.snapshotShare('team', 'files', 'deep', signal);
      await ground.engine.delete(spec.name, signal);
      expect(await find(spec.name)).toBeUndefined();
      await ground.engine.deleteShare('team', 'files', signal);
      expect(await ground.engine.listShares(signal)).toEqual([]);
    });

    real('holds no more than its quota, and tells what it holds', async () => {
      await ground.engine.ensureShare(share, signal);
      const spec = await started();
      await ground.engine.attachShare(spec.name, attachment, signal);
      const write = (mebibytes: number) =>
        shell(spec.name, `dd if=/dev/urandom of=/mnt/files/big bs=1M count=${mebibytes} && sync`);
      expect(await write(16)).toMatchObject({ exitCode: 0 });
      await expect
        .poll(async () => (await ground.engine.listShares(signal))[0]?.usedBytes, { timeout: 10_000 })
        .toBeGreaterThan(15 * mebibyte);
      expect((await write(48)).exitCode).not.toBe(0);
      await run(spec.name, 'rm', '-f', '/mnt/files/big');
      await ground.engine.ensureShare({ ...share, quotaBytes: 128 * mebibyte }, signal);
      expect(await write(48)).toMatchObject({ exitCode: 0 });
    });
  });
}
