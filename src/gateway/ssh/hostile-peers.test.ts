/** What a stranger may send: the connection ends or goes on, nothing is thrown out of it, and no memory fills up. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { deflateSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { algorithms, connectSsh } from './library.ts';
import { wireString, wireUint32 } from './ssh-wire.ts';
import type { ServerConnection } from './ssh-types.ts';
import {
  connectPair,
  connectWithSessions,
  insides,
  listen,
  openBoth,
  sendRaw,
  unanswered,
  exec,
  must,
} from './test-support.ts';

const message = { windowAdjust: 93, data: 94, eof: 96 };
/** What was thrown where nobody catches it. */
const thrown: unknown[] = [];
const note = (error: unknown) => void thrown.push(error);

beforeAll(() => {
  process.on('uncaughtException', note).on('unhandledRejection', note);
});
afterAll(() => {
  process.off('uncaughtException', note).off('unhandledRejection', note);
  expect(thrown).toEqual([]);
});

const packet = (type: number, ...parts: Buffer[]) => Buffer.concat([Buffer.of(type), ...parts]);
const channelOpen = (packetSize: number) =>
  packet(90, wireString('session'), wireUint32(77), wireUint32(2 ** 21), wireUint32(packetSize));

describe('a hostile client that signed in', () => {
  it.each([0, 1, 255])('gets no channel with packets of %d bytes, which would be written for ever', async (size) => {
    const { client, server } = await connectWithSessions(() => undefined);
    const failed = once(server, 'error');
    sendRaw(client, channelOpen(size));
    expect(String((await failed)[0])).toMatch(/Malformed CHANNEL_OPEN/);
  });

  it('may not send more than its window', async () => {
    const { client, far, server } = await openBoth({ server: { windowSize: 65_536 } });
    far.pause();
    const failed = once(server, 'error');
    for (let sent = 0; sent < 6; sent += 1)
      sendRaw(client, packet(message.data, wireUint32(0), wireString(Buffer.alloc(30_000))));
    expect(String((await failed)[0])).toMatch(/more than the window/);
    expect(far.readableLength).toBeLessThan(2 * 65_536);
  });

  it('may not send more than its window before its command is accepted either', async () => {
    const { client, server } = await connectWithSessions((session) => session.on('exec', () => undefined), {
      server: { windowSize: 65_536 },
    });
    exec(client).catch(() => undefined);
    await unanswered(client);
    const failed = once(server, 'error');
    for (let sent = 0; sent < 3; sent += 1)
      sendRaw(client, packet(message.data, wireUint32(0), wireString(Buffer.alloc(30_000))));
    expect(String((await failed)[0])).toMatch(/more than the window/);
  });

  it('may not have a window beyond 4 GiB', async () => {
    const { client, server } = await openBoth();
    const failed = once(server, 'error');
    for (let sent = 0; sent < 2; sent += 1)
      sendRaw(client, packet(message.windowAdjust, wireUint32(0), wireUint32(2 ** 32 - 1)));
    expect(String((await failed)[0])).toMatch(/window that is too large/);
  });

  it('is not heard after its EOF', async () => {
    const { client, far, near } = await openBoth();
    const errors: unknown[] = [];
    far.on('error', (error) => errors.push(error));
    sendRaw(client, packet(message.eof, wireUint32(0)));
    sendRaw(client, packet(message.data, wireUint32(0), wireString('more')));
    await once(far.resume(), 'end');
    far.end('still here');
    expect(String((await once(near, 'data'))[0])).toBe('still here');
    expect(errors).toEqual([]);
  });

  it('that reads nothing makes what it is sent wait where it comes from', async () => {
    const { client, far, clientSocket, serverSocket } = await openBoth();
    clientSocket.pause();
    sendRaw(client, packet(message.windowAdjust, wireUint32(0), wireUint32(2 ** 31)));
    await new Promise((resolve) => setTimeout(resolve, 50)); // until the window is known there
    const chunk = Buffer.alloc(1024 * 1024);
    for (let sent = 0; sent < 100; sent += 1) far.write(chunk);
    await new Promise((resolve) => setTimeout(resolve, 100)); // for what would flow
    expect(serverSocket.writableLength).toBeLessThan(8 * chunk.length);
    expect(far.writableLength).toBeGreaterThan(80 * chunk.length);
  });

  it('that does not answer to a rekey makes it wait there too', async () => {
    const { client, server, far } = await openBoth();
    insides(client)._protocol._cipher.encrypt = () => undefined; // it sends nothing any more
    server.rekey();
    const chunk = Buffer.alloc(1024 * 1024);
    for (let sent = 0; sent < 20; sent += 1) far.write(chunk);
    const queued = (insides(server)._protocol as unknown as { _queueBytes: number })._queueBytes;
    expect(queued).toBeLessThan(chunk.length);
    expect(far.writableLength).toBe(20 * chunk.length);
  });

  it('that asks and does not read is given up', async () => {
    const { client, clientSocket, serverSocket } = await connectPair();
    clientSocket.pause();
    const closed = new Promise((resolve) => serverSocket.once('close', resolve));
    const ping = packet(192, wireString(Buffer.alloc(200_000)));
    for (let sent = 0; sent < 500 && !clientSocket.destroyed; sent += 1) {
      sendRaw(client, ping);
      if (sent % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await closed;
  });

  it('cannot inflate a little into a lot', async () => {
    const { client, server } = await connectPair({ client: { algorithms: { compress: ['zlib@openssh.com'] } } });
    const bomb = deflateSync(Buffer.alloc(50_000_000)); // a stream of its own: what came before does not matter then
    const write = (insides(client)._protocol._packetRW as unknown as { write: { finalize: unknown } }).write;
    write.finalize = (payload: Buffer) => {
      const raw = (insides(client)._protocol._cipher as unknown as { allocPacket(size: number): Buffer }).allocPacket(
        payload.length,
      );
      raw.set(payload, 5);
      return raw;
    };
    const failed = once(server, 'error');
    sendRaw(client, bomb.subarray(0, 40_000));
    await failed;
  });

  it('may name channels that are not there', async () => {
    const { client, near, far } = await openBoth();
    for (const type of [91, 92, 93, 94, 96, 97, 99, 100])
      for (const id of [1, 99, 2 ** 32 - 1])
        sendRaw(client, packet(type, wireUint32(id), wireUint32(5), wireUint32(300), wireUint32(300)));
    far.end('alive');
    expect(String((await once(near, 'data'))[0])).toBe('alive');
  });

  it.each(algorithms.cipher)('does not make a write fail that comes after its end, with %s', async (cipher) => {
    const { client, far, server } = await openBoth({ client: { algorithms: { cipher: [cipher] } } });
    const failed = once(server, 'error');
    sendRaw(client, packet(90, wireUint32(2 ** 31)));
    await failed;
    const { _sock } = server as unknown as { _sock: { bytesWritten: number } };
    const sent = _sock.bytesWritten;
    far.write('nobody hears this');
    far.stderr.write('nor this');
    far.exit(0);
    far.end();
    expect(_sock.bytesWritten).toBe(sent);
    expect(() => server.rekey()).not.toThrow();
    server.end();
  });

  it('is closed also when it keeps its half open', async () => {
    const { server, serverSocket, clientSocket } = await connectPair();
    clientSocket.pause(); // it does not even see the end
    server.end();
    await once(serverSocket, 'close');
  });

  it('may send anything at all', async () => {
    const payload = fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 200 }),
      fc
        .tuple(
          fc.constantFrom(1, 2, 3, 4, 5, 7, 20, 21, 30, 50, 60, 61, 80, 81, 82, 90, 91, 98, 99, 192),
          fc.uint8Array({ maxLength: 60 }),
        )
        .map(([type, rest]) => Uint8Array.of(type, ...rest)),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(payload, { minLength: 1, maxLength: 8 }), async (payloads) => {
        const { client, serverSocket } = await openBoth();
        for (const bytes of payloads) sendRaw(client, Buffer.from(bytes));
        client.end();
        if (!serverSocket.destroyed) await once(serverSocket, 'close');
      }),
      { numRuns: 40 },
    );
  });
});

