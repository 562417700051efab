/**
 * The first `up` is cut off: the engine's daemon or `up` itself is killed while project, network, storage and image are
 * made. The next `up` completes it, a pool can be deployed, and `down --destroy` leaves nothing.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { chosenSeeds } from '../chaos/chosen.ts';
import { daemonProcess } from '../chaos/engine-view.ts';
import { createRandom } from '../chaos/random.ts';
import { useSmallImage } from '../chaos/real-pool.ts';
import { killHard, missingForSystemTests, repository, TestInstallation } from '../e2e/installation.ts';

const missing = await missingForSystemTests(['nft', 'mmdebstrap', 'curl']);
/** Most of what `up` makes in the engine lies in its first seconds; the rest is the image. */
const moments = [1_500, 6_000, 15_000] as const;

describe.skipIf(missing !== undefined)(
  `a first up that is cut off${missing === undefined ? '' : ` (left out: ${missing})`}`,
  () => {
    it.each(chosenSeeds(9))('is completed by the next (seed %i)', async (seed) => {
      const random = createRandom(seed);
      const installation = await TestInstallation.make({ poolGiB: 5, apiPort: 20_000 + (process.pid % 10_000) });
      try {
        await useSmallImage(installation.home);
        const first = spawn(join(repository, 'bin', 'poolhouse'), ['up'], {
          env: installation.env,
          stdio: 'ignore',
        });
        const ended = new Promise((resolve) => first.once('close', resolve));
        const delay = 300 + random.below(random.pick(moments));
        await sleep(delay);
        const isDaemon = random.below(2) === 0;
        const met = isDaemon ? daemonProcess()?.pid : first.pid;
        if (met !== undefined && (isDaemon || first.exitCode === null)) killHard(met);
        await ended;
        const again = await installation.poolhouse('up');
        expect(again, `${isDaemon ? 'the daemon' : 'up'} was killed after ${delay} ms`).toMatchObject({ exitCode: 0 });
        expect((await installation.status()).gateway.healthy).toBe(true);
      } finally {
        await installation.destroy();
      }
    });
  },
);
