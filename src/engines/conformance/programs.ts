/** What is promised of programs that are run inside. */
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { mebibyte, type Ground } from './ground.ts';

export function describePrograms(ground: Ground): void {
  const { signal, specOf, started, run, shell, fails, real } = ground;
  describe('programs', () => {
    it.each(['stopped', 'frozen'] as const)('runs no program in a %s instance', async (power) => {
      const spec = specOf();
      await ground.engine.create(spec, signal);
      await ground.engine.setPower(spec.name, power, signal);
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
      expect(await ground.engine.exec(spec.name, ['sh', '-c', script], options, signal)).toEqual({
        exitCode: 7,
        stdout: 'given\n',
        stderr: 'hello from /tmp\n',
      });
    });

    real('takes a megabyte of input', async () => {
      const spec = await started();
      const stdin = randomBytes(mebibyte);
      expect(await ground.engine.exec(spec.name, ['wc', '-c'], { stdin }, signal)).toMatchObject({
        exitCode: 0,
        stdout: `${mebibyte}\n`,
      });
    });

    real('keeps the end of a long output', async () => {
      const spec = await started();
      const result = await ground.engine.exec(
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
      await expect(ground.engine.exec(spec.name, ['sleep', '4242'], { timeoutMs: 1_000 }, signal)).rejects.toEqual(
        fails('Unavailable'),
      );
      expect((await run(spec.name, 'ps')).stdout).not.toContain('4242');
    });

    real('ends a program when the call is given up', async () => {
      const spec = await started();
      const abort = new AbortController();
      const running = ground.engine.exec(spec.name, ['sleep', '4343'], {}, abort.signal).then(
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
        ground.engine.exec(spec.name, ['sh', '-c', 'sleep 600 & echo begun'], { timeoutMs: 1_000 }, signal),
      ).rejects.toEqual(fails('Unavailable'));
    });

    real('answers 127 for a program that is not there, and 126 for a file that is none', async () => {
      const spec = await started();
      expect(await run(spec.name, 'no-such-program')).toMatchObject({ exitCode: 127 });
      expect(await run(spec.name, '/etc/passwd')).toMatchObject({ exitCode: 126 });
    });
  });
}
