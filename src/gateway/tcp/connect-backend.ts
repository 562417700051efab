/** Connects to the first of some back ends that answers: nothing was sent yet, so trying another is invisible to the client. */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import type { Backend } from '../../link/routes.ts';

export interface ConnectOptions {
  /** For each try. */
  limitMs: number;
  /** Back ends tried at most. */
  tries: number;
  signal: AbortSignal;
  onFailure: (backend: Backend, error: Error) => void;
}

export interface Connected {
  backend: Backend;
  socket: Socket;
}

/** Undefined where none of them answered, or the signal aborted. The socket is paused and has an error listener. */
export async function connectBackend(
  choices: readonly Backend[],
  options: ConnectOptions,
): Promise<Connected | undefined> {
  const gone = (): boolean => options.signal.aborted;
  for (const backend of choices.slice(0, options.tries)) {
    if (gone()) return undefined;
    try {
      return { backend, socket: await connectOnce(backend, options) };
    } catch (error) {
      if (gone()) return undefined;
      options.onFailure(backend, error instanceof Error ? error : new Error('connecting failed', { cause: error }));
    }
  }
  return undefined;
}

function connectOnce(backend: Backend, { limitMs, signal }: ConnectOptions): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: backend.address,
      port: backend.port,
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 30_000,
    });
    // Unread, as a splice needs it.
    socket.pause();
    const fail = (error: Error): void => {
      finish();
      socket.destroy();
      reject(error);
    };
    const abort = (): void => {
      fail(new Error('the client went away'));
    };
    const timer = setTimeout(() => {
      fail(Object.assign(new Error(`no answer within ${String(limitMs)} ms`), { code: 'ETIMEDOUT' }));
    }, limitMs);
    const finish = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      socket.off('error', fail);
      socket.on('error', () => undefined);
    };
    signal.addEventListener('abort', abort, { once: true });
    socket.once('error', fail);
    socket.once('connect', () => {
      finish();
      resolve(socket);
    });
  });
}
