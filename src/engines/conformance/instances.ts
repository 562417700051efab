/** What is promised of instances: made once, set to a power, found again, with an address that is their own. */
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { mebibyte, type Ground } from './ground.ts';

export function describeInstances(ground: Ground): void {
  const { signal, specOf, started, find, run, shell, fails, real } = ground;
  describe('instances', () => {
    it('makes an instance stopped, with its hostname, address and labels', async () => {
      const spec = specOf({ labels: { pool: 'team', 'model-version': '3' } });
      await ground.engine.create(spec, signal);
      expect(await ground.engine.list(signal)).toMatchObject([
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
      await ground.engine.create({ ...spec, labels: { first: 'no' } }, signal);
      expect(await find(spec.name)).toMatchObject({ power: 'running', labels: { first: 'yes' } });
    });

    it('makes six at once', async () => {
      const specs = Array.from({ length: 6 }, () => specOf());
      await Promise.all(
        specs.map(async (spec) => {
          await ground.engine.create(spec, signal);
          await ground.engine.setPower(spec.name, 'running', signal);
        }),
      );
      const found = await ground.engine.list(signal);
      expect(found.map((one) => [one.name, one.power]).sort()).toEqual(
        specs.map((spec) => [spec.name, 'running']).sort(),
      );
    });

    it('makes one instance of two calls at the same time', async () => {
      const spec = specOf();
      await Promise.all([ground.engine.create(spec, signal), ground.engine.create(spec, signal)]);
      expect(await ground.engine.list(signal)).toHaveLength(1);
    });

    it.each(['running', 'frozen', 'stopped'] as const)(
      'becomes %s from every power, and stays so when asked again',
      async (power) => {
        const spec = specOf();
        await ground.engine.create(spec, signal);
        for (const before of ['stopped', 'running', 'frozen'] as const) {
          await ground.engine.setPower(spec.name, before, signal);
          await ground.engine.setPower(spec.name, power, signal);
          await ground.engine.setPower(spec.name, power, signal);
          expect(await find(spec.name), `from ${before}`).toMatchObject({ power });
        }
      },
    );

    it.each(['running', 'frozen', 'stopped'] as const)(
      'deletes a %s instance, and agrees that it is gone',
      async (power) => {
        const spec = specOf();
        await ground.engine.create(spec, signal);
        await ground.engine.setPower(spec.name, power, signal);
        await ground.engine.delete(spec.name, signal);
        expect(await find(spec.name)).toBeUndefined();
        await ground.engine.delete(spec.name, signal);
      },
    );

    it('takes several calls at the same time', async () => {
      const spec = specOf();
      await ground.engine.create(spec, signal);
      for (const power of ['running', 'frozen', 'stopped'] as const) {
        await Promise.all([
          ground.engine.setPower(spec.name, power, signal),
          ground.engine.setPower(spec.name, power, signal),
        ]);
        expect(await find(spec.name)).toMatchObject({ power });
      }
      await Promise.all([ground.engine.delete(spec.name, signal), ground.engine.delete(spec.name, signal)]);
      expect(await ground.engine.list(signal)).toEqual([]);
    });

    it('says InstanceNotFound for an instance that does not exist', async () => {
      const nobody = 'never-made';
      await ground.engine.ensureShare({ account: 'team', share: 'files', quotaBytes: 64 * mebibyte }, signal);
      const file = { path: '/tmp/x', content: 'x', mode: 0o600, uid: 0, gid: 0 };
      await expect(ground.engine.setPower(nobody, 'running', signal)).rejects.toEqual(fails('InstanceNotFound'));
      await expect(run(nobody, 'true')).rejects.toEqual(fails('InstanceNotFound'));
      await expect(ground.engine.writeFile(nobody, file, signal)).rejects.toEqual(fails('InstanceNotFound'));
      await expect(
        ground.engine.attachShare(nobody, { account: 'team', share: 'files', folder: '', path: '/mnt/a' }, signal),
      ).rejects.toEqual(fails('InstanceNotFound'));
      await expect(ground.engine.detachShare(nobody, '/mnt/a', signal)).rejects.toEqual(fails('InstanceNotFound'));
    });

    it('is found again by an engine that begins anew', async () => {
      const spec = await started({ labels: { pool: 'team' } });
      const again = ground.trial.reopen();
      await again.prepare(signal);
      expect(again.network()).toEqual(ground.engine.network());
      expect(await again.list(signal)).toEqual(await ground.engine.list(signal));
      expect(await again.hasImage(ground.trial.image, signal)).toBe(true);
      expect(await find(spec.name)).toMatchObject({ power: 'running' });
    });

    it('stops early when its signal is aborted', async () => {
      const reason = new Error('not any more');
      const aborted = AbortSignal.abort(reason);
      await expect(ground.engine.list(aborted)).rejects.toBe(reason);
      await expect(ground.engine.create(specOf(), aborted)).rejects.toBe(reason);
      expect(await ground.engine.list(signal)).toEqual([]);
    });

    it('tells metrics of running instances only, and of all of them in one call', async () => {
      const [one, other] = [await started(), await started({ memoryBytes: 192 * mebibyte })];
      await ground.engine.create(specOf(), signal);
      // A daemon may answer for some seconds as it did to whoever asked before.
      const rows = await vi.waitFor(
        async () => {
          const found = await ground.engine.metrics(signal);
          expect(found.map((row) => row.name).toSorted()).toEqual([one.name, other.name].toSorted());
          return found;
        },
        { timeout: 20_000, interval: 500 },
      );
      for (const { name, ...used } of rows) {
        for (const [what, value] of Object.entries(used)) expect(value, `${what} of ${name}`).toBeGreaterThanOrEqual(0);
        expect(used.memoryBytes).toBeLessThanOrEqual(used.memoryLimitBytes);
      }
      expect(rows.find(({ name }) => name === other.name)?.memoryLimitBytes).toBe(other.memoryBytes);
    });

    real('shows its hostname, CPUs and memory inside', async () => {
      const spec = await started();
      expect((await run(spec.name, 'hostname')).stdout).toBe(`${spec.hostname}\n`);
      expect((await run(spec.name, 'nproc')).stdout).toBe('1\n');
      expect((await run(spec.name, 'cat', '/proc/meminfo')).stdout).toMatch(/^MemTotal: +131072 kB$/m);
    });

    real('shows the way to control to root alone, who cannot change it, also after a restart', async () => {
      const controlFolder = await mkdtemp(join(tmpdir(), 'poolhouse-door-'));
      const server = createServer().listen(join(controlFolder, 'control.sock'));
      try {
        await once(server, 'listening');
        await chmod(join(controlFolder, 'control.sock'), 0o666);
        const spec = await started({ controlFolder });
        const look = 'stat -c %F /var/lib/poolhouse/control/control.sock';
        const shown = async () => {
          expect((await shell(spec.name, look)).stdout).toBe('socket\n');
          expect((await shell(spec.name, `su -s /bin/sh -c '${look}' nobody`)).exitCode).not.toBe(0);
          expect((await shell(spec.name, 'touch /var/lib/poolhouse/control/mine')).exitCode).not.toBe(0);
          expect((await shell(spec.name, 'chmod 777 /var/lib/poolhouse/control')).exitCode).not.toBe(0);
        };
        await shown();
        await ground.engine.setPower(spec.name, 'stopped', signal);
        await ground.engine.setPower(spec.name, 'running', signal);
        await shown();
      } finally {
        server.close();
        await rm(controlFolder, { recursive: true });
      }
    });

    real('reaches the host by its own address, and by no other', async () => {
      const spec = await started();
      const { gateway } = ground.engine.network();
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
      const { gateway } = ground.engine.network();
      const asked = await shell(
        spec.name,
        `ip link set eth0 up; ip addr add ${spec.address}/22 dev eth0; nslookup -type=a localhost. ${gateway}; nslookup -type=a name.invalid. ${gateway}`,
      );
      expect(`${asked.stdout}${asked.stderr}`).not.toMatch(/timed out|no servers could be reached|refused$/im);
      expect(asked.stdout).toContain(`${gateway}:53`);
    });
  });
}
