/** What the gateway tells of its work as it happens. Who counts it is the composition root's affair. */
import type { SessionProtocol } from '../link/people.ts';
import type { Probe, Route } from '../link/routes.ts';
import type { Carried } from './connection-ledger.ts';

/**
 * Why a connection was not carried: the gateway carries as many as it may; no instance is in rotation; none of those
 * that are answered; something unexpected.
 */
export const refusals = ['no_room', 'no_instance', 'no_answer', 'error'] as const;
export type Refusal = (typeof refusals)[number];

export const signInResults = ['succeeded', 'refused'] as const;
export type SignInResult = (typeof signInResults)[number];

export interface GatewayObserver {
  /** A connection is carried; how long connecting to its instance took. */
  carried(route: Route, connectMs: number): void;
  /** A carried connection is over. */
  ended(route: Route, carried: Carried): void;
  refused(route: Route, why: Refusal): void;
  /** An instance did not answer; another may have. */
  connectFailed(route: Route, error: Error): void;
  probed(probe: Probe, ok: boolean): void;
  /** Somebody showed something that signs people in. */
  signInEnded(protocol: SessionProtocol, result: SignInResult): void;
}
