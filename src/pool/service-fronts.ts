/** How the network leads to service instances. Pure. */
import type { Route } from '../link/routes.ts';
import type { InstanceLink } from './render-redirects.ts';

interface ServiceInstance {
  instance: string;
  /** On the installation's network. */
  address: string;
  accepting: boolean;
}

interface Front extends ServiceInstance {
  publicAddress: string;
  publicPort: number;
  port: number;
}

export type ServiceFront =
  /** It reaches nobody by itself, and nobody in its name. The link is known where the instance is there. */
  | (ServiceInstance & { kind: 'closed'; link?: InstanceLink })
  /** The gateway carries the bytes: the service sees the gateway's address. */
  | (Front & { kind: 'carried'; id: string })
  /** The kernel leads there whoever comes from these networks: the service sees who it is. */
  | (Front & { kind: 'forwarded'; clients: readonly string[] });

/** Clients say nothing for long while they have a share mounted. */
const idleSeconds = 24 * 3_600;

/**
 * What the gateway carries to services. A pool's front end goes first where both ask for one address and port.
 *
 * @param listenPort gives each route the gateway's own port
 */
export function serviceRoutes(
  fronts: readonly ServiceFront[],
  routes: readonly Route[],
  listenPort: (routeId: string) => number | undefined,
): Route[] {
  const taken = new Set(routes.map(({ publicAddress, publicPort }) => `${publicAddress}:${publicPort}`));
  return fronts.flatMap((front): Route[] => {
    if (front.kind !== 'carried' || taken.has(`${front.publicAddress}:${front.publicPort}`)) return [];
    const port = listenPort(front.id);
    if (port === undefined) return [];
    const { id, publicAddress, publicPort, instance, address, accepting } = front;
    return [
      {
        ...{ protocol: 'tcp', id, publicAddress, publicPort, listenPort: port, distribution: 'Default', probe: null },
        idleTimeoutSeconds: idleSeconds,
        backends: accepting ? [{ instance, address, port: front.port, accepting }] : [],
      },
    ];
  });
}
