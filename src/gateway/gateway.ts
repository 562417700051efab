/**
 * The gateway without its surroundings: routing tables go in, listeners open, connections are carried, reports come out.
 * Where tables come from and reports go to (`control-link.ts`, `state-file.ts`) is the composition root's affair.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock, EpochMillis } from '../core/time.ts';
import type { EndedSignIn } from '../link/ended-sign-ins.ts';
import type { Directory } from '../link/people.ts';
import type { GatewayPhase, GatewayState, Places } from '../link/gateway-words.ts';
import type { OrderList } from '../link/orders.ts';
import type { Report, Route, RoutingTable } from '../link/routes.ts';
import { createConnectionLedger } from './connection-ledger.ts';
import type { Traffic } from './connection-ledger.ts';
import { diffRoutes, instancesOf } from './diff-routes.ts';
import type { LinkClient } from './link-request.ts';
import type { GatewayObserver } from './observer.ts';
import { createHttpProtocol } from './http/http-protocol.ts';
import { createSignIns } from './http/sign-ins.ts';
import { createAttemptLimit } from './people/attempt-limit.ts';
import { createOrderTaker } from './people/carry-out-orders.ts';
import { createDirectoryView } from './people/directory-view.ts';
import { endUnwelcome } from './people/end-unwelcome.ts';
import { createOwnAccounts } from './people/own-account.ts';
import { createPlacer } from './people/placer.ts';
import { createSessionLedger } from './people/session-ledger.ts';
import { createSignIn } from './people/sign-in.ts';
import { createProber } from './probes/prober.ts';
import type { RunProbe } from './probes/run-probe.ts';
import type { GatewayLog, Protocol } from './protocol.ts';
import { openRouteListener } from './route-listener.ts';
import type { RouteListener } from './route-listener.ts';
import { noSiblings, type Siblings } from './siblings.ts';
import { createSshProtocol } from './ssh/ssh-protocol.ts';
import { createTcpProtocol } from './tcp/tcp-protocol.ts';

export interface GatewayOptions {
  /** Names this run of this process in reports. */
  id: string;
  /** Names it among the gateways of its installation. */
  serial?: number;
  pid: number;
  clock: Clock;
  log: GatewayLog;
  runProbe: RunProbe;
  observer: GatewayObserver;
  /** Something that a report tells has changed. */
  onChange: () => void;
  /** Somebody's sign-in has ended here: the other gateways are to know. */
  onSignInEnded: (ended: EndedSignIn) => void;
  /** To control, for questions of its own. */
  client: LinkClient;
  /** The other gateways of this installation. */
  siblings?: Siblings;
  /** Connections carried at once; one more is reset. */
  maxConnections?: number;
}

/** What there is at this moment, for those who watch. */
export interface GatewayView {
  /** The table that is served, and since when; undefined before the first. */
  table: { revision: number; appliedAt: EpochMillis } | undefined;
  routes: readonly RouteView[];
  /** Connections that may be carried at once. */
  maxConnections: number;
  phase: GatewayPhase;
}

export interface RouteView {
  route: Route;
  isOpen: boolean;
  /** Why its port cannot be opened. */
  failure: string | undefined;
  /** How many of its instances are in which state. */
  instances: Readonly<Record<BackendState, number>>;
}

/** In rotation: it accepts and is healthy. Failing: it accepts, and its probe does not succeed. Else control holds it back. */
export const backendStates = ['in_rotation', 'failing', 'held_back'] as const;
export type BackendState = (typeof backendStates)[number];

export interface Gateway {
  /** Makes the table so. The same table again changes nothing. */
  apply(table: RoutingTable): void;
  /** Says who there is; sessions of those who may no longer enter end. */
  know(directory: Directory): void;
  /** Another gateway says that a sign-in has ended. */
  knowEnded(ended: EndedSignIn): void;
  /** Does with its sessions what control orders. */
  order(list: OrderList): void;
  report(): Report;
  view(): GatewayView;
  /** How it stands, for the others of its installation and the command line. */
  state(): GatewayState;
  /** Where somebody is, as far as is known here. */
  places(pool: string, user: string): Places;
  /** What the open connections have carried so far, by route. */
  traffic(): ReadonlyMap<string, Traffic>;
  /**
   * Closes all listeners for good, and tells control no more how instances are: others do. Connections go on, with all
   * that belongs to them: who waits for a machine gets one. `state` tells when there is none any more.
   */
  leave(): void;
  /** Ends the sessions that there are; their people are told why, and come in again by another gateway. */
  endSessions(reason: string): void;
  /** Closes all listeners, waits up to `graceMs` (or until the signal) for connections to end, then ends them. */
  close(graceMs: number, signal: AbortSignal): Promise<void>;
}

