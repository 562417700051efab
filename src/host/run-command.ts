/** Runs a program of the host and gives what it said. Arguments are a list: no shell reads them. */
import { spawn } from 'node:child_process';
import { PoolhouseError } from '../core/errors.ts';

export interface CommandResult {
  exitCode: number;
  stdout: string;
  stderr: string;
}

export interface CommandOptions {
  stdin?: string;
  env?: NodeJS.ProcessEnv;
  timeoutMs?: number;
  signal?: AbortSignal;
  onOutput?(line: string): void;
}

const kept = 256 * 1024;

/** Whether a failure of `runCommand` says that the program is not installed. */
export function isMissingProgram(error: unknown): boolean {
  const cause = error instanceof PoolhouseError ? (error.cause as NodeJS.ErrnoException | undefined) : undefined;
  return cause?.code === 'ENOENT' && cause.syscall?.startsWith('spawn') === true;
}

/** Never fails for an exit code; `HostNotReady` when the program is missing, cannot be started, or runs too long. */
export function runCommand(
  program: string,
  argv: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const limit = AbortSignal.timeout(options.timeoutMs ?? 60_000);
  const signal = options.signal === undefined ? limit : AbortSignal.any([options.signal, limit]);
  return new Promise((resolve, reject) => {
    const child = spawn(program, argv, {
      stdio: [options.stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      env: options.env ?? process.env,
      signal,
    });
    let stdout = '';
    let stderr = '';
    const lines = (text: string) => {
      if (options.onOutput !== undefined)
        for (const line of text.split(/[\r\n]+/)) if (line.trim() !== '') options.onOutput(line);
    };
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      stdout = (stdout + text).slice(-kept);
      lines(text);
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-kept);
      lines(text);
    });
    child.on('error', (error) => {
      if (options.signal?.aborted === true) reject(options.signal.reason as Error);
      else if (limit.aborted)
        reject(
          new PoolhouseError(
            'HostNotReady',
            `'${program}' did not end within ${Math.round((options.timeoutMs ?? 60_000) / 1_000)} s.`,
            { cause: error },
          ),
        );
      else
        reject(
          new PoolhouseError(
            'HostNotReady',
            (error as NodeJS.ErrnoException).code === 'ENOENT'
              ? `'${program}' could not be started: it is not installed, or not in PATH.`
              : `'${program}' could not be started (${(error as NodeJS.ErrnoException).code ?? error.message}): is it installed, and may you run it?`,
            { cause: error },
          ),
        );
    });
    child.on('close', (code) => {
      resolve({ exitCode: code ?? 1, stdout, stderr });
    });
    if (options.stdin !== undefined) {
      child.stdin?.on('error', () => undefined); // the exit code tells
      child.stdin?.end(options.stdin);
    }
  });
}
