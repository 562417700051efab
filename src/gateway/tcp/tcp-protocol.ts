/** Plain TCP: choose a back end as the rule's distribution says, connect, carry bytes. Knows no people. */
import type { Route } from '../../link/routes.ts';
import { createLogLimit } from '../log-limit.ts';
import type { Arrival, Protocol, ProtocolContext } from '../protocol.ts';
import { rankBackends } from './choose-backend.ts';
import { connectBackend } from './connect-backend.ts';
import { createReadBufferPool } from './read-buffers.ts';
import { splice } from './splice.ts';

export interface TcpProtocolOptions extends ProtocolContext {
  connectLimitMs?: number;
  /** Back ends tried for one connection. */
  tries?: number;
  /** How long a connection waits for the first outcome of its back ends' probes, right after the gateway began. */
  firstOutcomeMs?: number;
}

export function createTcpProtocol(options: TcpProtocolOptions): Protocol {
  const { prober, ledger, observer, log, clock, connectLimitMs = 3000, tries = 3, firstOutcomeMs = 2000 } = options;
  const buffers = createReadBufferPool();
  const logLimit = createLogLimit(clock);
  let pending = 0;

  async function carry({ socket: client, route, client: from }: Arrival, signal: AbortSignal): Promise<void> {
    const accepting = route.backends.filter((backend) => backend.accepting).map((backend) => backend.instance);
    await within(firstOutcomeMs, prober.firstOutcome(route.probe, accepting));
    const choices = rankBackends(route, from, (instance) => prober.isHealthy(route.probe, instance));
    const connecting = clock.now();
    const connected = await connectBackend(choices, {
      limitMs: connectLimitMs,
      tries,
      signal,
      onFailure: (backend, error) => {
        observer.connectFailed(route, error);
        const leftOut = logLimit(`${route.id} ${backend.instance}`);
        if (leftOut === undefined) return;
        const fields = { route: route.id, instance: backend.instance, reason: error.message, leftOut };
        log.warn(fields, 'a back end did not answer');
      },
    });
    if (connected === undefined) {
      if (!signal.aborted) refuse(route, from.address, accepting.length, choices.length);
      client.resetAndDestroy();
      return;
    }
    const { backend, socket: upstream } = connected;
    if (client.destroyed) {
      upstream.resetAndDestroy();
      return;
    }
    const spliced = splice(client, upstream, {
      buffers,
      idleMs: route.idleTimeoutSeconds * 1000,
      onClosed: () => {
        closed();
        observer.ended(route, spliced.carried());
        log.debug({ ...about, ...spliced.carried() }, 'a connection has ended');
      },
    });
    observer.carried(route, clock.now() - connecting);
    const about = { route: route.id, instance: backend.instance, client: from.address };
    log.debug(about, 'a connection begins');
    const closed = ledger.add({
      route: route.id,
      instance: backend.instance,
      destroy: spliced.destroy,
      carried: spliced.carried,
      // An instance that was deleted says no goodbye: ask it soon, and its silence ends the connection.
      doubt: () => {
        spliced.keepAlive(1000);
      },
    });
  }

  /** Nobody there is how a pool may be wanted; instances that should answer and do not are for the operator to look at. */
  function refuse(route: Route, client: string, accepting: number, healthy: number): void {
    observer.refused(route, healthy === 0 ? 'no_instance' : 'no_answer');
    const leftOut = logLimit(route.id);
    if (leftOut === undefined) return;
    const fields = { route: route.id, client, accepting, healthy, leftOut };
    if (accepting === 0) log.info(fields, 'no instance accepts connections; the connection was reset');
    else log.warn(fields, 'no back end; the connection was reset');
  }

  return {
    name: 'tcp',
    get pending() {
      return pending;
    },
    accept(arrival) {
      pending++;
      const { socket, route } = arrival;
      const gone = new AbortController();
      const abort = (): void => {
        gone.abort();
      };
      socket.once('close', abort);
      carry(arrival, gone.signal)
        .catch((error: unknown) => {
          observer.refused(route, 'error');
          log.error({ route: route.id, err: error }, 'a connection failed unexpectedly');
          socket.resetAndDestroy();
        })
        .finally(() => {
          pending--;
          socket.off('close', abort);
        });
    },
  };
}

/** Waits for a promise that never rejects, but not longer than this. */
async function within(limitMs: number, promise: Promise<void>): Promise<void> {
  const late: PromiseWithResolvers<void> = Promise.withResolvers();
  const timer = setTimeout(late.resolve, limitMs);
  await Promise.race([promise, late.promise]);
  clearTimeout(timer);
}
