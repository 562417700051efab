/**
 * The suite that every engine passes: each promise of `engine.ts` as a test. Promises about processes, addresses and
 * disks are tried only where the engine has them (`real`).
 *
 * Every test makes instances of its own; what a test leaves is removed after it, and `destroy` is the last test.
 */
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Engine, ExecResult, InstanceSpec } from './engine.ts';

export interface EngineTrial {
  engine: Engine;
  /** Another object for the same installation, as after a restart of control. It is prepared by the suite. */
  reopen(): Engine;
  /** What an image file of a tiny system is called, and where it is. */
  image: { fingerprint: string; file: string };
  /** Fails where anything of the installation is left in the daemon. Called after `destroy`. */
  expectNothingLeft(): Promise<void>;
  /** Ends what the trial itself has made. */
  close(): Promise<void>;
}

export interface EngineUnderTest {
  /** Instances have processes: programs are run in them. */
  real: boolean;
  /** Why the suite cannot run here. */
  skip?: string | undefined;
  open(): Promise<EngineTrial>;
}

const mebibyte = 2 ** 20;
const slow = 120_000;

export function describeEngine(name: string, under: EngineUnderTest): void {
  describe.skipIf(under.skip !== undefined)(
    `the engine contract: ${name}${under.skip === undefined ? '' : ` (skipped: ${under.skip})`}`,
    { timeout: slow },
    () => {
      const real = it.runIf(under.real);
      const { signal } = new AbortController();
      let trial: EngineTrial;
      let engine: Engine;
      let count = 0;

      beforeAll(async () => {
        trial = await under.open();
        engine = trial.engine;
        await engine.prepare(signal);
        await engine.prepareImage(trial.image, trial.image.file, signal);
      }, slow);

      afterEach(async () => {
        for (const instance of await engine.list(signal)) await engine.delete(instance.name, signal);
        for (const share of await engine.listShares(signal))
          await engine.deleteShare(share.account, share.share, signal);
      }, slow);

      afterAll(async () => {
        try {
          await engine.destroy(signal);
        } finally {
          await trial.close();
        }
      }, slow);

      function specOf(changes: Partial<InstanceSpec> = {}): InstanceSpec {
        count += 1;
        const [a, b, c] = engine.network().gateway.split('.');
        const address = `${a}.${b}.${c}.${100 + (count % 100)}`;
        const image = { fingerprint: trial.image.fingerprint };
        return {
          name: `trial-${count}`,
          hostname: `host${count}`,
          image,
          cpus: 1,
          memoryBytes: 128 * mebibyte,
          address,
          labels: {},
          ...changes,
        };
      }

      async function started(changes: Partial<InstanceSpec> = {}): Promise<InstanceSpec> {
        const spec = specOf(changes);
        await engine.create(spec, signal);
        await engine.setPower(spec.name, 'running', signal);
        return spec;
      }

      const find = async (instance: string) => (await engine.list(signal)).find((one) => one.name === instance);
      const run = (instance: string, ...argv: string[]): Promise<ExecResult> =>
        engine.exec(instance, argv, { timeoutMs: 20_000 }, signal);
      const shell = (instance: string, script: string): Promise<ExecResult> => run(instance, 'sh', '-c', script);
      const fails = (code: string): unknown => expect.objectContaining({ name: 'PoolhouseError', code });

      describe('instances', () => {
        it('makes an instance stopped, with its hostname, address and labels', async () => {
          const spec = specOf({ labels: { pool: 'team', 'model-version': '3' } });
          await engine.create(spec, signal);
          expect(await engine.list(signal)).toMatchObject([
            {
              name: spec.name,
              hostname: spec.hostname,
              power: 'stopped',
              address: spec.address,
              labels: spec.labels,
              attachments: [],
              made: true,
            },
          ]);
        });

        it('leaves an instance as it is when it is made again', async () => {
          const spec = await started({ labels: { first: 'yes' } });
          await engine.create({ ...spec, labels: { first: 'no' } }, signal);
          expect(await find(spec.name)).toMatchObject({ power: 'running', labels: { first: 'yes' } });
        });

        it('makes six at once', async () => {
          const specs = Array.from({ length: 6 }, () => specOf());
          await Promise.all(
            specs.map(async (spec) => {
              await engine.create(spec, signal);
              await engine.setPower(spec.name, 'running', signal);
            }),
          );
          const found = await engine.list(signal);
          expect(found.map((one) => [one.name, one.power]).sort()).toEqual(
            specs.map((spec) => [spec.name, 'running']).sort(),
          );
        });

        it('makes one instance of two calls at the same time', async () => {
          const spec = specOf();
          await Promise.all([engine.create(spec, signal), engine.create(spec, signal)]);
          expect(await engine.list(signal)).toHaveLength(1);
        });

        it.each(['running', 'frozen', 'stopped'] as const)(
          'becomes %s from every power, and stays so when asked again',
          async (power) => {
            const spec = specOf();
            await engine.create(spec, signal);
            for (const before of ['stopped', 'running', 'frozen'] as const) {
              await engine.setPower(spec.name, before, signal);
              await engine.setPower(spec.name, power, signal);
              await engine.setPower(spec.name, power, signal);
              expect(await find(spec.name), `from ${before}`).toMatchObject({ power });
            }
          },
        );

        it.each(['running', 'frozen', 'stopped'] as const)(
          'deletes a %s instance, and agrees that it is gone',
          async (power) => {
            const spec = specOf();
            await engine.create(spec, signal);
            await engine.setPower(spec.name, power, signal);
            await engine.delete(spec.name, signal);
            expect(await find(spec.name)).toBeUndefined();
            await engine.delete(spec.name, signal);
          },
        );

        it('takes several calls at the same time', async () => {
          const spec = specOf();
          await engine.create(spec, signal);
          for (const power of ['running', 'frozen', 'stopped'] as const) {
            await Promise.all([engine.setPower(spec.name, power, signal), engine.setPower(spec.name, power, signal)]);
            expect(await find(spec.name)).toMatchObject({ power });
          }
          await Promise.all([engine.delete(spec.name, signal), engine.delete(spec.name, signal)]);
          expect(await engine.list(signal)).toEqual([]);
        });

        it('says InstanceNotFound for an instance that does not exist', async () => {
          const nobody = 'never-made';
          await engine.ensureShare({ account: 'team', share: 'files', quotaBytes: 64 * mebibyte }, signal);
          const file = { path: '/tmp/x', content: 'x', mode: 0o600, uid: 0, gid: 0 };
          await expect(engine.setPower(nobody, 'running', signal)).rejects.toEqual(fails('InstanceNotFound'));
          await expect(run(nobody, 'true')).rejects.toEqual(fails('InstanceNotFound'));
          await expect(engine.writeFile(nobody, file, signal)).rejects.toEqual(fails('InstanceNotFound'));
          await expect(
            engine.attachShare(nobody, { account: 'team', share: 'files', folder: '', path: '/mnt/a' }, signal),
          ).rejects.toEqual(fails('InstanceNotFound'));
          await expect(engine.detachShare(nobody, '/mnt/a', signal)).rejects.toEqual(fails('InstanceNotFound'));
        });

        it('is found again by an engine that begins anew', async () => {
          const spec = await started({ labels: { pool: 'team' } });
          const again = trial.reopen();
          await again.prepare(signal);
          expect(again.network()).toEqual(engine.network());
          expect(await again.list(signal)).toEqual(await engine.list(signal));
          expect(await again.hasImage(trial.image, signal)).toBe(true);
          expect(await find(spec.name)).toMatchObject({ power: 'running' });
        });

        it('stops early when its signal is aborted', async () => {
          const reason = new Error('not any more');
          const aborted = AbortSignal.abort(reason);
          await expect(engine.list(aborted)).rejects.toBe(reason);
          await expect(engine.create(specOf(), aborted)).rejects.toBe(reason);
          expect(await engine.list(signal)).toEqual([]);
        });

        it('tells metrics of running instances only', async () => {
          const spec = await started();
          await engine.create(specOf(), signal);
          const rows = await engine.metrics(signal);
          expect(rows.map((row) => row.name)).toEqual([spec.name]);
          for (const value of [
            rows[0]?.cpuSeconds,
            rows[0]?.memoryBytes,
            rows[0]?.networkInBytes,
            rows[0]?.networkOutBytes,
          ]) {
            expect(value).toBeGreaterThanOrEqual(0);
          }
        });

        real('shows its hostname, CPUs and memory inside', async () => {
          const spec = await started();
          expect((await run(spec.name, 'hostname')).stdout).toBe(`${spec.hostname}\n`);
          expect((await run(spec.name, 'nproc')).stdout).toBe('1\n');
          expect((await run(spec.name, 'cat', '/proc/meminfo')).stdout).toMatch(/^MemTotal: +131072 kB$/m);
        });

        real('shows the control socket to root, also after a restart', async () => {
          const controlSocket = `${trial.image.file}.sock`;
          const server = createServer().listen(controlSocket);
          try {
            const spec = await started({ controlSocket });
            const look = () => run(spec.name, 'stat', '-c', '%F %a %u', '/var/lib/poolhouse/control.sock');
            await expect.poll(async () => (await look()).stdout, { timeout: 10_000 }).toBe('socket 600 0\n');
            await engine.setPower(spec.name, 'stopped', signal);
            await engine.setPower(spec.name, 'running', signal);
            await expect.poll(async () => (await look()).stdout, { timeout: 10_000 }).toBe('socket 600 0\n');
          } finally {
            server.close();
          }
        });

        real('reaches the host by its own address, and by no other', async () => {
          const spec = await started();
          const { gateway } = engine.network();
          const other = specOf().address;
          const ping = (from: string) =>
            shell(
              spec.name,
              `ip link set eth0 up; ip addr flush dev eth0; ip addr add ${from}/22 dev eth0; ping -c 1 -W 2 ${gateway}`,
            );
          expect(await ping(spec.address)).toMatchObject({ exitCode: 0 });
          expect((await ping(other)).exitCode).not.toBe(0);
        });

        real('finds a name server at the gateway', async () => {
          const spec = await started();
          const { gateway } = engine.network();
          const asked = await shell(
            spec.name,
            `ip link set eth0 up; ip addr add ${spec.address}/22 dev eth0; nslookup -type=a localhost. ${gateway}; nslookup -type=a name.invalid. ${gateway}`,
          );
          expect(`${asked.stdout}${asked.stderr}`).not.toMatch(/timed out|no servers could be reached|refused$/im);
          expect(asked.stdout).toContain(`${gateway}:53`);
        });
      });

      describe('programs', () => {
        it.each(['stopped', 'frozen'] as const)('runs no program in a %s instance', async (power) => {
          const spec = specOf();
          await engine.create(spec, signal);
          await engine.setPower(spec.name, power, signal);
          await expect(run(spec.name, 'true')).rejects.toEqual(fails('OperationNotAllowed'));
        });

        it('gives a result of a program that ends', async () => {
          const spec = await started();
          expect(await run(spec.name, 'true')).toEqual({ exitCode: 0, stdout: '', stderr: '' });
        });

        real('gives exit code, both outputs, and takes standard input, environment and folder', async () => {
          const spec = await started();
          const script = 'cat; echo "$GREETING from $(pwd)" >&2; exit 7';
          const options = { stdin: 'given\n', environment: { GREETING: 'hello' }, cwd: '/tmp' };
          expect(await engine.exec(spec.name, ['sh', '-c', script], options, signal)).toEqual({
            exitCode: 7,
            stdout: 'given\n',
            stderr: 'hello from /tmp\n',
          });
        });

        real('takes a megabyte of input', async () => {
          const spec = await started();
          const stdin = randomBytes(mebibyte);
          expect(await engine.exec(spec.name, ['wc', '-c'], { stdin }, signal)).toMatchObject({
            exitCode: 0,
            stdout: `${mebibyte}\n`,
          });
        });

        real('keeps the end of a long output', async () => {
          const spec = await started();
          const result = await engine.exec(
            spec.name,
            ['sh', '-c', 'seq 1 200000; echo end'],
            { keepBytes: 100 },
            signal,
          );
          expect(result.stdout).toMatch(/\n200000\nend\n$/);
          expect(Buffer.byteLength(result.stdout)).toBe(100);
        });

        real('ends a program that runs too long, and says Unavailable', async () => {
          const spec = await started();
          await expect(engine.exec(spec.name, ['sleep', '4242'], { timeoutMs: 1_000 }, signal)).rejects.toEqual(
            fails('Unavailable'),
          );
          expect((await run(spec.name, 'ps')).stdout).not.toContain('4242');
        });

        real('ends a program when the call is given up', async () => {
          const spec = await started();
          const abort = new AbortController();
          const running = engine.exec(spec.name, ['sleep', '4343'], {}, abort.signal).then(
            () => 'ended',
            (error: unknown) => error,
          );
          await expect.poll(async () => (await run(spec.name, 'ps')).stdout, { timeout: 10_000 }).toContain('4343');
          const reason = new Error('given up');
          abort.abort(reason);
          expect(await running).toBe(reason);
          await expect.poll(async () => (await run(spec.name, 'ps')).stdout, { timeout: 10_000 }).not.toContain('4343');
        });

        real('leaves alone what a program puts in the background with outputs of its own', async () => {
          const spec = await started();
          const result = await shell(spec.name, 'sleep 4444 </dev/null >/dev/null 2>&1 & echo begun');
          expect(result).toMatchObject({ exitCode: 0, stdout: 'begun\n' });
          expect((await run(spec.name, 'ps')).stdout).toContain('4444');
        });

        real('waits no longer than the limit for a child that keeps the outputs open', async () => {
          const spec = await started();
          await expect(
            engine.exec(spec.name, ['sh', '-c', 'sleep 600 & echo begun'], { timeoutMs: 1_000 }, signal),
          ).rejects.toEqual(fails('Unavailable'));
        });

        real('answers 127 for a program that is not there, and 126 for a file that is none', async () => {
          const spec = await started();
          expect(await run(spec.name, 'no-such-program')).toMatchObject({ exitCode: 127 });
          expect(await run(spec.name, '/etc/passwd')).toMatchObject({ exitCode: 126 });
        });
      });

      describe('files', () => {
        const file = { path: '/opt/one/two/settings', content: 'first', mode: 0o640, uid: 12, gid: 34 };

        it.each(['running', 'stopped'] as const)('writes into a %s instance', async (power) => {
          const spec = specOf();
          await engine.create(spec, signal);
          await engine.setPower(spec.name, power, signal);
          await engine.writeFile(spec.name, file, signal);
        });

        real.each(['running', 'stopped'] as const)(
          'writes whole files with owner and mode, makes their folders, and overwrites (%s)',
          async (power) => {
            const spec = await started();
            await engine.setPower(spec.name, power, signal);
            await engine.writeFile(spec.name, { ...file, content: 'a longer content before' }, signal);
            await engine.writeFile(spec.name, file, signal);
            await engine.setPower(spec.name, 'running', signal);
            const shown = await shell(
              spec.name,
              `cat ${file.path}; echo; stat -c '%a %u %g' ${file.path} /opt/one/two /opt/one`,
            );
            expect(shown.stdout).toBe('first\n640 12 34\n755 0 0\n755 0 0\n');
          },
        );

        real('keeps bytes as they are, over a restart', async () => {
          const spec = await started();
          const content = Uint8Array.from({ length: 256 }, (_, index) => index);
          await engine.writeFile(spec.name, { ...file, content }, signal);
          await engine.setPower(spec.name, 'stopped', signal);
          await engine.setPower(spec.name, 'running', signal);
          expect((await run(spec.name, 'base64', '-w', '0', file.path)).stdout.trim()).toBe(
            Buffer.from(content).toString('base64'),
          );
        });
      });

      describe('shares', () => {
        const share = { account: 'team', share: 'files', quotaBytes: 32 * mebibyte };
        const attachment = { account: 'team', share: 'files', folder: '', path: '/mnt/files' };

        it('makes shares, changes their quota, lists and removes them', async () => {
          await engine.ensureShare(share, signal);
          await engine.ensureShare(share, signal);
          await engine.ensureShare({ ...share, quotaBytes: 64 * mebibyte }, signal);
          await engine.ensureShare({ ...share, account: 'other' }, signal);
          const found = (await engine.listShares(signal)).sort((a, b) => a.account.localeCompare(b.account));
          expect(found).toEqual([
            { account: 'other', share: 'files', quotaBytes: 32 * mebibyte, usedBytes: expect.any(Number) as number },
            { account: 'team', share: 'files', quotaBytes: 64 * mebibyte, usedBytes: expect.any(Number) as number },
          ]);
          await engine.deleteShare('other', 'files', signal);
          await engine.deleteShare('other', 'files', signal);
          expect((await engine.listShares(signal)).map((one) => one.account)).toEqual(['team']);
        });

        it.each(['running', 'stopped'] as const)('attaches to a %s instance, tells so, and detaches', async (power) => {
          const spec = specOf();
          await engine.create(spec, signal);
          await engine.setPower(spec.name, power, signal);
          await engine.ensureShare(share, signal);
          await engine.attachShare(spec.name, attachment, signal);
          await engine.attachShare(spec.name, attachment, signal);
          expect((await find(spec.name))?.attachments).toEqual([attachment]);
          await engine.detachShare(spec.name, attachment.path, signal);
          await engine.detachShare(spec.name, attachment.path, signal);
          expect((await find(spec.name))?.attachments).toEqual([]);
        });

        it('refuses a share that does not exist, and another one at the same path', async () => {
          const spec = specOf();
          await engine.create(spec, signal);
          await expect(engine.attachShare(spec.name, attachment, signal)).rejects.toEqual(fails('ShareNotFound'));
          await engine.ensureShare(share, signal);
          await engine.ensureShare({ ...share, share: 'more' }, signal);
          await engine.attachShare(spec.name, attachment, signal);
          await expect(engine.attachShare(spec.name, { ...attachment, share: 'more' }, signal)).rejects.toEqual(
            fails('Conflict'),
          );
          expect((await find(spec.name))?.attachments).toEqual([attachment]);
        });

        it('refuses a folder of a share, which no engine can attach yet', async () => {
          const spec = specOf();
          await engine.create(spec, signal);
          await engine.ensureShare(share, signal);
          await expect(engine.attachShare(spec.name, { ...attachment, folder: 'alice' }, signal)).rejects.toEqual(
            fails('OperationNotAllowed'),
          );
        });

        it('keeps a share while an instance has it attached, and over the end of the instance', async () => {
          const spec = specOf();
          await engine.create(spec, signal);
          await engine.ensureShare(share, signal);
          await engine.attachShare(spec.name, attachment, signal);
          await expect(engine.deleteShare('team', 'files', signal)).rejects.toEqual(fails('Conflict'));
          await engine.delete(spec.name, signal);
          expect(await engine.listShares(signal)).toHaveLength(1);
          await engine.deleteShare('team', 'files', signal);
          expect(await engine.listShares(signal)).toEqual([]);
        });

        it('attaches two shares to one instance at the same time', async () => {
          const spec = await started();
          const both = ['files', 'more'].map((one) => ({ ...attachment, share: one, path: `/mnt/${one}` }));
          for (const one of both) await engine.ensureShare({ ...share, share: one.share }, signal);
          await Promise.all(both.map((one) => engine.attachShare(spec.name, one, signal)));
          expect((await find(spec.name))?.attachments).toEqual(expect.arrayContaining(both));
          await Promise.all(both.map((one) => engine.detachShare(spec.name, one.path, signal)));
          expect((await find(spec.name))?.attachments).toEqual([]);
        });

        real('shows the same files on two instances, and nothing after detaching', async () => {
          await engine.ensureShare(share, signal);
          const [one, two] = [await started(), await started()];
          for (const spec of [one, two]) await engine.attachShare(spec.name, attachment, signal);
          await shell(one.name, 'echo hello > /mnt/files/note; chown 20001:20001 /mnt/files/note');
          expect((await shell(two.name, 'cat /mnt/files/note; stat -c %u:%g /mnt/files/note')).stdout).toBe(
            'hello\n20001:20001\n',
          );
          await engine.detachShare(two.name, attachment.path, signal);
          expect((await run(two.name, 'ls', '/mnt/files/note')).exitCode).not.toBe(0);
          expect((await run(one.name, 'ls', '/mnt/files/note')).exitCode).toBe(0);
        });

        real('shows a share after a restart, and again after an umount inside', async () => {
          await engine.ensureShare(share, signal);
          const spec = await started();
          await engine.attachShare(spec.name, attachment, signal);
          await run(spec.name, 'touch', '/mnt/files/note');
          await engine.setPower(spec.name, 'stopped', signal);
          await engine.setPower(spec.name, 'running', signal);
          expect((await run(spec.name, 'ls', '/mnt/files')).stdout).toBe('note\n');
          await run(spec.name, 'umount', '/mnt/files');
          expect((await run(spec.name, 'ls', '/mnt/files')).stdout).toBe('');
          await engine.attachShare(spec.name, attachment, signal);
          expect((await run(spec.name, 'ls', '/mnt/files')).stdout).toBe('note\n');
          await run(spec.name, 'umount', '/mnt/files');
          await engine.detachShare(spec.name, attachment.path, signal);
          expect((await find(spec.name))?.attachments).toEqual([]);
        });

        real('attaches at a path with a space in it', async () => {
          await engine.ensureShare(share, signal);
          const spec = await started();
          const spaced = { ...attachment, path: '/mnt/our files' };
          await engine.attachShare(spec.name, spaced, signal);
          await run(spec.name, 'touch', '/mnt/our files/note');
          await engine.attachShare(spec.name, spaced, signal);
          expect((await run(spec.name, 'ls', '/mnt/our files')).stdout).toBe('note\n');
        });

        real('gives nobody root by a program planted on a share', async () => {
          await engine.ensureShare(share, signal);
          const [one, two] = [await started(), await started()];
          for (const spec of [one, two]) await engine.attachShare(spec.name, attachment, signal);
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

        real('holds no more than its quota, and tells what it holds', async () => {
          await engine.ensureShare(share, signal);
          const spec = await started();
          await engine.attachShare(spec.name, attachment, signal);
          const write = (mebibytes: number) =>
            shell(spec.name, `dd if=/dev/urandom of=/mnt/files/big bs=1M count=${mebibytes} && sync`);
          expect(await write(16)).toMatchObject({ exitCode: 0 });
          await expect
            .poll(async () => (await engine.listShares(signal))[0]?.usedBytes, { timeout: 10_000 })
            .toBeGreaterThan(15 * mebibyte);
          expect((await write(48)).exitCode).not.toBe(0);
          await run(spec.name, 'rm', '-f', '/mnt/files/big');
          await engine.ensureShare({ ...share, quotaBytes: 128 * mebibyte }, signal);
          expect(await write(48)).toMatchObject({ exitCode: 0 });
        });
      });

      describe('images', () => {
        it('prepares an image once, however often it is asked to', async () => {
          expect(await engine.hasImage(trial.image, signal)).toBe(true);
          const again = () => engine.prepareImage(trial.image, trial.image.file, signal);
          await engine.deleteImage(trial.image, signal);
          await Promise.all([again(), again()]);
          await again();
          expect(await engine.hasImage(trial.image, signal)).toBe(true);
          expect(await engine.list(signal)).toEqual([]);
        });

        it('agrees that an unknown image is gone', async () => {
          await engine.deleteImage({ fingerprint: 'f'.repeat(64) }, signal);
        });

        real('makes no instance from an image that was not prepared', async () => {
          const spec = specOf({ image: { fingerprint: 'f'.repeat(64) } });
          expect(await engine.hasImage(spec.image, signal)).toBe(false);
          await expect(engine.create(spec, signal)).rejects.toEqual(fails('PlatformImageNotFound'));
        });

        real('keeps instances whose image is removed, and takes the image in again', async () => {
          const spec = await started();
          await engine.deleteImage(trial.image, signal);
          expect(await engine.hasImage(trial.image, signal)).toBe(false);
          expect(await run(spec.name, 'true')).toMatchObject({ exitCode: 0 });
          await engine.prepareImage(trial.image, trial.image.file, signal);
          expect(await engine.hasImage(trial.image, signal)).toBe(true);
        });
      });

      describe('the end', () => {
        it('removes everything of the installation, also what is in use, and can begin anew', async () => {
          const spec = await started();
          await engine.ensureShare({ account: 'team', share: 'files', quotaBytes: 32 * mebibyte }, signal);
          await engine.attachShare(
            spec.name,
            { account: 'team', share: 'files', folder: '', path: '/mnt/files' },
            signal,
          );
          await engine.destroy(signal);
          await trial.expectNothingLeft();
          await engine.destroy(signal);
          await engine.prepare(signal);
          expect(await engine.list(signal)).toEqual([]);
          expect(await engine.listShares(signal)).toEqual([]);
        });
      });
    },
  );
}
