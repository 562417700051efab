import { createHash, randomBytes, type Hash } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { algorithms } from './library.ts';
import { WireReader, wireString, wireUint32 } from './ssh-wire.ts';
import { connectPair, connectWithSessions, exec, insides, listen, openBoth, sendRaw } from './test-support.ts';

describe('the key exchange', () => {
  it('is the hybrid one, which quantum computers do not break, wherever both know it', async () => {
    const { negotiated } = await connectPair();
    expect(negotiated.kex).toBe('mlkem768x25519-sha256');
  });

  it.each(algorithms.kex)('works by %s, and again for new keys', async (kex) => {
    const { client, negotiated } = await connectPair({ client: { algorithms: { kex: [kex] } } });
    expect(negotiated.kex).toBe(kex);
    await new Promise<void>((resolve) => client.rekey(resolve));
  });

  it.each(algorithms.kex)('by %s leaves no key behind when it has ended', async (kex) => {
    const { client, server } = await connectPair({ client: { algorithms: { kex: [kex] } } });
    for (const end of [client, server]) {
      const kept = new Map(Object.entries(insides(end)._protocol._kex));
      for (const name of ['_keys', '_kem', '_dh', '_ciphertext', '_dhData', '_public'])
        expect(kept.get(name) ?? null, name).toBeNull();
    }
  });

  it.each(algorithms.cipher)('encrypts with %s', async (cipher) => {
    const { near, far, negotiated } = await openBoth({ client: { algorithms: { cipher: [cipher] } } });
    expect(negotiated.cs.cipher).toBe(cipher);
    far.end('hello');
    expect(String((await once(near, 'data'))[0])).toBe('hello');
  });

  it.each([0, 1, 1215, 1217, 4000])('refuses a hybrid share of %d bytes, and one that is no key', async (size) => {
    const closed = Promise.withResolvers<Error>();
    const { port } = await listen((connection) => connection.on('error', closed.resolve));
    const socket = connect(port, '127.0.0.1').resume();
    socket.write('SSH-2.0-stranger\r\n');
    socket.write(plainPacket(kexInit('mlkem768x25519-sha256')));
    socket.write(plainPacket(Buffer.concat([Buffer.of(30), wireString(Buffer.alloc(size, 0xff))])));
    expect((await closed.promise).message).toMatch(/mlkem768x25519|length of public key/);
    await once(socket, 'close');
  });

  it.each(['SSH-2.0-OpenSSH_9.9', 'SSH-2.0-other'])(
    'tells %s what it offers, also where that waits to hear it',
    async (ident) => {
      const { port } = await listen(() => undefined, { preferredCiphers: ['aes128-gcm@openssh.com'] });
      const socket = connect(port, '127.0.0.1');
      socket.write(`${ident}\r\n`);
      let heard = '';
      await new Promise<void>((resolve) => {
        socket.on('data', (data: Buffer) => {
          heard += data.toString('latin1');
          if (heard.includes('chacha20-poly1305@openssh.com')) resolve();
        });
      });
      socket.destroy();
    },
  );

  it('hears who the client is also when that comes byte by byte', async () => {
    const heard = Promise.withResolvers<void>();
    const { port } = await listen(() => heard.resolve());
    const socket = connect(port, '127.0.0.1').setNoDelay();
    for (const byte of 'SSH-2.0-slow\r\n') {
      socket.write(byte);
      await new Promise((resolve) => setTimeout(resolve, 2)); // so that it comes in a segment of its own
    }
    await heard.promise;
    socket.destroy();
  });
});

describe('new keys', () => {
  it.each([
    ['the server asks', { server: { rekeyBytes: 300_000 } }],
    ['the client asks', { client: { rekeyBytes: 300_000 } }],
    ['both ask', { server: { rekeyBytes: 200_000 }, client: { rekeyBytes: 200_000 } }],
    [
      'both ask, compressed',
      {
        server: { rekeyBytes: 200_000 },
        client: { rekeyBytes: 200_000, algorithms: { compress: ['zlib@openssh.com'] } },
      },
    ],
  ])('come under load in both directions when %s', async (_who, options) => {
    const { near, far, client, server } = await openBoth(options);
    const counts = { client: 0, server: 0 };
    client.on('rekey', () => (counts.client += 1));
    server.on('rekey', () => (counts.server += 1));
    const [down, up] = await Promise.all([transfer(far, near, 5_000_000), transfer(near, far, 5_000_000)]);
    expect(down).toBe(true);
    expect(up).toBe(true);
    expect(counts.client).toBeGreaterThan(5);
    expect(counts.server).toBeGreaterThan(5);
  });

  it('come after their time, on a quiet connection too', async () => {
    const { client, server } = await connectPair({ server: { rekeySeconds: 0.05 } });
    await Promise.all([once(server, 'rekey'), once(client, 'rekey')]);
  });

  it('are not asked for without need, and come when they are', async () => {
    const { client, server, near, far } = await openBoth();
    let count = 0;
    client.on('rekey', () => (count += 1));
    expect(await transfer(far, near, 2_000_000)).toBe(true);
    expect(count).toBe(0);
    await Promise.all([once(client, 'rekey'), new Promise<void>((resolve) => server.rekey(() => resolve()))]);
    await Promise.all([once(server, 'rekey'), new Promise<void>((resolve) => client.rekey(resolve))]);
  });
});

