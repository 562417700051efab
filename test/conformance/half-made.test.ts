/**
 * What the engine's daemon leaves when it is killed while it makes something: a record, and an empty folder where the
 * volume should be, which it refuses to delete. Planted here as it was found.
 */
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createIncusEngine } from '../../src/engines/incus/incus-engine.ts';
import { engineNames, readyKey, volumeName } from '../../src/engines/incus/names.ts';
import { createRestClient, type RestClient } from '../../src/engines/incus/rest-client.ts';
import type { Engine, InstanceSpec } from '../../src/engines/engine.ts';
import { ensureEngineDaemon } from '../../src/host/engine-daemon.ts';
import { missingForSystemTests, must } from '../e2e/installation.ts';
import { buildTinyImage } from './tiny-image.ts';

const missing = await missingForSystemTests(['lxd', 'btrfs', 'busybox']);

describe.skipIf(missing !== undefined)(
  `what was half-made in the engine${missing === undefined ? '' : ` (left out: ${missing})`}`,
  () => {
    const { signal } = new AbortController();
    const installation = randomBytes(4).toString('hex');
    const names = engineNames(installation);
    const image = { fingerprint: randomBytes(32).toString('hex') };
    const share = { account: 'account', share: 'files', quotaBytes: 2 ** 30 };
    let folder: string;
    let client: RestClient;
    let engine: Engine;
    let spec: InstanceSpec;

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'poolhouse-half-'));
      await writeFile(join(folder, 'engine-installation'), installation);
      const { socketPath } = await ensureEngineDaemon({ logFolder: join(folder, 'log'), signal });
      client = createRestClient(socketPath);
      engine = createIncusEngine({ installation, socketPath, addressRange: '10.232.0.0/16', poolBytes: 5 * 2 ** 30 });
      await engine.prepare(signal);
      await engine.prepareImage(image, await buildTinyImage(folder), signal);
      const [a, b, c] = engine.network().subnet.split('.');
      spec = {
        name: 'one',
        hostname: 'one',
        image,
        cpus: 1,
        memoryBytes: 64 * 2 ** 20,
        address: `${a}.${b}.${c}.77`,
        labels: { who: 'me' },
      };
    });
    afterAll(async () => {
      await engine.destroy(signal);
      client.close();
      await rm(folder, { recursive: true });
    });

    /** Makes of a volume what a kill leaves of it. */
    async function emptyOut(pool: string, kind: string, name: string): Promise<void> {
      const path = join(dirname(client.socketPath), 'storage-pools', pool, kind, `${names.project}_${name}`);
      await must('btrfs', ['subvolume', 'delete', path]);
      await mkdir(path);
      await chmod(path, 0o100);
    }

    async function halfMade(): Promise<void> {
      await engine.create(spec, signal);
      await client.change(
        'PATCH',
        `/1.0/instances/one?project=${names.project}`,
        { config: { [readyKey]: 'no' } },
        signal,
      );
      await emptyOut(names.instancePool, 'containers', 'one');
      expect(await engine.list(signal)).toMatchObject([{ name: 'one', made: false }]);
    }

    it('an instance is made anew', async () => {
      await halfMade();
      await engine.create(spec, signal);
      expect(await engine.list(signal)).toMatchObject([{ name: 'one', made: true, labels: { who: 'me' } }]);
      await engine.setPower('one', 'running', signal);
      await engine.delete('one', signal);
    });

    it('an instance is deleted', async () => {
      await halfMade();
      await engine.delete('one', signal);
      expect(await engine.list(signal)).toEqual([]);
    });

    it('a share is made anew, and is deleted', async () => {
      const name = volumeName(share.account, share.share);
      const path = `/1.0/storage-pools/${names.sharePool}/volumes/custom/${name}?project=${names.project}`;
      for (const again of [true, false]) {
        await engine.ensureShare(share, signal);
        await client.change('PATCH', path, { config: { [readyKey]: 'no' } }, signal);
        await emptyOut(names.sharePool, 'custom', name);
        if (!again) continue;
        await engine.ensureShare(share, signal);
        expect(await engine.listShares(signal)).toMatchObject([share]);
      }
      await engine.deleteShare(share.account, share.share, signal);
      expect(await engine.listShares(signal)).toEqual([]);
    });
  },
);
