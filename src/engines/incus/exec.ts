/** Runs programs inside instances: over the daemon's web sockets, with standard input and both outputs apart. */
import { WebSocket } from 'ws';
import { z } from 'zod';
import { PoolhouseError } from '../../core/errors.ts';
import type { ExecOptions, ExecResult } from '../engine.ts';
import { DaemonError, type DaemonOperation, type RestClient } from './rest-client.ts';

const execMetadata = z.object({ fds: z.record(z.string(), z.string()) });
const endMetadata = z.object({ return: z.number() });

const defaultKeep = 64 * 1024;
const defaultTimeout = 60_000;
/** After a process was killed, its operation ends within moments, unless a child of it keeps the outputs open. */
const killGrace = 3_000;

export async function execInside(
  client: RestClient,
  project: string,
  name: string,
  argv: readonly string[],
  options: ExecOptions,
  signal: AbortSignal,
): Promise<ExecResult> {
  const timeoutMs = options.timeoutMs ?? defaultTimeout;
  const operation = await client.begin(
    `/1.0/instances/${name}/exec?project=${project}`,
    {
      command: argv,
      'wait-for-websocket': true,
      interactive: false,
      environment: {
        PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        HOME: '/root',
        LANG: 'C.UTF-8',
        ...options.environment,
      },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    },
    signal,
  );
  const { fds } = execMetadata.parse(operation.metadata);
  const timeout = AbortSignal.timeout(timeoutMs);
  const limit = AbortSignal.any([signal, timeout]);
  const open = (fd: string, listen?: (socket: WebSocket) => void) =>
    openSocket(client.socketPath, operation.id, fds[fd] ?? '', limit, listen);

  const control = await open('control');
  const kill = () => {
    if (control.readyState === WebSocket.OPEN) control.send(JSON.stringify({ command: 'signal', signal: 9 }));
  };
  limit.addEventListener('abort', kill, { once: true });
  try {
    const keep = options.keepBytes ?? defaultKeep;
    // A program may be done before all of these are known to be open: they are listened to from the beginning.
    const tails = new Map<string, Promise<string>>();
    const output = (fd: string) => open(fd, (socket) => tails.set(fd, tailOf(socket, keep)));
    const [stdin, stdout, stderr] = await Promise.all([open('0'), output('1'), output('2')]);
    const outputs = Promise.all([tails.get('1') ?? '', tails.get('2') ?? '']);
    await feed(stdin, options.stdin);
    const ended = await endOf(client, operation.id, limit, timeoutMs);
    signal.throwIfAborted();
    if (timeout.aborted || ended === undefined) {
      throw new PoolhouseError(
        'Unavailable',
        `'${argv[0] ?? ''}' ran longer than ${Math.round(timeoutMs / 1_000)} s inside '${name}' and was ended.`,
        { retryable: true },
      );
    }
    if (typeof ended === 'number') return { exitCode: ended, stdout: '', stderr: '' };
    // The daemon closes the outputs when the program has ended; a child that holds one open does not keep us waiting.
    const [out, err] = await Promise.race([outputs, settleSoon([stdout, stderr], outputs)]);
    return { exitCode: endMetadata.parse(ended.metadata).return, stdout: out, stderr: err };
  } finally {
    limit.removeEventListener('abort', kill);
    control.terminate();
  }
}

/**
 * Waits for the program's end: its operation, or the exit code where the program could not be begun, as a shell says it.
 * Undefined where the operation outlives the limit although the program was killed.
 */
async function endOf(
  client: RestClient,
  operationId: string,
  limit: AbortSignal,
  timeoutMs: number,
): Promise<DaemonOperation | number | undefined> {
  const giveUp = new AbortController();
  const afterGrace = () =>
    setTimeout(() => {
      giveUp.abort();
    }, killGrace).unref();
  limit.addEventListener('abort', afterGrace, { once: true });
  if (limit.aborted) afterGrace();
  try {
    return await client.waitFor(operationId, giveUp.signal, timeoutMs + 2 * killGrace);
  } catch (error) {
    if (giveUp.signal.aborted) return undefined;
    if (error instanceof DaemonError && /command not found/i.test(error.message)) return 127;
    if (error instanceof DaemonError && /command not executable/i.test(error.message)) return 126;
    throw error;
  } finally {
    limit.removeEventListener('abort', afterGrace);
  }
}

function openSocket(
  socketPath: string,
  operationId: string,
  secret: string,
  signal: AbortSignal,
  listen?: (socket: WebSocket) => void,
): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws+unix:${socketPath}:/1.0/operations/${operationId}/websocket?secret=${secret}`, {
      perMessageDeflate: false,
      handshakeTimeout: 10_000,
    });
    listen?.(socket);
    const give = () => {
      socket.terminate();
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', give, { once: true });
    socket.once('open', () => {
      signal.removeEventListener('abort', give);
      resolve(socket);
    });
    socket.on('error', (error) => {
      signal.removeEventListener('abort', give);
      reject(
        new PoolhouseError('EngineUnavailable', `The engine's daemon closed a connection into an instance.`, {
          cause: error,
          retryable: true,
        }),
      );
    });
  });
}

/** The last bytes that come, as text; resolves when the stream ends. */
function tailOf(socket: WebSocket, keep: number): Promise<string> {
  return new Promise((resolve) => {
    let chunks: Buffer[] = [];
    let size = 0;
    socket.on('message', (message: Buffer, isBinary) => {
      if (!isBinary) {
        socket.close(); // an empty text message is the daemon's end of stream
        return;
      }
      chunks.push(message);
      size += message.length;
      if (size > 4 * keep) {
        const tail = Buffer.concat(chunks).subarray(-keep);
        chunks = [Buffer.from(tail)];
        size = tail.length;
      }
    });
    socket.once('close', () => {
      resolve(Buffer.concat(chunks).subarray(-keep).toString('utf8'));
    });
  });
}

async function settleSoon(sockets: WebSocket[], outputs: Promise<[string, string]>): Promise<[string, string]> {
  await Promise.race([outputs, new Promise((resolve) => setTimeout(resolve, 1_000).unref())]);
  for (const socket of sockets) socket.terminate();
  return outputs;
}

const chunkBytes = 32 * 1024;

async function feed(socket: WebSocket, input: string | Uint8Array | undefined): Promise<void> {
  const bytes =
    input === undefined ? Buffer.alloc(0) : typeof input === 'string' ? Buffer.from(input, 'utf8') : Buffer.from(input);
  for (let at = 0; at < bytes.length && socket.readyState === WebSocket.OPEN; at += chunkBytes) {
    await new Promise<void>((resolve) => {
      socket.send(bytes.subarray(at, at + chunkBytes), { binary: true }, () => {
        resolve(); // a program that does not read its input is its own affair
      });
    });
  }
  if (socket.readyState === WebSocket.OPEN) socket.send('');
  socket.close();
}
