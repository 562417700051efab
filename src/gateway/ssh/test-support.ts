/** For tests: both halves of the library on a connection of their own, closed when the test ends. */
import { once } from 'node:events';
import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { connectSsh, createSshServer, generateKey } from './library.ts';
import type {
  ClientChannel,
  ClientConnection,
  Negotiated,
  ServerChannel,
  ServerConnection,
  ServerSession,
  SessionOptions,
  SshClientOptions,
  SshServerOptions,
} from './ssh-types.ts';

export const hostKey = generateKey();

/** Serves SSH on a port of loopback until the test ends. */
export async function listen(
  onConnection: (connection: ServerConnection, socket: Socket) => void,
  options: Partial<SshServerOptions> = {},
): Promise<{ port: number; listener: Server }> {
  const sockets = new Set<Socket>();
  const listener = createServer((socket) => {
    sockets.add(socket);
    const server = createSshServer({ hostKeys: [{ key: hostKey.private }], ...options }, (connection) => {
      connection.on('error', () => undefined);
      onConnection(connection, socket);
    });
    server.accept(socket);
  });
  await once(listener.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    listener.close();
  });
  return { port: (listener.address() as AddressInfo).port, listener };
}

export interface Pair {
  server: ServerConnection;
  serverSocket: Socket;
  client: ClientConnection;
  clientSocket: Socket;
  negotiated: Negotiated;
}

export interface PairOptions {
  server?: Partial<SshServerOptions>;
  client?: Partial<SshClientOptions>;
  /** Adds listeners before anything comes. Everybody may sign in, unless this listens for `authentication`. */
  onConnection?: (connection: ServerConnection) => void;
  onClient?: (client: ClientConnection) => void;
}

/** A client that signed in to a server, both in this process. */
export async function connectPair({
  server = {},
  client = {},
  onConnection,
  onClient,
}: PairOptions = {}): Promise<Pair> {
  const connected = Promise.withResolvers<{ server: ServerConnection; serverSocket: Socket }>();
  const { port } = await listen((connection, socket) => {
    onConnection?.(connection);
    if (connection.listenerCount('authentication') === 0) {
      connection.on('authentication', (authentication) => {
        authentication.accept();
      });
    }
    connected.resolve({ server: connection, serverSocket: socket });
  }, server);
  const clientSocket = connect(port, '127.0.0.1');
  const connection = connectSsh(clientSocket, {
    username: 'alice',
    attempts: [{ type: 'none' }],
    verifyHostKey: (_key, decide) => decide(true),
    ...client,
  });
  onTestFinished(() => {
    clientSocket.destroy();
  });
  onClient?.(connection);
  const negotiated = Promise.withResolvers<Negotiated>();
  connection.once('handshake', negotiated.resolve);
  await new Promise<void>((resolve, reject) => {
    connection.once('ready', resolve).once('error', reject);
  });
  connection.on('error', () => undefined);
  return { ...(await connected.promise), client: connection, clientSocket, negotiated: await negotiated.promise };
}

/** A pair whose server accepts each session and lets `onSession` add its listeners. */
export function connectWithSessions(
  onSession: (session: ServerSession) => void,
  options: Omit<PairOptions, 'onConnection'> = {},
): Promise<Pair> {
  return connectPair({
    ...options,
    onConnection: (connection) => {
      connection.on('session', (accept) => {
        onSession(must(accept()));
      });
    },
  });
}

/** Both ends of the channel of one command. */
export async function openBoth(
  options: Omit<PairOptions, 'onConnection'> = {},
): Promise<Pair & { near: ClientChannel; far: ServerChannel; session: ServerSession }> {
  const opened = Promise.withResolvers<{ far: ServerChannel; session: ServerSession }>();
  const pair = await connectWithSessions((session) => {
    session.on('exec', (accept) => {
      opened.resolve({ far: must(accept()), session });
    });
  }, options);
  const near = await exec(pair.client);
  return { ...pair, near, ...(await opened.promise) };
}

export function exec(
  client: ClientConnection,
  command: string | Buffer = 'command',
  options: SessionOptions = {},
  onChannel?: (channel: ClientChannel) => void,
): Promise<ClientChannel> {
  return new Promise((resolve, reject) => {
    client.exec(command, options, (error, channel) => {
      if (error !== undefined) reject(error);
      else {
        onChannel?.(channel);
        resolve(channel);
      }
    });
  });
}

export function must<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('This has to be there.');
  return value;
}

/** What the tests reach for inside a connection. */
export interface Insides {
  _protocol: {
    _packetRW: { write: { allocStart: number; alloc(size: number): Buffer; finalize(packet: Buffer): Buffer } };
    _cipher: { encrypt(packet: Buffer): void };
    /** The last key exchange. */
    _kex: object;
  };
  _chanMgr: { _channels: Record<number, unknown> };
}

export function insides(connection: object): Insides {
  return connection as Insides;
}

/** The client's channel while its first request has no answer yet. */
export async function unanswered(client: ClientConnection): Promise<ClientChannel> {
  for (;;) {
    const found = Object.values(insides(client)._chanMgr._channels).find((value) => typeof value === 'object');
    if (found !== undefined) return found as ClientChannel;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Sends a packet that no well-behaved peer would send. */
export function sendRaw(connection: object, payload: Buffer): void {
  const { _packetRW, _cipher } = insides(connection)._protocol;
  const { write } = _packetRW;
  const packet = write.alloc(payload.length);
  packet.set(payload, write.allocStart);
  _cipher.encrypt(write.finalize(packet));
}
