/**
 * Azure's `loadDistribution`, by rendezvous hashing: each (client, instance) pair has a score, the highest wins. When an
 * instance leaves, only its own clients move; when one joins, it takes its share from all and nobody else moves.
 * The score is of the instance's name and not of the route, so that with `SourceIP` one client meets one instance on
 * all ports of a front end, as Azure's two-tuple does.
 */
import type { Backend, Route } from '../../link/routes.ts';

export interface ClientAddress {
  address: string;
  port: number;
}

/**
 * The eligible back ends, best choice first. `isHealthy` speaks of the route's probe.
 * Empty where no back end is healthy and accepting.
 */
export function rankBackends(
  route: Pick<Route, 'distribution' | 'publicAddress' | 'publicPort' | 'backends'>,
  client: ClientAddress,
  isHealthy: (instance: string) => boolean,
): Backend[] {
  const key = distributionKey(route, client);
  return route.backends
    .filter((backend) => backend.accepting && isHealthy(backend.instance))
    .map((backend) => ({ backend, score: score(key, backend.instance) }))
    .sort((a, b) => b.score - a.score || (a.backend.instance < b.backend.instance ? -1 : 1))
    .map(({ backend }) => backend);
}

function distributionKey(
  route: Pick<Route, 'distribution' | 'publicAddress' | 'publicPort'>,
  client: ClientAddress,
): string {
  switch (route.distribution) {
    case 'SourceIP':
      return `${client.address}|${route.publicAddress}`;
    case 'SourceIPProtocol':
      return `${client.address}|${route.publicAddress}|tcp`;
    case 'Default':
      return `${client.address}|${String(client.port)}|${route.publicAddress}|${String(route.publicPort)}|tcp`;
  }
}

/** FNV-1a over both names, then Murmur3's finalizer: without it, names that differ in the last digit score alike. */
function score(key: string, instance: string): number {
  let hash = 0x811c9dc5;
  const text = `${key}\0${instance}`;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
