/**
 * From load balancers and instances to the gateway's routes. Pure: a table that is computed again from the same world
 * is the same.
 */
import type { Backend, Probe, Probed, Route } from '../link/routes.ts';

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

/** An instance that answers its probes, and is no place for new people all the same. */
export interface HeldBack {
  /** In words. */
  reason: string;
  /** It does not become well by itself: it counts as one whose probes fail. */
  unhealthy: boolean;
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
  /** What is wrong with its mounts; nobody new is sent there then, and who is there stays. */
  heldBack?: HeldBack | undefined;
  backendPoolKeys: readonly string[];
  natPorts: Readonly<Record<string, number>>;
  /** What its scale set's application health extension asks; undefined where there is none. */
  health?: Probe | undefined;
}

/** The probes of application health extensions, each with the instances that it asks. */
export function healthProbes(instances: readonly RoutedInstance[]): { probe: Probe; backends: Backend[] }[] {
  const probed = new Map<string, { probe: Probe; backends: Backend[] }>();
  for (const instance of instances) {
    const { health } = instance;
    if (health === undefined || !(instance.running || instance.starting)) continue;
    // Instances of an older model may be asked otherwise than those of the latest.
    const key = JSON.stringify(health);
    const known = probed.get(key) ?? { probe: health, backends: [] };
    known.backends.push(backendOf(instance, health.port));
    probed.set(key, known);
  }
  return [...probed.values()];
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
  return { instance: instance.name, address: instance.address, port, accepting: isAccepting(instance) };
}

const isAccepting = ({ accepting, heldBack }: Pick<RoutedInstance, 'accepting' | 'heldBack'>) =>
  accepting && heldBack === undefined;

/** How an instance stands towards its front ends. */
export interface Rotation {
  /** It may receive new users. */
  inRotation: boolean;
  /** Its probes succeed, or it has none, whether or not it may receive anybody. */
  healthy: boolean;
  /** In words, why it is not in rotation. */
  reason: string;
}

export function rotationOf(
  instance: Pick<RoutedInstance, 'name' | 'running' | 'starting' | 'accepting' | 'heldBack'>,
  probed: readonly Probed[],
  healthy: (probeId: string, instance: string) => boolean | undefined,
): Rotation {
  if (!instance.running && !instance.starting) return { inRotation: false, healthy: false, reason: 'it does not run' };
  const asking = probed.filter(
    ({ probe, backends }) => probe !== null && backends.some((backend) => backend.instance === instance.name),
  );
  if (instance.starting && asking.length === 0)
    return { inRotation: false, healthy: false, reason: 'it is being started' };
  const failing = asking.find(({ probe }) => probe !== null && healthy(probe.id, instance.name) !== true);
  const isHealthy = failing === undefined;
  if (!instance.accepting) return { inRotation: false, healthy: isHealthy, reason: 'it is being prepared, or drains' };
  const { heldBack } = instance;
  if (isHealthy && heldBack !== undefined)
    return { inRotation: false, healthy: !heldBack.unhealthy, reason: heldBack.reason };
  return isHealthy
    ? { inRotation: true, healthy: true, reason: '' }
    : {
        inRotation: false,
        healthy: false,
        reason: `the probe ${failing.probe?.id.split('/').at(-1) ?? ''} has not succeeded`,
      };
}
