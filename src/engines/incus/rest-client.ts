/**
 * The daemon's REST API over its Unix socket: Incus and LXD speak the same. Requests answer at once or with an
 * operation, which is waited for here; cancelling a call cancels the daemon's operation where it can be.
 */
import { Agent, request as httpRequest } from 'node:http';
import { Readable } from 'node:stream';
import { z } from 'zod';
import { PoolhouseError } from '../../core/errors.ts';

const answerSchema = z.object({
  type: z.string(),
  status_code: z.number().optional(),
  error_code: z.number().optional(),
  error: z.string().optional(),
  operation: z.string().optional(),
  metadata: z.unknown(),
});

const operationSchema = z.object({
  id: z.string(),
  status_code: z.number(),
  err: z.string().optional(),
  metadata: z.unknown(),
});
export type DaemonOperation = z.infer<typeof operationSchema>;

/** What the daemon refused, in its own words. Becomes a `PoolhouseError` where its meaning is known. */
export class DaemonError extends Error {
  override readonly name = 'DaemonError';
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export interface RestClient {
  readonly socketPath: string;
  get(path: string, signal: AbortSignal): Promise<unknown>;
  /** Sends a change and waits until the daemon has carried it out; gives the operation's metadata. */
  change(
    method: 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    path: string,
    body: unknown,
    signal: AbortSignal,
    limitMs?: number,
  ): Promise<unknown>;
  /** Starts an operation without waiting for its end. */
  begin(path: string, body: unknown, signal: AbortSignal): Promise<DaemonOperation>;
  waitFor(operationId: string, signal: AbortSignal, limitMs: number): Promise<DaemonOperation>;
  /** Sends a body that is not JSON. */
  upload(
    path: string,
    body: Readable | Uint8Array,
    headers: Record<string, string>,
    signal: AbortSignal,
    limitMs?: number,
  ): Promise<unknown>;
  /** A text answer, such as metrics. */
  text(path: string, signal: AbortSignal): Promise<string>;
  close(): void;
}

const requestLimit = 30_000;
const operationLimit = 300_000;
const largestAnswer = 64 * 2 ** 20;

export function createRestClient(socketPath: string): RestClient {
  const agent = new Agent({ keepAlive: true, maxSockets: 32, timeout: 60_000 });

  async function send(
    method: string,
    path: string,
    body: Readable | Uint8Array | string | undefined,
    headers: Record<string, string>,
    signal: AbortSignal,
    limitMs: number,
  ): Promise<{ status: number; text: string }> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(limitMs)]);
    try {
      return await new Promise((resolve, reject) => {
        const outgoing = httpRequest(
          { socketPath, path, method, headers: { host: 'daemon', ...headers }, agent, signal: limit },
          (incoming) => {
            const chunks: Buffer[] = [];
            let size = 0;
            incoming.on('data', (chunk: Buffer) => {
              size += chunk.length;
              if (size > largestAnswer) incoming.destroy(new Error('the answer is too large'));
              chunks.push(chunk);
            });
            incoming.on('error', reject);
            incoming.on('end', () => {
              resolve({ status: incoming.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') });
            });
          },
        );
        outgoing.on('error', reject);
        if (body instanceof Readable) body.on('error', reject).pipe(outgoing);
        else outgoing.end(body);
      });
    } catch (error) {
      signal.throwIfAborted();
      throw new PoolhouseError(
        'EngineUnavailable',
        `The engine's daemon does not answer at ${socketPath}. 'poolhouse up' starts it.`,
        { cause: error, retryable: true },
      );
    }
  }

  function parse(answer: { status: number; text: string }): z.infer<typeof answerSchema> {
    let value: unknown;
    try {
      value = JSON.parse(answer.text);
    } catch (error) {
      throw new PoolhouseError(
        'EngineUnavailable',
        `The engine's daemon gave an answer that is not JSON (status ${answer.status}).`,
        { cause: error, retryable: true },
      );
    }
    const parsed = answerSchema.parse(value);
    if (parsed.type === 'error')
      throw new DaemonError(parsed.error_code ?? answer.status, parsed.error ?? 'unknown error');
    return parsed;
  }

  const json = async (method: string, path: string, body: unknown, signal: AbortSignal, limitMs = requestLimit) =>
    parse(
      await send(
        method,
        path,
        body === undefined ? undefined : JSON.stringify(body),
        { 'content-type': 'application/json' },
        signal,
        limitMs,
      ),
    );

  async function waitFor(operationId: string, signal: AbortSignal, limitMs: number): Promise<DaemonOperation> {
    const path = `/1.0/operations/${operationId.split('?')[0] ?? ''}`;
    try {
      const seconds = Math.ceil(limitMs / 1_000);
      const answer = await json('GET', `${path}/wait?timeout=${seconds}`, undefined, signal, limitMs + requestLimit);
      const operation = operationSchema.parse(answer.metadata);
      if (operation.status_code >= 400)
        throw new DaemonError(operation.status_code, operation.err ?? 'the operation failed');
      if (operation.status_code < 200) {
        throw new PoolhouseError(
          'EngineUnavailable',
          `The engine's daemon has not finished an operation within ${seconds} s.`,
          { retryable: true },
        );
      }
      return operation;
    } catch (error) {
      // Best effort: most operations of the daemon cannot be cancelled, and end by themselves.
      if (signal.aborted) void json('DELETE', path, undefined, AbortSignal.timeout(5_000)).catch(() => undefined);
      throw error;
    }
  }

  const finish = async (
    answer: z.infer<typeof answerSchema>,
    signal: AbortSignal,
    limitMs: number,
  ): Promise<unknown> => {
    if (answer.type !== 'async') return answer.metadata;
    const id = operationSchema.parse(answer.metadata).id;
    return (await waitFor(id, signal, limitMs)).metadata;
  };

  return {
    socketPath,
    get: async (path, signal) => (await json('GET', path, undefined, signal)).metadata,
    change: async (method, path, body, signal, limitMs = operationLimit) =>
      finish(await json(method, path, body, signal, limitMs), signal, limitMs),
    begin: async (path, body, signal) => operationSchema.parse((await json('POST', path, body, signal)).metadata),
    waitFor,
    upload: async (path, body, headers, signal, limitMs = operationLimit) =>
      finish(parse(await send('POST', path, body, headers, signal, limitMs)), signal, limitMs),
    text: async (path, signal) => (await send('GET', path, undefined, {}, signal, requestLimit)).text,
    close: () => {
      agent.destroy();
    },
  };
}

/** Runs a call for which "already there" (or "already gone") is as good as done. */
export async function unless<T>(
  acceptable: (error: DaemonError) => boolean,
  call: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof DaemonError && acceptable(error)) return undefined;
    throw error;
  }
}

export const isMissing = (error: DaemonError) => error.status === 404 || /not found/i.test(error.message);
export const isPresent = (error: DaemonError) =>
  error.status === 409 || /already exists|already in use|UNIQUE constraint/i.test(error.message);
export const isBeingCreated = (error: DaemonError) => /busy running a "create" operation/i.test(error.message);
