/** Asks control over its own local socket: what the command line shows. */
import { request } from 'node:http';
import { httpStatusOf, PoolhouseError, type ErrorCode } from '../core/errors.ts';

/** `HostNotReady` where control does not answer. */
export function askControl(socketPath: string, path: string, limitMs = 10_000): Promise<string> {
  return exchange(socketPath, 'GET', path, '', limitMs);
}

/** Has control do something that is none of the ARM API's; `body` is JSON. */
export function tellControl(socketPath: string, path: string, body: object, limitMs = 60_000): Promise<string> {
  return exchange(socketPath, 'POST', path, JSON.stringify(body), limitMs);
}

async function exchange(
  socketPath: string,
  method: 'GET' | 'POST',
  path: string,
  body: string,
  limitMs: number,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { socketPath, path, method, timeout: limitMs, signal: AbortSignal.timeout(limitMs) },
      (incoming) => {
        let text = '';
        incoming.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        incoming.on('error', reject);
        incoming.on('end', () => {
          if (incoming.statusCode === 200) resolve(text);
          else reject(errorOfControl(text));
        });
      },
    );
    outgoing.on('error', (error) => {
      reject(
        new PoolhouseError(
          'HostNotReady',
          `Control does not answer. 'poolhouse up' starts it; 'poolhouse logs control' tells what happened.`,
          { cause: error, retryable: true },
        ),
      );
    });
    outgoing.end(body);
  });
}

/** What control said instead of an answer. One that may be tried again says so by its code. */
export function errorOfControl(text: string): PoolhouseError {
  try {
    const { error } = JSON.parse(text) as { error: { code: string; message: string } }; // of our own process
    return new PoolhouseError(
      Object.hasOwn(httpStatusOf, error.code) ? (error.code as ErrorCode) : 'NotFound',
      error.message,
      { retryable: error.code === 'Unavailable' || error.code === 'EngineUnavailable' },
    );
  } catch (cause) {
    return new PoolhouseError('InternalServerError', 'Control gave an answer that cannot be read.', { cause });
  }
}
