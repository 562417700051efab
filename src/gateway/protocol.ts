/**
 * Where the front ends' protocols plug in. A route's listener takes connections and hands each to one protocol; what the
 * protocol does with it (carry bytes now; know the person first, for SSH, HTTP and RDP) is its own affair.
 */
import type { Socket } from 'node:net';
import type { Clock } from '../core/time.ts';
import type { Route } from '../link/routes.ts';
import type { ConnectionLedger } from './connection-ledger.ts';
import type { GatewayObserver } from './observer.ts';
import type { Prober } from './probes/prober.ts';

/** A connection just accepted: nothing was read from it yet. */
export interface Arrival {
  socket: Socket;
  /** The route as it was when the connection came. */
  route: Route;
  client: { address: string; port: number };
}

/** Carries connections of one kind. Owns the socket from `accept` on and closes it, whatever happens. Never throws. */
export interface Protocol {
  readonly name: string;
  /** Connections that were accepted and are not in the ledger yet. */
  readonly pending: number;
  accept(arrival: Arrival): void;
  /** Another gateway takes what comes from now on: what can be taken up there at any time is led there. */
  leave?(): void;
}

/** What the house gives to every protocol. */
export interface ProtocolContext {
  prober: Pick<Prober, 'isHealthy' | 'firstOutcome'>;
  ledger: ConnectionLedger;
  observer: GatewayObserver;
  log: GatewayLog;
  clock: Clock;
}

/** The part of a pino logger that the gateway uses. */
export interface GatewayLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