export function createGateway(options: GatewayOptions): Gateway {
  const { id, serial = 0, pid, clock, log, runProbe, observer, onChange, maxConnections = 20_000 } = options;
  const { siblings = noSiblings } = options;
  const startedAt = clock.now();
  const listeners = new Map<string, RouteListener>();
  let table: RoutingTable = { revision: 0, routes: [] };
  let appliedAt: EpochMillis | undefined;
  let phase: GatewayPhase = 'serving';
  const ledger = createConnectionLedger(onChange);
  const sessions = createSessionLedger(() => clock.now(), onChange);
  const directory = createDirectoryView();
  const prober = createProber({
    clock,
    runProbe,
    onChange: ({ probe, instance, healthy, wasHealthy, reason }) => {
      const fields = { probe, instance, reason };
      if (healthy) log.info(fields, 'instance is healthy');
      else if (wasHealthy) log.warn(fields, 'instance is not healthy any more');
      else log.info(fields, 'instance is not healthy yet');
      onChange();
    },
    onOutcome: (probe, ok) => {
      observer.probed(probe, ok);
    },
  });
  const routeNow = (id: string): Route | undefined => table.routes.find((route) => route.id === id);
  const placer = createPlacer({
    client: options.client,
    isHealthy: (probe, instance) => prober.isHealthy(probe, instance),
    sessions,
    siblings,
  });
  const limit = createAttemptLimit(clock, () => table.settings?.gateways ?? 1);
  const signIn = createSignIn({ directory, limit, log, observer });
  const signIns = createSignIns({ directory, clock, onEnded: options.onSignInEnded });
  const people = {
    ...{ directory, signIn, placer, sessions, ledger, observer, log, clock, routeNow },
    ownAccounts: createOwnAccounts({ client: options.client, limit }),
    newTicket: randomUUID,
  };
  const protocols: Record<Route['protocol'], Protocol> = {
    tcp: createTcpProtocol({ prober, ledger, observer, log, clock }),
    ssh: createSshProtocol(people),
    http: createHttpProtocol({ ...people, signIns }),
  };

  const pending = (): number => Object.values(protocols).reduce((sum, protocol) => sum + protocol.pending, 0);

  function open(route: Route): void {
    const onNoRoom = (refused: Route): void => {
      observer.refused(refused, 'no_room');
    };
    const hasRoom = (): boolean => ledger.size + pending() < maxConnections;
    const protocolOf = ({ protocol }: Route): Protocol => protocols[protocol];
    const listener = openRouteListener({
      ...{ route, protocolOf, log, onChange, hasRoom, onNoRoom },
      isOurs: siblings.haveOpen,
    });
    listeners.set(route.id, listener);
  }

  function closeListener(routeId: string): void {
    listeners.get(routeId)?.close();
    listeners.delete(routeId);
  }

  return {
    apply(next) {
      const changes = diffRoutes(table.routes, next.routes);
      table = next;
      appliedAt = clock.now();
      for (const route of changes.close) closeListener(route.id);
      ledger.doubtAllBut(instancesOf(next.routes));
      // Before listeners open, so that no connection meets a back end that nobody asks about.
      prober.watch([...next.routes, ...(next.health ?? [])]);
      if (phase !== 'serving') return;
      for (const route of changes.update) listeners.get(route.id)?.update(route);
      for (const route of changes.open) open(route);
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
    know(next) {
      directory.take(next);
      endUnwelcome(sessions, directory, log);
    },
    knowEnded(ended) {
      signIns.know([ended]);
    },
    order: createOrderTaker(sessions),
    report() {
      const failures = [...listeners].flatMap(([route, listener]) => {
        const message = listener.failure();
        return message === undefined ? [] : [{ route, message }];
      });
      return {
        gateway: id,
        pid,
        phase,
        startedAt,
        revision: table.revision,
        probes: phase === 'serving' ? prober.report() : [],
        connections: ledger.report(),
        sessions: sessions.report(),
        failures,
      };
    },
    view() {
      return {
        table: appliedAt === undefined ? undefined : { revision: table.revision, appliedAt },
        routes: table.routes.map((route) => {
          const listener = listeners.get(route.id);
          const instances = { in_rotation: 0, failing: 0, held_back: 0 };
          for (const { accepting, instance } of route.backends)
            instances[!accepting ? 'held_back' : prober.isHealthy(route.probe, instance) ? 'in_rotation' : 'failing']++;
          return { route, isOpen: listener?.isOpen() === true, failure: listener?.failure(), instances };
        }),
        maxConnections,
        phase,
      };
    },
    state: () => ({
      serial,
      pid,
      phase,
      ports: table.routes.flatMap(({ id: routeId, listenPort }) =>
        listeners.get(routeId)?.isOpen() === true ? [listenPort] : [],
      ),
      knowsHealth: appliedAt !== undefined && prober.knowsAll(),
      connections: ledger.size + pending(),
    }),
    places(pool, user) {
      const session = sessions.whereIs(pool, user);
      const sentTo = placer.sentTo(pool, user);
      return {
        ...(session === undefined ? {} : { session }),
        ...(sentTo === undefined ? {} : { sentTo }),
        users: sessions.users(),
      };
    },
    traffic: () => ledger.traffic(),
    leave() {
      phase = 'leaving';
      for (const protocol of Object.values(protocols)) protocol.leave?.();
      for (const routeId of [...listeners.keys()]) closeListener(routeId);
      onChange();
    },
    endSessions(reason) {
      for (const session of sessions.find(() => true)) session.end(reason, 'comes again');
    },
    async close(graceMs, signal) {
      phase = 'ended';
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
