import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { ClientConnection, PtyInfo, ServerChannel, WindowSize } from './ssh-types.ts';
import { connectPair, connectWithSessions, exec, must, openBoth, unanswered } from './test-support.ts';

const notUtf8 = Buffer.from([0x65, 0x63, 0x68, 0x6f, 0x20, 0xff, 0xfe, 0x80, 0xc3]);

describe('what a session asks for', () => {
  it('passes the modes of a terminal on as they are, known or not', async () => {
    // ECHO, IUTF8, one that nobody knows, the speed, the end
    const modes = Buffer.from('3500000001' + '2a00000001' + '9f00000007' + '8100009600' + '00', 'hex');
    const asked = Promise.withResolvers<PtyInfo>();
    const { client } = await connectWithSessions((session) => {
      session.on('pty', (accept, _reject, info) => {
        asked.resolve(info);
        accept?.();
      });
      session.on('exec', (accept) => {
        accept();
      });
    });
    const size: WindowSize = { cols: 100, rows: 40, width: 1, height: 2 };
    await exec(client, 'x', { pty: { term: 'xterm-ü', modes, ...size } });
    const info = await asked.promise;
    expect(info).toMatchObject({ term: 'xterm-ü', ...size });
    expect(info.modesRaw).toEqual(modes);
    expect(info.modes).toEqual({ ECHO: 1, IUTF8: 1, TTY_OP_OSPEED: 38_400 });
  });

  it('keeps bytes that are no UTF-8 in commands, environment and subsystems', async () => {
    const seen: Buffer[] = [];
    const { client } = await connectWithSessions((session) => {
      session.on('env', (_accept, _reject, info) => {
        seen.push(info.keyBytes, info.valBytes);
      });
      session.on('exec', (accept, _reject, info) => {
        seen.push(info.commandBytes);
        accept();
      });
      session.on('subsystem', (accept, _reject, info) => {
        seen.push(info.nameBytes);
        accept();
      });
    });
    await exec(client, notUtf8, { env: [[notUtf8, notUtf8]] });
    await new Promise((resolve) => client.subsys(notUtf8, {}, resolve));
    expect(seen).toEqual([notUtf8, notUtf8, notUtf8, notUtf8]);
  });

  it('passes a break on, and whether it was taken', async () => {
    const lengths: number[] = [];
    const { near, session } = await openBoth();
    session.once('break', (accept, _reject, info) => {
      lengths.push(info.length);
      accept?.();
    });
    expect(await new Promise((resolve) => near.break(500, resolve))).toBeUndefined();
    expect(await new Promise((resolve) => near.break(1, resolve))).toBeInstanceOf(Error); // nobody listens any more
    expect(lengths).toEqual([500]);
  });
});

describe('a session that is accepted later', () => {
  it.each([0, 100_000])('keeps %d bytes of input and its end that came before', async (size) => {
    const input = Buffer.alloc(size, 'i');
    const accepted = Promise.withResolvers<ServerChannel>();
    const { client } = await connectWithSessions((session) => {
      session.on('exec', (accept) => {
        // As `ssh host command < file` does it, the input comes with the request
        session.once('eof', () => setImmediate(() => accepted.resolve(must(accept()))));
      });
    });
    // The library waits for the answer before it gives its channel: reach for the channel before.
    const opened = exec(client);
    const channel = await unanswered(client);
    channel.end(input);
    const server = await accepted.promise;
    expect((await read(server)).equals(input)).toBe(true);
    server.end('done');
    expect(await read(await opened)).toEqual(Buffer.from('done'));
  });

  it('is closed towards a client that gave up before', async () => {
    const closed = Promise.withResolvers<unknown>();
    const { client } = await connectWithSessions((session) => {
      session.on('exec', (accept) => {
        session.once('close', () => setImmediate(() => closed.resolve(accept())));
      });
    });
    exec(client).catch(() => undefined);
    const channel = await unanswered(client);
    const confirmed = once(channel.resume(), 'close');
    channel.close();
    expect(await closed.promise).toBeUndefined();
    await confirmed;
  });
});

