/**
 * Keeps the front ends: computes the gateway's routes from load balancers and instances, publishes them, and has the
 * kernel lead the public addresses to the gateway's ports.
 */
import { isIPv4 } from 'node:net';
import { dig } from '../core/json.ts';
import { keyOf } from '../core/resource-id.ts';
import type { Service } from '../images/recipe.ts';
import type { Probe, Route, RoutingTable } from '../link/routes.ts';
import type { RedirectInput } from '../pool/render-redirects.ts';
import { serviceRoutes, type ServiceFront } from '../pool/service-fronts.ts';
import {
  healthProbes,
  rotationOf,
  routingTable,
  type RoutedInstance,
  type RoutedNatPool,
  type RoutedRule,
} from '../pool/routing-table.ts';
import { extensionsDone } from '../pool/scale-set-snapshot.ts';
import { readPoolTags } from '../providers/compute/pool-tags.ts';
import {
  isApplicationHealth,
  readApplicationHealth,
  readScaleSet,
  type ExtensionModel,
} from '../providers/compute/scale-set-model.ts';
import { readLoadBalancer, type ProbeModel } from '../providers/network/load-balancer-model.ts';
import { findInstances, type InstanceRecord } from '../store/instance-records.ts';
import { findResources, type ResourceRecord } from '../store/resource-records.ts';
import { readModel } from './instance-model.ts';
import type { ListenPorts } from './listen-ports.ts';
import type { World } from './world.ts';

const settledDelay = 2_000;
/** How long a table that somebody else took from the kernel may be missing: firewalls are reloaded. */
const redirectsLookedAt = 10_000;

export type Redirects = Required<Pick<RedirectInput, 'links' | 'closed' | 'forwards'>> & { routes: readonly Route[] };

export interface FrontEndLoopParts {
  world: World;
  ports: ListenPorts;
  publish(table: RoutingTable): void;
  /** What the machines of a scale set offer at a port. */
  serviceOf(set: ResourceRecord, port: number): Promise<Service | undefined>;
  /** Makes the kernel's rules fit these routes; nil where nothing has changed. */
  redirect(wanted: Redirects, signal: AbortSignal): Promise<void>;
  /** What leads to instances that are no pool's. */
  services(): readonly ServiceFront[];
}

export interface FrontEnds {
  pass(signal: AbortSignal): Promise<number>;
  /** Undefined before the first pass. */
  table(): RoutingTable | undefined;
}

