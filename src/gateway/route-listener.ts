/**
 * One route's listening socket. It accepts and hands over, no more. A port that cannot be had (another program holds it)
 * is asked for again until it is free or the route goes away.
 */
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
  const { protocolOf, log, onChange, hasRoom, onNoRoom, retryMs = 1000 } = options;
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
    mine.on('error', (error) => {
      mine.close();
      if (closed.signal.aborted) return;
      const text = `cannot listen on port ${String(route.listenPort)}: ${error.message}`;
      if (failure === undefined)
        log.error({ route: route.id, err: error }, 'a front end could not be opened; trying again');
      failure = text;
      onChange();
      // Rejects only when the listener is closed.
      sleep(retryMs, undefined, { signal: closed.signal }).then(listen, () => undefined);
    });
    mine.listen({ host: '0.0.0.0', port: route.listenPort, backlog: 1024 }, () => {
      if (failure !== undefined) log.info({ route: route.id }, 'the front end is open now');
      failure = undefined;
      onChange();
    });
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
