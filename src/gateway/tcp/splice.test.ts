import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { closed, listening, portOf, until } from '../test-support.ts';
import { createReadBufferPool } from './read-buffers.ts';
import type { ReadBufferPool } from './read-buffers.ts';
import { splice } from './splice.ts';

let servers: Server[];
beforeEach(() => {
  servers = [];
});
afterEach(() => {
  for (const server of servers) server.close();
});

/** Two ends of one connection. */
async function pair(): Promise<{ near: Socket; far: Socket }> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  servers.push(server);
  await listening(server, 0);
  const far = connect({ host: '127.0.0.1', port: portOf(server), allowHalfOpen: true });
  const [near] = (await once(server, 'connection')) as [Socket];
  return { near, far };
}

function hashOf(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

/** Not by an iterator, which ends the other direction with this one. */
async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(socket, 'end');
  return Buffer.concat(chunks);
}

describe('splice', () => {
  it.each([
    ['sockets that were never read', false],
    ['a socket that was read as a stream before', true],
  ])('carries %s', async (_, read) => {
    const [client, upstream] = [await pair(), await pair()];
    if (read) {
      client.far.write('first line\n');
      client.near.resume();
      await once(client.near, 'data');
      client.near.pause();
    }
    const done: PromiseWithResolvers<void> = Promise.withResolvers();
    splice(client.near, upstream.near, { buffers: createReadBufferPool(), idleMs: 10_000, onClosed: done.resolve });
    const [up, down] = [randomBytes(8 * 1024 * 1024), randomBytes(8 * 1024 * 1024)];
    client.far.end(up);
    upstream.far.end(down);
    const [atUpstream, atClient] = await Promise.all([readAll(upstream.far), readAll(client.far)]);
    expect(hashOf(atUpstream)).toBe(hashOf(up));
    expect(hashOf(atClient)).toBe(hashOf(down));
    await done.promise;
  });

  it('leaves memory alone that waits to be written', async () => {
    let read = 0;
    const spoiling: ReadBufferPool = {
      take() {
        let buffer = Buffer.alloc(64 * 1024);
        return {
          current() {
            // As bad as another connection reading into it.
            buffer.fill(0xee);
            buffer = Buffer.alloc(64 * 1024);
            return buffer;
          },
          kept: () => buffer,
          filled: (bytes) => (read += bytes),
          release: () => undefined,
        };
      },
    };
    const [client, upstream] = [await pair(), await pair()];
    const done: PromiseWithResolvers<void> = Promise.withResolvers();
    splice(client.near, upstream.near, { buffers: spoiling, idleMs: 10_000, onClosed: done.resolve });
    const sent = randomBytes(32 * 1024 * 1024);
    client.far.end(sent);
    upstream.far.end();
    let before = -1;
    await until('the kernel holds all that it can', async () => {
      const stands = read === before && read > 0;
      before = read;
      await sleep(50);
      return stands;
    });
    expect(read).toBeLessThan(sent.length);
    expect(hashOf(await readAll(upstream.far))).toBe(hashOf(sent));
    client.far.resume();
    await done.promise;
  });

  it('resets both sides when it is destroyed, and says once that it is over', async () => {
    const [client, upstream] = [await pair(), await pair()];
    for (const socket of [client.far, upstream.far]) {
      socket.on('error', () => undefined);
      socket.resume();
    }
    let over = 0;
    const { destroy } = splice(client.near, upstream.near, {
      buffers: createReadBufferPool(),
      idleMs: 10_000,
      onClosed: () => over++,
    });
    destroy();
    destroy();
    await Promise.all([closed(client.far), closed(upstream.far)]);
    expect(over).toBe(1);
  });
});

describe('read buffers', () => {
  it('grow while reads fill them, shrink when they no longer do, and stay within the budget', () => {
    const pool = createReadBufferPool(300 * 1024);
    const [one, two] = [pool.take(), pool.take()];
    const sizeAfter = (buffer: typeof one, bytes: number): number => {
      buffer.filled(bytes);
      return buffer.current().length / 1024;
    };
    expect(one.current().length).toBe(8 * 1024);
    expect(sizeAfter(one, 8 * 1024)).toBe(64);
    expect(sizeAfter(one, 30 * 1024)).toBe(64);
    // The next step needs its memory beside the present one.
    expect(sizeAfter(two, 8 * 1024)).toBe(64);
    expect(sizeAfter(one, 64 * 1024)).toBe(64);
    two.release();
    expect(sizeAfter(one, 64 * 1024)).toBe(64);
    for (let index = 0; index < 31; index++) expect(sizeAfter(one, 100)).toBe(64);
    expect(sizeAfter(one, 100)).toBe(8);
  });

  it('never gives memory to another direction while it is kept', () => {
    const pool = createReadBufferPool();
    const [one, two] = [pool.take(), pool.take()];
    const waiting = one.current();
    one.filled(waiting.length);
    expect(one.kept()).toBe(waiting);
    two.filled(8 * 1024);
    expect(two.current()).not.toBe(waiting);
    expect(pool.take().current()).not.toBe(waiting);
  });
});