describe('a connection that has just ended', () => {
  it.each<[string, (client: ClientConnection, done: (error?: Error) => void) => void]>([
    ['a shell', (client, done) => void client.shell(false, {}, done)],
    ['a command', (client, done) => void client.exec('x', {}, done)],
    ['a subsystem', (client, done) => void client.subsys('sftp', {}, done)],
    ['a port', (client, done) => void client.forwardOut('a', 1, 'b', 2, done)],
    ['a socket', (client, done) => void client.openssh_forwardOutStreamLocal('/x', done)],
    ['to listen on a port', (client, done) => void client.forwardIn('a', 1, done)],
    ['to listen no more', (client, done) => void client.unforwardIn('a', 1, done)],
    ['to listen on a socket', (client, done) => void client.openssh_forwardInStreamLocal('/x', done)],
    ['to listen on a socket no more', (client, done) => void client.openssh_unforwardInStreamLocal('/x', done)],
    ['for no more sessions', (client, done) => void client.openssh_noMoreSessions(done)],
    ['for an echo', (client, done) => void client.openssh_ping(Buffer.of(1), done)],
  ])('tells who asks it for %s, and throws at nobody', async (_, ask) => {
    const { client } = await connectPair();
    client.destroy();
    const told = Promise.withResolvers<Error | undefined>();
    ask(client, told.resolve);
    expect((await told.promise)?.message).toBe('Not connected');
    client.rekey();
  });
});

describe('a channel', () => {
  it('carries 60 MB on stdout and on stderr at the same time', async () => {
    const size = 60_000_000;
    const { near, far } = await openBoth();
    const chunk = Buffer.alloc(1_000_000, 'x');
    for (const stream of [far, far.stderr]) for (let sent = 0; sent < size; sent += chunk.length) stream.write(chunk);
    far.eof();
    const [out, err] = await Promise.all([count(near), count(near.stderr)]);
    expect([out, err]).toEqual([size, size]);
    far.close();
  });

  it('carries packets and windows that are larger than usual', async () => {
    const sizes = { windowSize: 8 * 1024 * 1024, packetSize: 250 * 1024 };
    const { near, far, serverSocket } = await openBoth({ client: sizes });
    const packets: number[] = [];
    near.on('data', (data: Buffer) => packets.push(data.length));
    far.write(Buffer.alloc(1_000_000));
    far.end();
    await once(near, 'close');
    expect(serverSocket.destroyed).toBe(false);
    expect(Math.max(...packets)).toBe(sizes.packetSize);
    expect(packets.reduce((sum, size) => sum + size, 0)).toBe(1_000_000);
  });

  it('is closed in halves: EOF comes after all data, then status and the other half still go', async () => {
    const { near, far } = await openBoth();
    const output = Buffer.alloc(5_000_000, 'o');
    const statuses: unknown[] = [];
    near.on('exit', (code) => statuses.push(code));
    far.write(output);
    far.stderr.write(output);
    far.eof();
    const [out, err] = await Promise.all([read(near), read(near.stderr)]);
    expect([out.length, err.length]).toEqual([output.length, output.length]);
    near.end('still heard');
    expect(await read(far)).toEqual(Buffer.from('still heard'));
    far.exit(7);
    far.close();
    await once(near, 'close');
    expect(statuses).toEqual([7]);
  });

  it('takes what is written after EOF was asked for, whichever goes first, so that nobody waits for it', async () => {
    const { near, far } = await openBoth();
    far.write(Buffer.alloc(5_000_000));
    far.eof();
    const taken = new Promise((resolve) => far.write('', resolve));
    expect(await count(near)).toBe(5_000_000);
    await taken;
    const late = [far, far.stderr].map((stream) => new Promise((resolve) => stream.write('too late', resolve)));
    await Promise.all(late);
    far.close();
  });

  it('ends with what is still on its way on stderr', async () => {
    const { near, far } = await openBoth();
    far.stderr.write(Buffer.alloc(5_000_000));
    far.end();
    expect(await count(near.stderr)).toBe(5_000_000);
    near.resume();
    await once(near, 'close');
  });

  it('delivers signals and sizes after the end of the input', async () => {
    const { near, session } = await openBoth();
    const heard: unknown[] = [];
    session.on('signal', (_accept, _reject, info) => heard.push(info.name));
    const resized = once(session, 'window-change');
    near.eof();
    near.signal('TERM');
    near.signal('SIGINFO@openssh.com');
    near.setWindow(1, 2, 3, 4);
    expect((await resized)[2]).toEqual({ rows: 1, cols: 2, height: 3, width: 4 });
    expect(heard).toEqual(['TERM', 'INFO@openssh.com']);
  });

  it('tells the signal that ended a program, also one with a local name', async () => {
    const { near, far } = await openBoth();
    far.exit('SIGSIG@openssh.com', true, 'of old age');
    expect(await once(near, 'exit')).toEqual([null, 'SIGSIG@openssh.com', true, 'of old age']);
  });
});

/** What a stream gives until its end. An iterator would destroy the whole channel there. */
async function read(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(stream, 'end');
  return Buffer.concat(chunks);
}

async function count(stream: Readable): Promise<number> {
  let total = 0;
  stream.on('data', (chunk: Buffer) => (total += chunk.length));
  await once(stream, 'end');
  return total;
}