describe('a stranger', () => {
  const garbage: [string, Buffer[]][] = [
    ['a key share before anything else', [plain(packet(30, wireString('x')))]],
    ['the end of a key exchange that did not begin', [plain(Buffer.of(21))]],
    ['an answer with 30 million parts', [plain(packet(61, wireUint32(30_000_000)))]],
    ['a packet of 4 GB', [Buffer.from('ffffffff', 'hex'), Buffer.alloc(100)]],
    ['a packet that is all padding', [Buffer.from('0000000cff', 'hex'), Buffer.alloc(100)]],
    ['noise', [randomBytes(10_000)]],
    ['an endless line', [Buffer.alloc(10_000, 'a')]],
  ];

  it.each(garbage)('that sends %s is told goodbye', async (_what, parts) => {
    const { port } = await listen(() => undefined);
    const socket = connect(port, '127.0.0.1')
      .resume()
      .on('error', () => undefined);
    const closed = once(socket, 'close');
    socket.write('SSH-2.0-stranger\r\n');
    for (const part of parts) socket.write(part);
    await closed;
  });

  it('that answers with 30 million parts to a prompt takes no memory', async () => {
    const before = process.memoryUsage();
    const asked = Promise.withResolvers<ServerConnection>();
    const { port } = await listen((connection) => {
      connection.on('authentication', (one) => {
        if (one.method !== 'keyboard-interactive') {
          one.reject(['keyboard-interactive']);
          return;
        }
        one.prompt([{ prompt: 'Code: ', echo: false }], '', '', () => undefined);
        asked.resolve(connection);
      });
    });
    const socket = connect(port, '127.0.0.1');
    const client = connectSsh(socket, { username: 'x', attempts: [], verifyHostKey: (_key, decide) => decide(true) });
    client.on('error', () => undefined);
    const handlers = (insides(client)._protocol as unknown as { _handlers: Record<string, unknown> })._handlers;
    handlers['SERVICE_ACCEPT'] = () =>
      sendRaw(
        client,
        packet(
          50,
          wireString('x'),
          wireString('ssh-connection'),
          wireString('keyboard-interactive'),
          wireString(''),
          wireString(''),
        ),
      );
    const server = await asked.promise;
    const failed = once(server, 'error');
    sendRaw(client, packet(61, wireUint32(30_000_000)));
    expect(String(must((await failed)[0] as Error | undefined))).toMatch(/Malformed USERAUTH_INFO_RESPONSE/);
    expect(process.memoryUsage().rss - before.rss).toBeLessThan(150_000_000);
    socket.destroy();
  });
});

/** A packet before there are keys. */
function plain(payload: Buffer): Buffer {
  const padding = 16 - ((5 + payload.length) % 8);
  return Buffer.concat([wireUint32(1 + payload.length + padding), Buffer.of(padding), payload, Buffer.alloc(padding)]);
}
