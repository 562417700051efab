/** What is promised of images. */
import { describe, expect, it } from 'vitest';
import type { Ground } from './ground.ts';

export function describeImages(ground: Ground): void {
  const { signal, specOf, started, run, fails, real } = ground;
  describe('images', () => {
    it('prepares an image once, however often it is asked to', async () => {
      expect(await ground.engine.hasImage(ground.trial.image, signal)).toBe(true);
      const again = () => ground.engine.prepareImage(ground.trial.image, ground.trial.image.file, signal);
      await ground.engine.deleteImage(ground.trial.image, signal);
      await Promise.all([again(), again()]);
      await again();
      expect(await ground.engine.hasImage(ground.trial.image, signal)).toBe(true);
      expect(await ground.engine.list(signal)).toEqual([]);
    });

    it('agrees that an unknown image is gone', async () => {
      await ground.engine.deleteImage({ fingerprint: 'f'.repeat(64) }, signal);
    });

    real('makes no instance from an image that was not prepared', async () => {
      const spec = specOf({ image: { fingerprint: 'f'.repeat(64) } });
      expect(await ground.engine.hasImage(spec.image, signal)).toBe(false);
      await expect(ground.engine.create(spec, signal)).rejects.toEqual(fails('PlatformImageNotFound'));
    });

    real('keeps instances whose image is removed, and takes the image in again', async () => {
      const spec = await started();
      await ground.engine.deleteImage(ground.trial.image, signal);
      expect(await ground.engine.hasImage(ground.trial.image, signal)).toBe(false);
      expect(await run(spec.name, 'true')).toMatchObject({ exitCode: 0 });
      await ground.engine.prepareImage(ground.trial.image, ground.trial.image.file, signal);
      expect(await ground.engine.hasImage(ground.trial.image, signal)).toBe(true);
    });
  });
}
