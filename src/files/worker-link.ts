/**
 * The file server's worker, as control sees it. It is the worker that connects, from inside its instance, to a socket in the folder that
 * only this instance is shown; on each connection control asks one thing, and then another connection waits in its place.
 */
import { chmod, rm } from 'node:fs/promises';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { createServer, type Socket } from 'node:net';
import { finished, Readable } from 'node:stream';
import type { Logger } from 'pino';
import { PoolhouseError } from '../core/errors.ts';
import type { Json } from '../core/json.ts';
import type { ShareFiles } from './share-files.ts';
import { workerFiles } from './worker-files.ts';

/** What one question is. */
export interface WorkerQuestion {
  method: string;
  arguments: { [name: string]: Json };
  body?: Readable | Uint8Array;
  /** It may take long before the answer begins. */
  isLong?: boolean;
}

/** The answer, whatever its status; its body is still to be read. `Unavailable` where nobody answers. */
export type AskWorker = (question: WorkerQuestion, signal: AbortSignal) => Promise<IncomingMessage>;

export interface WorkerLink {
  files: ShareFiles;
  /** Takes the worker's connections. The folder of the socket says who reaches it. */
  listen(socketPath: string): Promise<void>;
  /** How many connections wait for a question. */
  waiting(): number;
  close(): Promise<void>;
}

const mostConnections = 128;
/** How long somebody waits for the worker to come, who asks while it is not there. */
const patience = 5_000;
/** How long an answer that needs no long work may take to begin. */
const answerLimit = 60_000;
/** The worker reads no more of a header. */
const longestArguments = 60_000;

interface Waiter {
  take(socket: Socket): void;
}

export function createWorkerLink(parts: {
  log: Logger;
  patience?: number;
  /** Somebody has a question, whether or not there is anybody to answer. */
  onQuestion?: () => void;
}): WorkerLink {
  const { log } = parts;
  const idle = new Map<Socket, () => void>();
  const busy = new Set<Socket>();
  const waiters = new Set<Waiter>();

  const server = createServer((socket) => {
    const leave = () => {
      idle.delete(socket);
      socket.destroy();
    };
    socket.on('error', leave); // 'close' follows
    socket.on('close', () => {
      idle.delete(socket);
      busy.delete(socket);
    });
    const [next] = waiters;
    if (next !== undefined) {
      next.take(socket);
      return;
    }
    // Nobody was asked yet: whatever it says or does, it is of no use any more.
    const early = () => {
      log.warn('the worker of the file server speaks without being asked');
      leave();
    };
    socket.on('data', early);
    idle.set(socket, () => {
      idle.delete(socket);
      socket.off('data', early);
    });
  });
  server.maxConnections = mostConnections;

  function takeConnection(signal: AbortSignal): Promise<Socket> {
    signal.throwIfAborted();
    for (const [socket, take] of idle) {
      take();
      if (!socket.destroyed) return Promise.resolve(socket);
    }
    return new Promise((resolve, reject) => {
      const end = () => {
        waiters.delete(waiter);
        clearTimeout(timer);
        signal.removeEventListener('abort', aborted);
      };
      const waiter: Waiter = {
        take: (socket) => {
          end();
          resolve(socket);
        },
      };
      const aborted = () => {
        end();
        reject(signal.reason as Error);
      };
      const timer = setTimeout(() => {
        end();
        reject(unavailable('The file server does not answer, or is still being made. Try again in a moment.'));
      }, parts.patience ?? patience);
      signal.addEventListener('abort', aborted);
      waiters.add(waiter);
    });
  }

  const ask: AskWorker = async (question, signal) => {
    parts.onQuestion?.();
    const words = Buffer.from(JSON.stringify(question.arguments)).toString('base64');
    if (words.length > longestArguments)
      throw new PoolhouseError('InvalidParameter', 'A path, or what is to be kept with a file, is too long.');
    const socket = await takeConnection(signal);
    busy.add(socket);
    return send(socket, question, words, signal);
  };

  return {
    files: workerFiles(ask),
    async listen(socketPath) {
      await rm(socketPath, { force: true });
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject).listen(socketPath, resolve);
      });
      server.removeAllListeners('error').on('error', (error) => {
        log.error({ err: error }, 'a connection of the file server could not be taken');
      });
      await chmod(socketPath, 0o666);
    },
    waiting: () => idle.size,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of [...idle.keys(), ...busy]) socket.destroy();
      await closed;
    },
  };
}

function send(
  socket: Socket,
  { method, body, isLong = false }: WorkerQuestion,
  words: string,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const size: Record<string, string | number> = body instanceof Uint8Array ? { 'content-length': body.length } : {};
    const outgoing = httpRequest({
      createConnection: () => socket,
      method: 'POST',
      path: `/${method}`,
      headers: {
        host: 'share-files',
        arguments: words,
        ...(body instanceof Readable ? { 'transfer-encoding': 'chunked' } : size),
      },
      signal,
    });
    const fail = (error: Error) => {
      clearTimeout(limit);
      reject(
        error instanceof PoolhouseError || signal.aborted
          ? error
          : unavailable('The file server did not answer to its end. Try again in a moment.', error),
      );
    };
    const limit = isLong
      ? undefined
      : setTimeout(() => {
          outgoing.destroy(unavailable('The file server takes too long to answer. Try again in a moment.'));
        }, answerLimit);
    outgoing.on('error', fail);
    outgoing.on('response', (incoming) => {
      clearTimeout(limit);
      if (body instanceof Readable) body.unpipe(outgoing);
      resolve(incoming);
    });
    if (!(body instanceof Readable)) {
      outgoing.end(body);
      return;
    }
    // What was not sent to its end must not look like all of it.
    finished(body, { writable: false }, (error) => {
      if (error !== undefined && error !== null)
        outgoing.destroy(new PoolhouseError('InvalidRequestContent', 'What was to be written was cut off.', { cause: error })); // prettier-ignore
    });
    body.pipe(outgoing);
  });
}

function unavailable(message: string, cause?: unknown): PoolhouseError {
  return new PoolhouseError('Unavailable', message, { retryable: true, ...(cause === undefined ? {} : { cause }) });
}
