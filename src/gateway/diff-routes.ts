/**
 * What changes between two routing tables, as the gateway has to act on it. Pure, so that the promise "a change of the
 * back ends never closes a listener" is a table of values in a test.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Route } from '../link/routes.ts';

export interface RouteChanges {
  /** Listeners to close; established connections go on. To be done first: a port may move to another route. */
  close: Route[];
  /** Listeners to open. */
  open: Route[];
  /** The same listener, other particulars (back ends, probe, distribution …). */
  update: Route[];
}

/** Compares by route id. A route whose inner port changed is closed and opened, all others that differ are updated. */
export function diffRoutes(before: readonly Route[], after: readonly Route[]): RouteChanges {
  const old = new Map(before.map((route) => [route.id, route]));
  const wanted = new Map(after.map((route) => [route.id, route]));
  const changes: RouteChanges = { close: [], open: [], update: [] };
  for (const route of old.values()) {
    if (wanted.get(route.id)?.listenPort !== route.listenPort) changes.close.push(route);
  }
  for (const route of wanted.values()) {
    const known = old.get(route.id);
    if (known?.listenPort !== route.listenPort) changes.open.push(route);
    else if (!isDeepStrictEqual(known, route)) changes.update.push(route);
  }
  return changes;
}

/** Names of the instances that some route leads to. */
export function instancesOf(routes: readonly Route[]): Set<string> {
  return new Set(routes.flatMap((route) => route.backends.map((backend) => backend.instance)));
}
