/**
 * The suite that every engine passes: each promise of `engine.ts` as a test. Promises about processes, addresses and
 * disks are tried only where the engine has them (`real`).
 *
 * Every test makes instances of its own; what a test leaves is removed after it, and `destroy` is the last test.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { describeFiles } from './files.ts';
import { createGround, mebibyte, type EngineTrial, type EngineUnderTest } from './ground.ts';
import { describeImages } from './images.ts';
import { describeInstances } from './instances.ts';
import { describePrograms } from './programs.ts';
import { describeShareRooms } from './share-rooms.ts';
import { describeShares } from './shares.ts';

const slow = 120_000;

export function describeEngine(name: string, under: EngineUnderTest): void {
  describe.skipIf(under.skip !== undefined)(
    `the engine contract: ${name}${under.skip === undefined ? '' : ` (skipped: ${under.skip})`}`,
    { timeout: slow },
    () => {
      let trial: EngineTrial;
      const ground = createGround(() => trial, under.real);
      const { signal } = ground;

      beforeAll(async () => {
        trial = await under.open();
        await trial.engine.prepare(signal);
        await trial.engine.prepareImage(trial.image, trial.image.file, signal);
      }, slow);

      afterEach(async () => {
        const { engine } = trial;
        for (const instance of await engine.list(signal)) await engine.delete(instance.name, signal);
        for (const share of await engine.listShares(signal))
          await engine.deleteShare(share.account, share.share, signal);
      }, slow);

      afterAll(async () => {
        try {
          await trial.engine.destroy(signal);
        } finally {
          await trial.close();
        }
      }, slow);

      describeInstances(ground);
      describePrograms(ground);
      describeFiles(ground);
      describeShares(ground);
      describeShareRooms(ground);
      describeImages(ground);

      describe('the end', () => {
        it('removes everything of the installation, also what is in use, and can begin anew', async () => {
          const { engine } = trial;
          const spec = await ground.started();
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
