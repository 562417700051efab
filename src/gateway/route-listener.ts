/**
 * One route's listening socket. It accepts and hands over, no more. A port that cannot be had (another program holds it)
 * is asked for again until it is free or the route goes away.
 *
 * The port is shared with other gateways of the installation, so that one takes over from another without a moment in
 * which nobody listens. The kernel would let every process of our account share it, those of another installation too:
 * whose it is has to be known first.
 */
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Route } from '../link/routes.ts';
import type { GatewayLog, Protocol } from './protocol.ts';

export interface RouteListenerOptions {
  route: Route;
  /** Of a connection that comes now: a route may begin to know people while it is open. */
  protocolOf: (route: Route) => Pick<Protocol, 'accept'>;
  log: GatewayLog;
  /** Called when the listener opens, fails, or recovers. */
  onChange: () => void;
  /** True while another connection may be taken; a connection beyond is reset. */
  hasRoom: () => boolean;
  /** A connection came when there was no room. */
  onNoRoom: (route: Route) => void;
  /** Whether another gateway of this installation listens on a port. */
  isOurs: (port: number) => Promise<boolean>;
  retryMs?: number;
}

export interface RouteListener {
  /** From the next connection on. */
  update(route: Route): void;
  /** Why it does not listen; undefined while it does, or has not tried yet. */
  failure(): string | undefined;
  isOpen(): boolean;
  /** Stops listening at once; connections go on. */
  close(): void;
}

export function openRouteListener(options: RouteListenerOptions): RouteListener {
  const { protocolOf, log, onChange, hasRoom, onNoRoom, isOurs, retryMs = 1000 } = options;
  let route = options.route;
  let failure: string | undefined;
  let server: Server | undefined;
  const closed = new AbortController();

  function listen(): void {
    const mine = createServer({
      allowHalfOpen: true,
      pauseOnConnect: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 30_000,
    });
    server = mine;
    mine.on('connection', (socket) => {
      // A client that gives up is no fault of ours: 'close' follows, and that is what protocols listen to.
      socket.on('error', () => undefined);
      const { remoteAddress, remotePort } = socket;
      const room = hasRoom();
      if (!room) onNoRoom(route);
      if (remoteAddress === undefined || remotePort === undefined || !room) {
        socket.resetAndDestroy();
        return;
      }
      protocolOf(route).accept({ socket, route, client: { address: remoteAddress, port: remotePort } });
    });
    mine.on('error', failed);
    const { listenPort: port } = route;
    mayListen(port, isOurs, closed.signal).then(() => {
      if (closed.signal.aborted) return;
      mine.listen({ host: '0.0.0.0', port, backlog: 1024, reusePort: true }, () => {
        if (failure !== undefined) log.info({ route: route.id }, 'the front end is open now');
        failure = undefined;
        onChange();
      });
    }, failed);

    function failed(error: Error): void {
      mine.close();
      if (closed.signal.aborted) return;
      const text = `cannot listen on port ${String(route.listenPort)}: ${error.message}`;
      if (failure === undefined)
        log.error({ route: route.id, err: error }, 'a front end could not be opened; trying again');
      failure = text;
      onChange();
      // Rejects only when the listener is closed.
      sleep(retryMs, undefined, { signal: closed.signal }).then(listen, () => undefined);
    }
  }

  listen();
  return {
    update(next) {
      route = next;
    },
    failure: () => failure,
    isOpen: () => server?.listening === true,
    close() {
      closed.abort();
      server?.close();
    },
  };
}

/** Two gateways that begin at the same time look at the same moment. */
const looks = 3;
const betweenLooksMs = 100;

/** Resolves where the port is free, or another gateway of ours has it; rejects with the kernel's error where somebody else does. */
async function mayListen(port: number, isOurs: RouteListenerOptions['isOurs'], signal: AbortSignal): Promise<void> {
  for (let look = 1; ; look += 1) {
    if (await isOurs(port)) return;
    const alone = createServer((socket) => socket.destroy());
    try {
      alone.listen({ host: '0.0.0.0', port });
      await once(alone, 'listening');
      alone.close();
      await once(alone, 'close');
      return;
    } catch (error) {
      if (look === looks) throw error;
      await sleep(betweenLooksMs * (0.5 + Math.random()), undefined, { signal });
    }
  }
}
