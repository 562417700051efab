/**
 * From load balancers and instances to the gateway's routes. Pure: a table that is computed again from the same world
 * is the same.
 */
import type { Backend, Probe, Route } from '../link/routes.ts';

export interface RoutedRule {
  id: string;
  publicAddress: string;
  publicPort: number;
  backendPort: number;
  backendPoolKey: string;
  distribution: Route['distribution'];
  idleTimeoutSeconds: number;
  probe: Probe | null;
  /** Its load balancer wants bytes to be carried, whatever the port. */
  isPlain: boolean;
  /** Whom the gateway places how; undefined: it carries bytes for whoever comes. */
  people?: { protocol: 'ssh' | 'http'; pool: string } | undefined;
}

export interface RoutedNatPool {
  id: string;
  key: string;
  publicAddress: string;
  backendPort: number;
  idleTimeoutSeconds: number;
}

export interface RoutedInstance {
  name: string;
  address: string;
  /** It runs: probes mean something. */
  running: boolean;
  /**
   * The engine is starting it: who probes it knows sooner than the engine tells that it answers. Only an answer counts,
   * so it stands behind front ends with a probe.
   */
  starting: boolean;
  /** It is ready for people, and does not drain. */
  accepting: boolean;
  backendPoolKeys: readonly string[];
  natPorts: Readonly<Record<string, number>>;
}

/** Routes by id, in a stable order. `listenPort` gives each route the gateway's own port. */
export function routingTable(
  rules: readonly RoutedRule[],
  natPools: readonly RoutedNatPool[],
  instances: readonly RoutedInstance[],
  listenPort: (routeId: string) => number | undefined,
): Route[] {
  const running = instances.filter((instance) => instance.running);
  const probed = instances.filter((instance) => instance.running || instance.starting);
  const wanted: Omit<Route, 'listenPort'>[] = [
    ...rules.map((rule) => ({
      ...(rule.people ?? { protocol: 'tcp' as const }),
      id: rule.id,
      publicAddress: rule.publicAddress,
      publicPort: rule.publicPort,
      distribution: rule.distribution,
      idleTimeoutSeconds: rule.idleTimeoutSeconds,
      probe: rule.probe,
      backends: (rule.probe === null ? running : probed)
        .filter((instance) => instance.backendPoolKeys.includes(rule.backendPoolKey))
        .map((instance) => backendOf(instance, rule.backendPort)),
    })),
    ...natPools.flatMap((pool) =>
      running.flatMap((instance) => {
        const port = instance.natPorts[pool.key];
        if (port === undefined) return [];
        return [
          {
            protocol: 'tcp' as const, // it leads to one machine, whoever comes
            id: `${pool.id}/${port}`,
            publicAddress: pool.publicAddress,
            publicPort: port,
            distribution: 'Default' as const,
            idleTimeoutSeconds: pool.idleTimeoutSeconds,
            probe: null,
            backends: [backendOf(instance, pool.backendPort)],
          },
        ];
      }),
    ),
  ];
  return wanted
    .toSorted((a, b) => (a.id < b.id ? -1 : 1))
    .flatMap((route) => {
      const port = listenPort(route.id);
      return port === undefined ? [] : [{ ...route, listenPort: port }];
    });
}

function backendOf(instance: RoutedInstance, port: number): Backend {
  return { instance: instance.name, address: instance.address, port, accepting: instance.accepting };
}

/** Whether an instance is in rotation, and in words why not. */
export function rotationOf(
  instance: Pick<RoutedInstance, 'name' | 'running' | 'starting' | 'accepting'>,
  routes: readonly Route[],
  healthy: (probeId: string, instance: string) => boolean | undefined,
): { inRotation: boolean; reason: string } {
  if (!instance.running && !instance.starting) return { inRotation: false, reason: 'it does not run' };
  if (!instance.accepting) return { inRotation: false, reason: 'it is being prepared, or drains' };
  const asking = routes.filter(
    ({ probe, backends }) => probe !== null && backends.some((backend) => backend.instance === instance.name),
  );
  if (instance.starting && asking.length === 0) return { inRotation: false, reason: 'it is being started' };
  for (const route of asking) {
    if (route.probe !== null && healthy(route.probe.id, instance.name) !== true) {
      return { inRotation: false, reason: `the probe ${route.probe.id.split('/').at(-1) ?? ''} has not succeeded` };
    }
  }
  return { inRotation: true, reason: '' };
}
