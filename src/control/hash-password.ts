/** Passwords as Linux keeps them. `openssl` does it; the password goes in by a pipe, never as an argument. */
import { spawn } from 'node:child_process';
import { PoolhouseError } from '../core/errors.ts';

/** A SHA-512 crypt hash (`$6$…`) with a salt of its own. */
export async function hashPassword(password: string, signal: AbortSignal): Promise<string> {
  const child = spawn('openssl', ['passwd', '-6', '-stdin'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    signal,
    timeout: 10_000,
    env: { PATH: process.env['PATH'] ?? '' },
  });
  return new Promise((resolve, reject) => {
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.on('error', (error) => {
      reject(
        new PoolhouseError(
          'HostNotReady',
          `'openssl' could not be started to hash a password. Install it: apt-get install openssl`,
          { cause: error, retryable: true },
        ),
      );
    });
    child.on('close', (code) => {
      const hash = output.trim();
      if (code === 0 && /^\$6\$[^:\s]+$/.test(hash)) resolve(hash);
      else
        reject(
          new PoolhouseError('HostNotReady', `'openssl passwd' failed with exit code ${code ?? 'none'}.`, {
            retryable: true,
          }),
        );
    });
    child.stdin.on('error', () => undefined); // the exit code tells
    child.stdin.end(`${password}\n`);
  });
}
