/**
 * Carries bytes between two sockets until both directions are done. A full receiver stops the reading of its sender, so
 * that memory is bounded by one read a direction; an end of one side is passed on and the other direction goes on; a
 * reset of one side resets the other.
 *
 * Node's streams read into a new 64 KiB buffer each time, which costs twice what HAProxy does. So both sockets are taken
 * over by ones that read into a buffer of ours (`onread`), which is used again as soon as it is written: measured, that
 * is a little faster than HAProxy. Node offers `onread` for outgoing sockets only; taking over the handle of an accepted
 * one is not in its documentation, so a socket whose handle cannot be had is read as a stream.
 */
import { Socket } from 'node:net';
import type { OnReadOpts, SocketConstructorOpts } from 'node:net';
import type { ReadBufferPool } from './read-buffers.ts';

export interface SpliceOptions {
  buffers: ReadBufferPool;
  /** Without a byte in either direction for so long, both are reset. */
  idleMs: number;
  /** Called once, when both sockets are closed. */
  onClosed: () => void;
}

export interface Splice {
  /** Resets both sides. */
  readonly destroy: () => void;
  /** Bytes read from each side so far, also after the end. */
  readonly carried: () => { toInstance: number; toClient: number };
  /** Asks the upstream after this much silence whether it still exists. */
  readonly keepAlive: (afterMs: number) => void;
}

/** Starts carrying. Both sockets must be paused, unread, and half-open allowed; they belong to the splice from now on. */
export function splice(clientSocket: Socket, upstreamSocket: Socket, options: SpliceOptions): Splice {
  const { buffers, idleMs, onClosed } = options;
  const toUpstream = new Direction(buffers);
  const toClient = new Direction(buffers);
  const client = toUpstream.begin(clientSocket);
  const upstream = toClient.begin(upstreamSocket);
  toUpstream.connect(client, upstream);
  toClient.connect(upstream, client);

  let open = 2;
  for (const [socket, other] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    socket.on('error', () => undefined);
    socket.on('end', () => other.end());
    socket.on('close', (failed: boolean) => {
      // Without a failure both directions have ended, and what `other` still has to send goes on.
      if (failed && !other.destroyed) other.resetAndDestroy();
      if (--open > 0) return;
      toUpstream.release();
      toClient.release();
      onClosed();
    });
  }
  const destroy = (): void => {
    for (const socket of [client, upstream]) if (!socket.destroyed) socket.resetAndDestroy();
  };
  // Every byte passes the client's socket in one direction or the other: its timer is enough.
  client.setTimeout(idleMs, destroy);
  client.resume();
  upstream.resume();
  return {
    destroy,
    // Counted by the sockets themselves: nothing is added to the way of a byte.
    carried: () => ({ toInstance: client.bytesRead, toClient: upstream.bytesRead }),
    keepAlive: (afterMs) => upstream.setKeepAlive(true, afterMs),
  };
}

/** One direction: reads from one socket into one buffer, and reads on when it is written to the other. */
class Direction {
  readonly #buffers: ReadBufferPool;
  #buffer: ReturnType<ReadBufferPool['take']> | undefined;
  #from: Socket | undefined;
  #to: Socket | undefined;
  #paused = false;

  constructor(buffers: ReadBufferPool) {
    this.#buffers = buffers;
  }

  /** The socket to read from: one that reads into our buffer, or the given one as a stream. */
  begin(socket: Socket): Socket {
    const handle = takeHandle(socket);
    if (handle === undefined) {
      socket.on('data', (chunk: Buffer) => {
        if (!this.#write(chunk)) socket.pause();
      });
      return socket;
    }
    const buffer = this.#buffers.take();
    this.#buffer = buffer;
    const onread: OnReadOpts = {
      // Asked for after each read. What waits to be written stays where it is: no other buffer, and this one for nobody else.
      buffer: () => (this.#paused ? buffer.kept() : buffer.current()),
      callback: (bytes, memory) => {
        buffer.filled(bytes);
        return this.#write(memory.subarray(0, bytes));
      },
    };
    const options: AdoptingSocketOptions = { handle, onread, allowHalfOpen: true, pauseOnCreate: true };
    // The types know neither an accepted handle nor `pauseOnCreate`; Node's own server passes just these.
    return new Socket(options as SocketConstructorOpts);
  }

  connect(from: Socket, to: Socket): void {
    this.#from = from;
    this.#to = to;
  }

  release(): void {
    this.#buffer?.release();
  }

  /** True when all of it is with the kernel, so that the memory may be used again. */
  #write(chunk: Uint8Array): boolean {
    const to = this.#to;
    if (to === undefined || to.destroyed) return false;
    to.write(chunk, this.#written);
    this.#paused = to.writableLength > 0;
    return !this.#paused;
  }

  #written = (): void => {
    if (!this.#paused || this.#to?.writableLength !== 0) return;
    this.#paused = false;
    this.#from?.resume();
  };
}

/** Node's own options for a socket around an existing handle, as its server and cluster use them. */
interface AdoptingSocketOptions extends Omit<SocketConstructorOpts, 'handle'> {
  handle: object;
  pauseOnCreate: boolean;
}

/** Takes the handle away from a socket, which is dead afterwards; undefined where it has none to take. */
function takeHandle(socket: Socket): object | undefined {
  if (!('_handle' in socket) || socket.destroyed || socket.readableLength > 0 || socket.bytesRead > 0) return undefined;
  const handle = socket._handle;
  if (typeof handle !== 'object' || handle === null || !('readStop' in handle)) return undefined;
  socket._handle = null;
  return handle;
}
