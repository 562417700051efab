/** Every engine against its contract: `sim` everywhere, `incus` (Incus or LXD) as root where a daemon is installed. */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { systemClock } from '../../src/core/system-clock.ts';
import { describeEngine } from '../../src/engines/conformance/describe-engine.ts';
import { createIncusEngine } from '../../src/engines/incus/incus-engine.ts';
import { engineNames } from '../../src/engines/incus/names.ts';
import { createRestClient } from '../../src/engines/incus/rest-client.ts';
import { createSimEngine } from '../../src/engines/sim/sim-engine.ts';
import { ensureEngineDaemon } from '../../src/host/engine-daemon.ts';
import { buildTinyImage } from './tiny-image.ts';

describeEngine('sim', {
  real: false,
  async open() {
    const folder = await mkdtemp(join(tmpdir(), 'poolhouse-sim-'));
    const stateFile = join(folder, 'sim.json');
    const open = () => createSimEngine({ clock: systemClock, stateFile });
    return {
      engine: open(),
      reopen: open,
      image: { fingerprint: '0'.repeat(64), file: join(folder, 'none.tar') },
      async expectNothingLeft() {
        expect(existsSync(stateFile)).toBe(false);
        await Promise.resolve();
      },
      close: () => rm(folder, { recursive: true }),
    };
  },
});

describeEngine('incus', {
  real: true,
  skip: whyNoInstances(),
  async open() {
    const folder = await mkdtemp(join(tmpdir(), 'poolhouse-incus-'));
    const { signal } = new AbortController();
    const { socketPath } = await ensureEngineDaemon({ logFolder: join(folder, 'log'), signal });
    const installation = randomBytes(4).toString('hex');
    await writeFile(join(folder, 'engine-installation'), installation); // for whoever cleans up after a run that was killed
    const open = () =>
      createIncusEngine({ installation, socketPath, addressRange: '10.232.0.0/16', poolBytes: 5 * 2 ** 30 });
    return {
      engine: open(),
      reopen: open,
      image: { fingerprint: randomBytes(32).toString('hex'), file: await buildTinyImage(folder) },
      async expectNothingLeft() {
        const { project, network, instancePool, sharePool } = engineNames(installation);
        const client = createRestClient(socketPath);
        try {
          for (const path of [
            `projects/${project}`,
            `networks/${network}`,
            `storage-pools/${instancePool}`,
            `storage-pools/${sharePool}`,
          ]) {
            await expect(client.get(`/1.0/${path}`, signal), path).rejects.toMatchObject({ status: 404 });
          }
        } finally {
          client.close();
        }
      },
      close: () => rm(folder, { recursive: true }),
    };
  },
});

function whyNoInstances(): string | undefined {
  if (process.getuid?.() !== 0) return 'it needs root';
  const programs = [
    '/usr/bin/lxd',
    '/usr/sbin/lxd',
    '/usr/bin/incusd',
    '/usr/sbin/incusd',
    '/usr/libexec/incus/incusd',
    '/var/snap/lxd/common/lxd/unix.socket',
  ];
  if (!programs.some((path) => existsSync(path))) return 'neither Incus nor LXD is installed';
  if (!existsSync('/bin/busybox')) return '/bin/busybox is missing (package busybox-static)';
  return undefined;
}
