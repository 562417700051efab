/**
 * The gateway without its surroundings: routing tables go in, listeners open, connections are carried, reports come out.
 * Where tables come from and reports go to (`control-link.ts`, `state-file.ts`) is the composition root's affair.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../core/time.ts';
import type { Report, Route, RoutingTable } from '../link/routes.ts';
import { createConnectionLedger } from './connection-ledger.ts';
import { diffRoutes, instancesOf } from './diff-routes.ts';
import { createProber } from './probes/prober.ts';
import type { RunProbe } from './probes/run-probe.ts';
import type { GatewayLog, Protocol } from './protocol.ts';
import { openRouteListener } from './route-listener.ts';
import type { RouteListener } from './route-listener.ts';
import { createTcpProtocol } from './tcp/tcp-protocol.ts';

export interface GatewayOptions {
  /** Names this run of this process in reports. */
  id: string;
  pid: number;
  clock: Clock;
  log: GatewayLog;
  runProbe: RunProbe;
  /** Something that a report tells has changed. */
  onChange: () => void;
  /** Connections carried at once; one more is reset. */
  maxConnections?: number;
}

export interface Gateway {
  /** Makes the table so. The same table again changes nothing. */
  apply(table: RoutingTable): void;
  report(): Report;
  /** Closes all listeners, waits up to `graceMs` (or until the signal) for connections to end, then ends them. */
  close(graceMs: number, signal: AbortSignal): Promise<void>;
}

export function createGateway(options: GatewayOptions): Gateway {
  const { id, pid, clock, log, runProbe, onChange, maxConnections = 20_000 } = options;
  const listeners = new Map<string, RouteListener>();
  let table: RoutingTable = { revision: 0, routes: [] };
  const ledger = createConnectionLedger(onChange);
  const prober = createProber({
    clock,
    runProbe,
    onChange: ({ probe, instance, healthy, reason }) => {
      log.info({ probe, instance, reason }, healthy ? 'instance is healthy' : 'instance is not healthy');
      onChange();
    },
  });
  const tcp = createTcpProtocol({ prober, ledger, log, clock });

  function open(route: Route): void {
    const protocol = protocolOf(route, { tcp });
    const hasRoom = (): boolean => ledger.size + protocol.pending < maxConnections;
    listeners.set(route.id, openRouteListener({ route, protocol, log, onChange, hasRoom }));
  }

  function closeListener(routeId: string): void {
    listeners.get(routeId)?.close();
    listeners.delete(routeId);
  }

  return {
    apply(next) {
      const changes = diffRoutes(table.routes, next.routes);
      table = next;
      for (const route of changes.close) closeListener(route.id);
      // Before listeners open, so that no connection meets a back end that nobody asks about.
      prober.watch(next.routes);
      for (const route of changes.update) listeners.get(route.id)?.update(route);
      for (const route of changes.open) open(route);
      ledger.doubtAllBut(instancesOf(next.routes));
      log.info(
        {
          revision: next.revision,
          opened: changes.open.length,
          updated: changes.update.length,
          closed: changes.close.length,
        },
        'routing table applied',
      );
      onChange();
    },
    report() {
      const failures = [...listeners].flatMap(([route, listener]) => {
        const message = listener.failure();
        return message === undefined ? [] : [{ route, message }];
      });
      return {
        gateway: id,
        pid,
        revision: table.revision,
        probes: prober.report(),
        connections: ledger.report(),
        failures,
      };
    },
    async close(graceMs, signal) {
      for (const routeId of [...listeners.keys()]) closeListener(routeId);
      const over = new AbortController();
      const limit = sleep(graceMs, undefined, { signal: AbortSignal.any([signal, over.signal]) }).catch(
        () => undefined,
      );
      await Promise.race([ledger.idle(), limit]);
      over.abort();
      ledger.destroyAll();
      await ledger.idle();
      prober.close();
    },
  };
}

/** Which protocol a route's connections speak. All routes are plain TCP until routes say more. */
function protocolOf(_route: Route, protocols: { tcp: Protocol }): Protocol {
  return protocols.tcp;
}