export function createFrontEndLoop(parts: FrontEndLoopParts): FrontEnds {
  const { world, ports } = parts;
  const { store, clock } = world;
  let table: RoutingTable | undefined;
  let published = '';
  let redirected = '';
  let redirectedAt = 0;
  /** The table since which an instance that was started is asked. */
  const startingSince = new Map<string, number>();

  async function routedInstances(sets: ReadonlyMap<string, ResourceRecord>): Promise<RoutedInstance[]> {
    const result: RoutedInstance[] = [];
    for (const instance of await findInstances(store.db)) {
      const set = sets.get(instance.scaleSetKey);
      if (set !== undefined) result.push(await routed(set, instance));
    }
    return result;
  }

  async function routed(set: ResourceRecord, instance: InstanceRecord): Promise<RoutedInstance> {
    const model = await readModel(world, instance.scaleSetKey, instance.modelVersion);
    const { state } = instance;
    const stays = state.removal === undefined && set.deletingSince === undefined;
    const power = world.live.instance(instance.name)?.power;
    const running = power === 'running' && stays;
    const isAtRest = power === 'stopped' || power === 'frozen';
    const isWanted = state.power === 'running' && state.standby === undefined;
    const starting = isAtRest && isWanted && state.provisioned !== undefined && stays;
    const prepared =
      model !== undefined &&
      state.provisioned === model.provisionDigest &&
      extensionsDone({ state, extensions: model.extensions });
    return {
      name: instance.name,
      address: instance.address,
      running,
      starting,
      accepting: (running || starting) && prepared && state.draining === undefined && isWanted,
      heldBack: world.live.mounts(instance.name),
      backendPoolKeys: model?.profile.backendPoolIds.map((id) => keyOf(id)) ?? [],
      natPorts: state.natPorts,
      health: model === undefined ? undefined : healthProbeOf(set, model.profile.extensions),
    };
  }

  /** A rule knows people where it leads to the ssh or the notebooks of one pool, and its load balancer does not want it plain. */
  async function peopleOf(rule: RoutedRule, sets: readonly ResourceRecord[]): Promise<RoutedRule['people']> {
    if (rule.isPlain) return undefined;
    const [set, ...others] = sets.filter((one) =>
      readScaleSet(one.document).profile.backendPoolIds.some((id) => keyOf(id) === rule.backendPoolKey),
    );
    if (set === undefined || others.length > 0) return undefined;
    const service = await parts.serviceOf(set, rule.backendPort);
    if (service === 'ssh') return { protocol: 'ssh', pool: set.key };
    if (service === 'jupyterhub' && readPoolTags(set.document).signIn === 'gateway')
      return { protocol: 'http', pool: set.key };
    return undefined;
  }

  async function pass(signal: AbortSignal): Promise<number> {
    const sets = new Map(
      (await findResources(store.db, { type: 'Microsoft.Compute/virtualMachineScaleSets' })).map((set) => [
        set.key,
        set,
      ]),
    );
    const instances = await routedInstances(sets);
    const { rules: known, natPools } = await frontEnds(world);
    const rules: RoutedRule[] = [];
    for (const rule of known) rules.push({ ...rule, people: await peopleOf(rule, [...sets.values()]) });
    const services = parts.services();
    const listenPorts = await ports.forRoutes([
      ...services.flatMap((front) => (front.kind === 'carried' ? [front.id] : [])),
      ...rules.map((rule) => rule.id),
      ...natPools.flatMap((pool) =>
        instances.flatMap((instance) =>
          instance.natPorts[pool.key] === undefined ? [] : [`${pool.id}/${instance.natPorts[pool.key] ?? ''}`],
        ),
      ),
    ]);
    const ofPools = routingTable(rules, natPools, instances, (id) => listenPorts.get(id));
    const routes = [...ofPools, ...serviceRoutes(services, ofPools, (id) => listenPorts.get(id))];
    const health = healthProbes(instances);
    const text = JSON.stringify([routes, health]);
    const closed = services.flatMap((front) => (front.kind === 'closed' ? [front] : []));
    const links = new Map(
      [...world.live.engineInstances(), ...closed].flatMap(({ link }) =>
        link === undefined ? [] : [[link.interface, link]],
      ),
    );
    const redirects: Redirects = {
      ...{ routes, links: [...links.values()] },
      closed: closed.map(({ address }) => ({ address })),
      forwards: services.filter((front) => front.kind === 'forwarded'),
    };
    const wanted = JSON.stringify(redirects);
    if (wanted !== redirected || clock.now() - redirectedAt >= redirectsLookedAt) {
      // The kernel's rules go first when ports appear: the gateway opens them in a moment, and nobody is led astray.
      await parts.redirect(redirects, signal);
      redirected = wanted;
      redirectedAt = clock.now();
    }
    if (table === undefined || text !== published) {
      table = {
        revision: Math.max(clock.now(), (table?.revision ?? 0) + 1),
        routes,
        ...(health.length === 0 ? {} : { health }),
      };
      published = text;
      parts.publish(table);
    }
    // What was said of one before it was stopped is not said of it now.
    for (const { name, starting, running } of instances) {
      if (starting && !startingSince.has(name)) startingSince.set(name, table.revision);
      if (!starting && !running) startingSince.delete(name);
    }
    for (const name of startingSince.keys())
      if (!instances.some((one) => one.name === name)) startingSince.delete(name);
    const probed = Map.groupBy(
      [...routes, ...health].flatMap((one) => one.backends.map(({ instance }) => ({ instance, one }))),
      ({ instance }) => instance,
    );
    const rotation = new Map(
      instances.map((instance) => [
        instance.name,
        rotationOf(instance, probed.get(instance.name)?.map(({ one }) => one) ?? [], (probe, name) =>
          world.reports.healthy(probe, name, startingSince.get(name)),
        ),
      ]),
    );
    world.live.setRotation(rotation);
    return settledDelay;
  }

  return { pass, table: () => table };
}