describe('extensions of the transport', () => {
  it('tells what may sign, each name for itself, and that it answers pings', async () => {
    const told = Promise.withResolvers<Buffer>();
    await connectPair({
      onClient: (client) => {
        client.once('handshake', () => {
          hear(client, 7).then(told.resolve, told.reject);
        });
      },
    });
    const reader = new WireReader(await told.promise, 'the extensions');
    expect([reader.uint32(), reader.text()]).toEqual([2, 'server-sig-algs']);
    const names = reader.text().split(',');
    expect(
      names.filter((name) => !/^(sk-)?(ssh|ecdsa-sha2|rsa-sha2)-[a-z0-9]+((-cert-v01)?@openssh\.com)?$/.test(name)),
    ).toEqual([]);
    expect(names).toEqual(
      expect.arrayContaining([
        'ecdsa-sha2-nistp521',
        'rsa-sha2-512',
        'sk-ssh-ed25519@openssh.com',
        'ssh-ed25519-cert-v01@openssh.com',
      ]),
    );
    expect([reader.text(), reader.text()]).toEqual(['ping@openssh.com', '0']);
  });

  it('answers ping@openssh.com with the same bytes, in both roles', async () => {
    const { client, server } = await connectPair();
    const data = randomBytes(100);
    const answer = await new Promise<Buffer>((resolve, reject) => {
      client.openssh_ping(data, (error, echoed) => (error === undefined ? resolve(echoed) : reject(error)));
    });
    expect(answer).toEqual(data);
    const pong = hear(server, 193);
    sendRaw(server, Buffer.concat([Buffer.of(192), wireString('to a client')]));
    expect(new WireReader(await pong, 'the answer').bytes().toString()).toBe('to a client');
  });

  it('answers a message that nobody knows, with its number, and goes on', async () => {
    const { client, near, far } = await openBoth();
    const answer = hear(client, 3);
    const sent = (insides(client)._protocol._cipher as unknown as { outSeqno: number }).outSeqno;
    sendRaw(client, Buffer.of(201, 1, 2, 3));
    expect(await answer).toEqual(wireUint32(sent));
    far.end('alive');
    expect(String((await once(near, 'data'))[0])).toBe('alive');
  });
});

it('a session works with compression', async () => {
  const { client, negotiated } = await connectWithSessions(
    (session) => session.on('exec', (accept) => accept()?.end('x'.repeat(1_000_000))),
    { client: { algorithms: { compress: ['zlib@openssh.com'] } } },
  );
  expect(negotiated.cs.compress).toBe('zlib@openssh.com');
  const channel = await exec(client);
  let size = 0;
  channel.on('data', (data: Buffer) => (size += data.length));
  await once(channel, 'end');
  expect(size).toBe(1_000_000);
});

/** The next packet of a type that a connection receives, without its type. */
function hear(connection: object, type: number): Promise<Buffer> {
  const protocol = (connection as { _protocol: { _decipher: { _onPayload: (payload: Buffer) => unknown } } })._protocol;
  const decipher = protocol._decipher;
  const pass = decipher._onPayload;
  return new Promise((resolve) => {
    decipher._onPayload = (payload) => {
      if (payload[0] === type) resolve(Buffer.from(payload.subarray(1)));
      return pass(payload);
    };
  });
}

/** Whether so many bytes arrive as they were sent. */
async function transfer(from: Writable, to: Readable, size: number): Promise<boolean> {
  const sums: Hash[] = [createHash('sha256'), createHash('sha256')];
  let received = 0;
  const all = new Promise<void>((resolve) => {
    to.on('data', (data: Buffer) => {
      sums[0]?.update(data);
      received += data.length;
      if (received >= size) resolve();
    });
  });
  for (let sent = 0; sent < size; sent += 50_000) {
    const chunk = randomBytes(50_000);
    sums[1]?.update(chunk);
    if (!from.write(chunk)) await once(from, 'drain');
  }
  await all;
  return received === size && sums[0]?.digest('hex') === sums[1]?.digest('hex');
}

/** A packet before there are keys (RFC 4253, section 6). */
function plainPacket(payload: Buffer): Buffer {
  const padding = 16 - ((5 + payload.length) % 8);
  return Buffer.concat([wireUint32(1 + payload.length + padding), Buffer.of(padding), payload, Buffer.alloc(padding)]);
}

function kexInit(kex: string): Buffer {
  const lists = [
    kex,
    'ssh-ed25519',
    'aes128-ctr',
    'aes128-ctr',
    'hmac-sha2-256',
    'hmac-sha2-256',
    'none',
    'none',
    '',
    '',
  ];
  return Buffer.concat([Buffer.of(20), randomBytes(16), ...lists.map((list) => wireString(list)), Buffer.alloc(5)]);
}
