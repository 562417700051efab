import { describe, expect, it } from 'vitest';
import { isMissingProgram, runCommand } from './run-command.ts';

const thrownBy = (running: Promise<unknown>): Promise<unknown> => running.catch((error: unknown) => error);

describe('a program of the host', () => {
  it('gives what it said, and its exit code', async () => {
    const lines: string[] = [];
    const result = await runCommand('sh', ['-c', 'cat; echo wrong >&2; exit 3'], {
      stdin: 'one\ntwo\n',
      onOutput: (line) => lines.push(line),
    });
    expect(result).toEqual({ exitCode: 3, stdout: 'one\ntwo\n', stderr: 'wrong\n' });
    expect(lines.toSorted()).toEqual(['one', 'two', 'wrong']);
  });

  it('takes arguments as they are', async () => {
    expect((await runCommand('printf', ['%s', '$(id) "; x'])).stdout).toBe('$(id) "; x');
  });

  it('says that it is missing, and only then', async () => {
    const missing = await thrownBy(runCommand('no-such-program', [], { env: { PATH: '/usr/bin:/bin' } }));
    expect(missing).toMatchObject({
      code: 'HostNotReady',
      message: expect.stringContaining('is not installed, or not in PATH') as string,
    });
    expect(isMissingProgram(missing)).toBe(true);
    const forbidden = await thrownBy(runCommand('/etc/passwd', []));
    expect(forbidden).toMatchObject({ code: 'HostNotReady', message: expect.stringContaining('EACCES') as string });
    expect(isMissingProgram(forbidden)).toBe(false);
  });

  it('is ended when it takes too long, and when nobody waits any more', async () => {
    const late = await thrownBy(runCommand('sleep', ['60'], { timeoutMs: 10 }));
    expect(late).toMatchObject({ message: expect.stringContaining(`'sleep' did not end within`) as string });
    expect(isMissingProgram(late)).toBe(false);
    const stop = new AbortController();
    const running = thrownBy(runCommand('sleep', ['60'], { signal: stop.signal }));
    stop.abort(new Error('stopped'));
    expect(await running).toMatchObject({ message: 'stopped' });
  });
});
