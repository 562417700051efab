/** What the gateway's tests share: instances that are sockets on loopback, clients, and waiting for states. */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Route } from '../link/routes.ts';
import type { LinkClient } from './link-request.ts';
import type { GatewayObserver } from './observer.ts';

/** Waits until this holds; fails with what was waited for. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, limitMs = 10_000): Promise<void> {
  const end = Date.now() + limitMs;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`waited in vain until ${what}`);
    await sleep(5);
  }
}

export interface FakeInstance {
  name: string;
  port: number;
  /** Connections that said something: probes do not. */
  sockets: Set<Socket>;
  close(): Promise<void>;
}

/** An instance that greets with its name and sends back what it hears, half-close included. */
export async function startInstance(name: string, port = 0): Promise<FakeInstance> {
  const sockets = new Set<Socket>();
  const all = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    all.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      all.delete(socket);
      sockets.delete(socket);
    });
    socket.once('data', () => sockets.add(socket));
    socket.write(`${name}\n`);
    socket.pipe(socket);
  });
  await listening(server, port);
  return {
    name,
    port: portOf(server),
    sockets,
    async close() {
      for (const socket of all) socket.resetAndDestroy();
      server.close();
      await once(server, 'close');
    },
  };
}

export async function listening(server: Server, port: number): Promise<void> {
  server.listen({ host: '127.0.0.1', port });
  await once(server, 'listening');
}

export function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

/** Ports that test files at work at the same time have to themselves: gateways share a port with whoever has it already. */
const portsOfOne = 1_500;
let nextPort = 0;

/** A port that was free a moment ago, and that no other test file is given meanwhile. */
export async function freePort(): Promise<number> {
  const first = 20_000 + (Number(process.env['VITEST_POOL_ID'] ?? 0) % 8) * portsOfOne;
  for (;;) {
    const port = first + (nextPort++ % portsOfOne);
    const server = createServer();
    try {
      await listening(server, port);
    } catch {
      continue; // somebody has it
    }
    server.close();
    await once(server, 'close');
    return port;
  }
}

/** Resolves when the socket is closed, by an error or without. */
export function closed(socket: Socket): Promise<void> {
  return socket.closed
    ? Promise.resolve()
    : new Promise((resolve) =>
        socket.once('close', () => {
          resolve();
        }),
      );
}

export interface TestClient {
  socket: Socket;
  /** All that was received. */
  text(): string;
  /** Which instance greeted; rejects when the connection closes without a greeting. */
  greeting(): Promise<string>;
  /** Sends and waits until it came back. */
  echo(text: string): Promise<void>;
}

export function dial(port: number, host = '127.0.0.1'): TestClient {
  const socket = connect({ host, port, allowHalfOpen: true });
  let received = '';
  socket.on('error', () => undefined);
  socket.on('data', (chunk) => (received += chunk.toString()));
  return {
    socket,
    text: () => received,
    async greeting() {
      await until('the instance greets', () => received.includes('\n') || socket.destroyed);
      if (!received.includes('\n')) throw new Error('closed without a greeting');
      return received.slice(0, received.indexOf('\n'));
    },
    async echo(text) {
      const before = received.length;
      socket.write(text);
      await until(`'${text}' comes back`, () => received.slice(before).includes(text));
    },
  };
}

/** The instance that a new connection meets, or undefined where it is closed. */
export async function meet(port: number, host?: string): Promise<string | undefined> {
  const client = dial(port, host);
  try {
    return await client.greeting();
  } catch {
    return undefined;
  } finally {
    client.socket.destroy();
  }
}

export function tcpRoute(listenPort: number, instances: readonly FakeInstance[], changes: Partial<Route> = {}): Route {
  return {
    protocol: 'tcp',
    id: `route-${String(listenPort)}`,
    listenPort,
    publicAddress: '127.77.250.1',
    publicPort: 22,
    distribution: 'Default',
    idleTimeoutSeconds: 240,
    probe: null,
    backends: instances.map(({ name, port }) => ({ instance: name, address: '127.0.0.1', port, accepting: true })),
    ...changes,
  };
}

export const silentLog = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

export const nobodyObserves: GatewayObserver = {
  carried: () => undefined,
  ended: () => undefined,
  refused: () => undefined,
  connectFailed: () => undefined,
  probed: () => undefined,
  signInEnded: () => undefined,
};

/** A control that never answers. */
export const awayControl: LinkClient = {
  send: () => Promise.reject(new Error('nobody listens')),
  close: () => undefined,
};
