/** What is promised of files that are written into instances. */
import { describe, expect, it } from 'vitest';
import type { Ground } from './ground.ts';

export function describeFiles(ground: Ground): void {
  const { signal, specOf, started, run, shell, real } = ground;
  describe('files', () => {
    const file = { path: '/opt/one/two/settings', content: 'first', mode: 0o640, uid: 12, gid: 34 };

    it.each(['running', 'stopped'] as const)('writes into a %s instance', async (power) => {
      const spec = specOf();
      await ground.engine.create(spec, signal);
      await ground.engine.setPower(spec.name, power, signal);
      await ground.engine.writeFile(spec.name, file, signal);
    });

    real.each(['running', 'stopped'] as const)(
      'writes whole files with owner and mode, makes their folders, and overwrites (%s)',
      async (power) => {
        const spec = await started();
        await ground.engine.setPower(spec.name, power, signal);
        await ground.engine.writeFile(spec.name, { ...file, content: 'a longer content before' }, signal);
        await ground.engine.writeFile(spec.name, file, signal);
        await ground.engine.setPower(spec.name, 'running', signal);
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
      await ground.engine.writeFile(spec.name, { ...file, content }, signal);
      await ground.engine.setPower(spec.name, 'stopped', signal);
      await ground.engine.setPower(spec.name, 'running', signal);
      expect((await run(spec.name, 'base64', '-w', '0', file.path)).stdout.trim()).toBe(
        Buffer.from(content).toString('base64'),
      );
    });
  });
}
