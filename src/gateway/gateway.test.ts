import { createHash, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../core/system-clock.ts';
import type { Probe, Route } from '../link/routes.ts';
import { createGateway } from './gateway.ts';
import type { Gateway } from './gateway.ts';
import { runProbe } from './probes/run-probe.ts';
import {
  awayControl,
  closed,
  dial,
  freePort,
  listening,
  meet,
  nobodyObserves,
  portOf,
  silentLog,
  startInstance,
  tcpRoute,
  until,
} from './test-support.ts';
import type { FakeInstance } from './test-support.ts';

let gateway: Gateway;
let cleanUp: (() => unknown)[];
let revision = 0;

beforeEach(() => {
  cleanUp = [];
  gateway = createGateway({
    client: awayControl,
    id: 'g',
    pid: 1,
    clock: systemClock,
    log: silentLog,
    runProbe,
    observer: nobodyObserves,
    onChange: () => undefined,
    onSignInEnded: () => undefined,
  });
});
afterEach(async () => {
  await gateway.close(0, AbortSignal.abort());
  for (const undo of cleanUp.reverse()) await undo();
});

async function instance(name: string, port?: number): Promise<FakeInstance> {
  const started = await startInstance(name, port);
  cleanUp.push(() => started.close());
  return started;
}

function apply(...routes: Route[]): void {
  gateway.apply({ revision: ++revision, routes });
}

/** Applies and waits until the listener is open. */
async function serve(route: Route): Promise<void> {
  apply(route);
  await until('the front end is open', () => isOpen(route.listenPort));
}

async function isOpen(port: number): Promise<boolean> {
  const { socket } = dial(port);
  const open = new Promise<boolean>((resolve) =>
    socket.once('connect', () => {
      resolve(true);
    }),
  );
  const answer = await Promise.race([open, closed(socket).then(() => false)]);
  socket.destroy();
  return answer;
}

const openConnections = (): number => gateway.report().connections.reduce((sum, { open }) => sum + open, 0);

function tcpProbe(port: number): Probe {
  return { id: 'probe', protocol: 'tcp', port, path: '/', intervalSeconds: 1, failures: 1 };
}

describe('carrying bytes', () => {
  it('carries both ways and passes on the end of each direction', async () => {
    const port = await freePort();
    await serve(tcpRoute(port, [await instance('i-0')]));
    const client = dial(port);
    expect(await client.greeting()).toBe('i-0');
    await client.echo('hello');
    client.socket.end('last words');
    await once(client.socket, 'end');
    expect(client.text()).toBe('i-0\nhellolast words');
    await until('it is counted no more', () => openConnections() === 0);
  });

  it('loses and mixes nothing of many large transfers with slow readers', async () => {
    const port = await freePort();
    await serve(tcpRoute(port, [await instance('i-0')]));
    const size = 6 * 1024 * 1024;
    await Promise.all(
      Array.from({ length: 12 }, async (_, index) => {
        const sent = Buffer.alloc(size);
        for (let at = 0; at < size; at += 4) sent.writeUInt32LE((Math.imul(at + index, 2654435761) ^ index) >>> 0, at);
        const { socket } = dial(port);
        socket.removeAllListeners('data');
        const hash = createHash('sha256');
        let received = 0;
        socket.on('data', (chunk) => {
          hash.update(chunk);
          received += chunk.length;
          // Every reader stops now and then, at its own rhythm: the gateway must wait for it and for no other.
          if (received % (3 + index) !== 0) return;
          socket.pause();
          setTimeout(() => socket.resume(), 1);
        });
        socket.end(sent);
        await once(socket, 'end');
        expect(received).toBe(size + 'i-0\n'.length);
        expect(hash.digest('hex')).toBe(createHash('sha256').update('i-0\n').update(sent).digest('hex'));
      }),
    );
  }, 60_000);

  it('stops reading from a sender whose receiver does not read', async () => {
    let sent = 0;
    const flood = createServer((socket) => {
      socket.on('error', () => undefined);
      const chunk = Buffer.alloc(64 * 1024);
      const push = (): void => {
        while (socket.write(chunk)) sent += chunk.length;
      };
      socket.on('drain', push);
      push();
    });
    await listening(flood, 0);
    cleanUp.push(() => void flood.close());
    const port = await freePort();
    await serve(
      tcpRoute(port, [{ name: 'i-0', port: portOf(flood), sockets: new Set(), close: () => Promise.resolve() }]),
    );
    const { socket } = dial(port);
    await once(socket, 'data');
    socket.pause();
    let before = -1;
    await until('the sender is stopped', async () => {
      const stands = sent === before;
      before = sent;
      await new Promise((resolve) => setTimeout(resolve, 200));
      return stands && sent === before;
    });
    // What the kernel's buffers of four sockets hold, and not the hundreds of megabytes that were offered.
    expect(sent).toBeLessThan(40 * 1024 * 1024);
    socket.destroy();
  });

  it('resets the other side when one side is reset', async () => {
    const port = await freePort();
    const backend = await instance('i-0');
    await serve(tcpRoute(port, [backend]));
    const client = dial(port);
    await client.greeting();
    await client.echo('x');
    const [upstream] = backend.sockets;
    const ended = closed(upstream ?? client.socket);
    client.socket.resetAndDestroy();
    await ended;
    const second = dial(port);
    await second.greeting();
    await second.echo('x');
    for (const socket of backend.sockets) socket.resetAndDestroy();
    await closed(second.socket);
    await until('nothing is counted', () => openConnections() === 0);
  });

  it('ends a connection on which nothing moved for the idle time, and no busy one', async () => {
    const port = await freePort();
    await serve(tcpRoute(port, [await instance('i-0')], { idleTimeoutSeconds: 0.4 }));
    const idle = dial(port);
    const busy = dial(port);
    await busy.greeting();
    const talk = setInterval(() => busy.socket.write('.'), 50);
    cleanUp.push(() => {
      clearInterval(talk);
      busy.socket.destroy();
    });
    await closed(idle.socket);
    expect(busy.socket.readyState).toBe('open');
    await busy.echo('still here');
  });

  it('carries a thousand connections at once and counts them', async () => {
    const port = await freePort();
    await serve(tcpRoute(port, [await instance('i-0'), await instance('i-1')]));
    const clients = Array.from({ length: 1000 }, () => dial(port));
    cleanUp.push(() => {
      for (const { socket } of clients) socket.destroy();
    });
    await Promise.all(clients.map((client) => client.greeting()));
    expect(openConnections()).toBe(1000);
    await Promise.all(clients.map((client, index) => client.echo(`number ${String(index)}`)));
    for (const { socket } of clients) socket.destroy();
    await until('all are gone', () => openConnections() === 0);
  }, 60_000);
});

describe('choosing', () => {
  it('resets a connection when there is no back end', async () => {
    const port = await freePort();
    apply(tcpRoute(port, []));
    await until('connections are reset', async () => {
      const { socket } = dial(port);
      return (
        (await new Promise<NodeJS.ErrnoException>((resolve) => socket.once('error', resolve))).code === 'ECONNRESET'
      );
    });
  });

  it('tries another back end when the chosen one does not answer', async () => {
    const port = await freePort();
    const gone = { name: 'i-gone', port: await freePort(), sockets: new Set<never>(), close: () => Promise.resolve() };
    await serve(tcpRoute(port, [gone, await instance('i-0')]));
    const met = await Promise.all(Array.from({ length: 20 }, () => meet(port)));
    expect(new Set(met)).toEqual(new Set(['i-0']));
  });

  it('keeps established connections when their instance drains or leaves, and sends new ones elsewhere', async () => {
    const port = await freePort();
    const old = await instance('i-0');
    const next = await instance('i-1');
    await serve(tcpRoute(port, [old]));
    const client = dial(port);
    expect(await client.greeting()).toBe('i-0');
    const draining = tcpRoute(port, [old, next]);
    draining.backends = draining.backends.map((backend) => ({ ...backend, accepting: backend.instance === 'i-1' }));
    apply(draining);
    expect(await meet(port)).toBe('i-1');
    await client.echo('while it drains');
    apply(tcpRoute(port, [next]));
    expect(await meet(port)).toBe('i-1');
    await client.echo('after it left');
    client.socket.destroy();
  });

  it('keeps established connections of a removed route, whose port is closed', async () => {
    const port = await freePort();
    await serve(tcpRoute(port, [await instance('i-0')]));
    const client = dial(port);
    await client.greeting();
    apply();
    await until('the port is closed', async () => !(await isOpen(port)));
    await client.echo('still here');
    expect(openConnections()).toBe(1);
    client.socket.destroy();
  });
});

describe('probing', () => {
  it('follows a TCP probe out and in, without counting probes as connections', async () => {
    const port = await freePort();
    const steady = await instance('i-0');
    const flaky = await startInstance('i-1');
    const route = tcpRoute(port, [steady, flaky], { probe: tcpProbe(steady.port) });
    // One probe port for all instances is Azure's model; on one loopback they differ by address.
    route.backends = [
      { instance: 'i-0', address: '127.0.0.1', port: steady.port, accepting: true },
      { instance: 'i-1', address: '127.0.0.2', port: flaky.port, accepting: true },
    ];
    await serve(route);
    const healthy = (): string[] =>
      gateway
        .report()
        .probes.filter((row) => row.healthy)
        .map((row) => row.instance);
    await until('the first passes', () => healthy().join() === 'i-0');
    expect(openConnections()).toBe(0);
    await flaky.close();
    const probePort = createServer((socket) => socket.destroy());
    probePort.listen({ host: '127.0.0.2', port: steady.port });
    await once(probePort, 'listening');
    await until('the second passes', () => healthy().sort().join() === 'i-0,i-1');
    probePort.close();
    await until('the second is out', () => healthy().join() === 'i-0');
    expect(gateway.report().probes.find((row) => row.instance === 'i-1')?.reason).toContain('ECONNREFUSED');
  });

  it('takes only 200 for an answer of an HTTP probe', async () => {
    let status = 302;
    const web = createHttpServer((request, response) => {
      response.writeHead(request.url === '/hub/health' ? status : 404).end('x'.repeat(100_000));
    });
    await listening(web, 0);
    cleanUp.push(() => {
      web.closeAllConnections();
      web.close();
    });
    const port = await freePort();
    const backend = { name: 'i-0', port: portOf(web), sockets: new Set<never>(), close: () => Promise.resolve() };
    const probe: Probe = {
      id: 'p',
      protocol: 'http',
      port: backend.port,
      path: '/hub/health',
      intervalSeconds: 1,
      failures: 2,
    };
    apply(tcpRoute(port, [backend], { probe }));
    const row = (): { healthy: boolean; reason: string } | undefined => gateway.report().probes[0];
    await until('it was asked', () => row()?.reason.includes('302') === true);
    expect(row()?.healthy).toBe(false);
    status = 200;
    await until('it is healthy', () => row()?.healthy === true);
  });

  it('lets a connection wait for the first outcome instead of closing it', async () => {
    const backend = await instance('i-0');
    const port = await freePort();
    const asked: PromiseWithResolvers<void> = Promise.withResolvers();
    const slow = createGateway({
      client: awayControl,
      id: 'slow',
      pid: 1,
      clock: systemClock,
      log: silentLog,
      runProbe: async () => {
        await asked.promise;
        return { ok: true, reason: 'answers' };
      },
      observer: nobodyObserves,
      onChange: () => undefined,
      onSignInEnded: () => undefined,
    });
    cleanUp.push(() => slow.close(0, AbortSignal.abort()));
    slow.apply({ revision: 1, routes: [tcpRoute(port, [backend], { probe: tcpProbe(backend.port) })] });
    await until('the front end is open', () => isOpen(port));
    const client = dial(port);
    await once(client.socket, 'connect');
    asked.resolve();
    expect(await client.greeting()).toBe('i-0');
    client.socket.destroy();
  });
});

describe('listening', () => {
  it('reports a port that another program holds, and opens it when it is free', async () => {
    const holder = createServer();
    holder.listen({ host: '0.0.0.0', port: 0 });
    await once(holder, 'listening');
    const port = portOf(holder);
    apply(tcpRoute(port, [await instance('i-0')]));
    await until('the failure is reported', () => gateway.report().failures.length === 1);
    expect(gateway.report().failures[0]?.message).toContain('EADDRINUSE');
    holder.close();
    await until('it is open', () => gateway.report().failures.length === 0);
    expect(await meet(port)).toBe('i-0');
  });

  it('knows people on a port from the moment that its route says so', async () => {
    const { privateKey } = generateKeyPairSync('ed25519');
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string; // PEM is text
    gateway.know({
      revision: '1',
      users: [],
      hostKeys: [key],
      userAuthority: key,
      userAuthorities: [],
      instanceKeys: {},
    });
    const route = tcpRoute(await freePort(), []);
    apply(route);
    await until('it is open', () => gateway.view().routes[0]?.isOpen === true);
    apply({ ...route, protocol: 'ssh', pool: '/pools/team' });
    const socket = connect(route.listenPort, '127.0.0.1');
    cleanUp.push(() => socket.destroy());
    const [greeting] = (await once(socket, 'data')) as [Buffer];
    expect(greeting.toString()).toMatch(/^SSH-2\.0-Poolhouse/);
  });

  it('waits for connections on closing, up to the limit', async () => {
    const port = await freePort();
    await serve(tcpRoute(port, [await instance('i-0')]));
    const client = dial(port);
    await client.greeting();
    const ended = gateway.close(60_000, new AbortController().signal);
    await until('the port is closed', async () => !(await isOpen(port)));
    await client.echo('still here');
    client.socket.destroy();
    await ended;
  });

  it('ends what is left when the limit is over', async () => {
    const port = await freePort();
    await serve(tcpRoute(port, [await instance('i-0')]));
    const client = dial(port);
    await client.greeting();
    await gateway.close(10, new AbortController().signal);
    await until('the client noticed', () => client.socket.destroyed);
  });
});