/** Every rule and NAT pool that leads from a public address somewhere. */
export async function frontEnds(
  world: Pick<World, 'store'>,
): Promise<{ rules: RoutedRule[]; natPools: RoutedNatPool[] }> {
  const { store } = world;
  const addresses = new Map(
    (await store.db.selectFrom('public_addresses').selectAll().execute()).map((row) => [row.owner_key, row.address]),
  );
  const rules: RoutedRule[] = [];
  const natPools: RoutedNatPool[] = [];
  for (const balancer of await findResources(store.db, { type: 'Microsoft.Network/loadBalancers' })) {
    const model = readLoadBalancer(balancer.document);
    const addressOf = (frontEndId: string) => {
      const name = frontEndId.split('/').at(-1)?.toLowerCase();
      const frontEnd = model.frontEnds.find((one) => one.name.toLowerCase() === name);
      const address =
        frontEnd?.publicAddressId === undefined ? undefined : addresses.get(keyOf(frontEnd.publicAddressId));
      return address !== undefined && isIPv4(address) ? address : undefined;
    };
    for (const rule of model.rules) {
      const publicAddress = addressOf(rule.frontEndId);
      // UDP has no place in the gateway; a rule without a back end pool leads nowhere.
      if (publicAddress === undefined || rule.backendPoolId === undefined || rule.protocol === 'Udp') continue;
      const probe =
        rule.probeId === undefined
          ? undefined
          : model.probes.find((one) => one.name.toLowerCase() === rule.probeId?.split('/').at(-1)?.toLowerCase());
      rules.push({
        id: `${balancer.id}/loadBalancingRules/${rule.name}`,
        publicAddress,
        publicPort: rule.frontendPort,
        backendPort: rule.backendPort,
        backendPoolKey: keyOf(rule.backendPoolId),
        distribution: rule.distribution,
        idleTimeoutSeconds: rule.idleTimeoutMinutes * 60,
        probe: probe === undefined ? null : probeOf(balancer, probe),
        isPlain: dig(balancer.document, 'tags', 'poolhouse-routing') === 'connection',
      });
    }
    for (const pool of model.natPools) {
      const publicAddress = addressOf(pool.frontEndId);
      if (publicAddress === undefined) continue;
      const id = `${balancer.id}/inboundNatPools/${pool.name}`;
      natPools.push({
        id,
        key: keyOf(id),
        publicAddress,
        backendPort: pool.backendPort,
        idleTimeoutSeconds: pool.idleTimeoutMinutes * 60,
      });
    }
  }
  return { rules, natPools };
}

function healthProbeOf(set: ResourceRecord, extensions: readonly ExtensionModel[]): Probe | undefined {
  const extension = extensions.find(isApplicationHealth);
  if (extension === undefined) return undefined;
  const asked = readApplicationHealth(extension.settings);
  return {
    ...asked,
    id: `${set.id}/extensions/${extension.name}`,
    // An instance's certificate is its own: of an HTTPS probe the gateway asks that the port answers.
    protocol: asked.protocol === 'http' ? 'http' : 'tcp',
  };
}

function probeOf(balancer: ResourceRecord, probe: ProbeModel): Probe {
  return {
    id: `${balancer.id}/probes/${probe.name}`,
    // An instance's certificate is its own: of an HTTPS probe the gateway asks that the port answers.
    protocol: probe.protocol === 'Http' ? 'http' : 'tcp',
    port: probe.port,
    path: probe.path,
    intervalSeconds: probe.intervalSeconds,
    failures: probe.failures,
  };
}
