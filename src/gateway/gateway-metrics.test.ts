import { once } from 'node:events';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../core/system-clock.ts';
import type { Route } from '../link/routes.ts';
import type { ControlContact } from './control-link.ts';
import { createGatewayMetrics, type GatewayMetrics } from './gateway-metrics.ts';
import { createGateway, type Gateway } from './gateway.ts';
import { runProbe } from './probes/run-probe.ts';
import {
  awayControl,
  dial,
  freePort,
  meet,
  silentLog,
  startInstance,
  tcpRoute,
  until,
  type FakeInstance,
} from './test-support.ts';

const balancer = '/subscriptions/s/resourceGroups/team/providers/Microsoft.Network/loadBalancers/lb';
const contact: ControlContact = { up: true, answeredAt: 5_000, failure: undefined };

let registry: Registry;
let metrics: GatewayMetrics;
let gateway: Gateway;
let instances: FakeInstance[];
let revision = 0;

beforeEach(() => {
  instances = [];
  registry = new Registry();
  metrics = createGatewayMetrics(registry);
  gateway = createGateway({
    client: awayControl,
    id: 'g',
    pid: 1,
    clock: systemClock,
    log: silentLog,
    runProbe,
    observer: metrics,
    onChange: () => undefined,
    onSignInEnded: () => undefined,
    maxConnections: 2,
  });
});
afterEach(async () => {
  await gateway.close(0, AbortSignal.abort());
  for (const each of instances) await each.close();
});

async function instance(name: string): Promise<FakeInstance> {
  const started = await startInstance(name);
  instances.push(started);
  return started;
}

function apply(...routes: Route[]): void {
  gateway.apply({ revision: ++revision, routes });
}

/** The lines of one metric, without its name and the labels of the front end. */
async function read(name: string, rule = 'ssh'): Promise<Record<string, number>> {
  metrics.take(gateway.view(), gateway.traffic(), contact);
  const prefix = `resource_group="team",load_balancer="lb",rule="${rule}"`;
  const lines = (await registry.metrics()).split('\n').flatMap((line): [string, number][] => {
    const [, series, labels = '', value] = /^([a-z_]+)\{(.*)\} (.*)$/.exec(line) ?? [];
    if (series !== `poolhouse_gateway_${name}` || !labels.startsWith(prefix)) return [];
    return [[labels.slice(prefix.length + 1), Number(value)]];
  });
  return Object.fromEntries(lines);
}

describe('the metrics of a gateway', () => {
  it('count connections and bytes while they are carried, and after', async () => {
    const port = await freePort();
    apply(tcpRoute(port, [await instance('i-0')], { id: `${balancer}/loadBalancingRules/ssh` }));
    await until('it serves', async () => (await meet(port)) === 'i-0');
    await until('that is over', () => gateway.report().connections.length === 0);
    const client = dial(port);
    await client.greeting();
    await client.echo('12345');
    expect(await read('connections_open')).toEqual({ '': 1 });
    const open = await read('carried_bytes_total');
    expect(open['direction="to_instance"']).toBe(5);
    expect(open['direction="to_client"']).toBe(2 * 'i-0\n'.length + 5);
    client.socket.end();
    await once(client.socket, 'close');
    await until('it is over', () => gateway.report().connections.length === 0);
    expect(await read('connections_open')).toEqual({ '': 0 });
    expect(await read('carried_bytes_total')).toEqual(open);
    expect(await read('connections_total')).toEqual({ '': 2 });
    expect(await read('connect_duration_seconds_count')).toEqual({ '': 2 });
    expect(await read('instances')).toEqual({
      'state="in_rotation"': 1,
      'state="failing"': 0,
      'state="held_back"': 0,
    });
  });

  it('say why a connection was not carried', async () => {
    const [gone, port] = [await freePort(), await freePort()];
    const route = (changes: Partial<Route>) =>
      tcpRoute(port, [], { id: `${balancer}/loadBalancingRules/ssh`, ...changes });
    apply(route({}));
    await until('it is open', () => gateway.view().routes[0]?.isOpen === true);
    await meet(port);
    const there = { instance: 'i-0', address: '127.0.0.1', accepting: true };
    apply(route({ backends: [{ ...there, port: gone }] }));
    await meet(port);
    const backend = await instance('i-0');
    apply(route({ backends: [{ ...there, port: backend.port }] }));
    const held = [dial(port), dial(port)];
    for (const each of held) await each.greeting();
    await meet(port);
    expect(await read('connections_refused_total')).toEqual({
      'reason="no_room"': 1,
      'reason="no_instance"': 1,
      'reason="no_answer"': 1,
      'reason="error"': 0,
    });
    expect(await read('connect_failures_total')).toMatchObject({ 'reason="refused"': 1, 'reason="timeout"': 0 });
    for (const each of held) each.socket.destroy();
  });

  it('count probes', async () => {
    const backend = await instance('i-0');
    const probe = {
      id: `${balancer}/probes/up`,
      protocol: 'tcp',
      port: backend.port,
      path: '/',
      intervalSeconds: 5,
      failures: 1,
    } as const;
    apply(tcpRoute(await freePort(), [backend], { id: `${balancer}/loadBalancingRules/ssh`, probe }));
    await until('it is healthy', () => gateway.report().probes[0]?.healthy === true);
    metrics.take(gateway.view(), gateway.traffic(), contact);
    expect(await registry.getSingleMetricAsString('poolhouse_gateway_probes_total')).toContain(
      'poolhouse_gateway_probes_total{resource_group="team",load_balancer="lb",probe="up",result="success"} 1',
    );
  });

  it('have all ports of a NAT pool as one front end, whose sums never fall', async () => {
    const [a, b] = [await freePort(), await freePort()];
    const backend = await instance('i-0');
    const nat = (port: number) => tcpRoute(port, [backend], { id: `${balancer}/inboundNatPools/nat/${port}` });
    apply(nat(a), nat(b));
    for (const port of [a, b]) await until('it serves', async () => (await meet(port)) === 'i-0');
    await until('all is over', () => gateway.report().connections.length === 0);
    const before = await read('carried_bytes_total', 'nat');
    expect(before['direction="to_client"']).toBe(8);
    apply(nat(b));
    expect(await read('carried_bytes_total', 'nat')).toEqual(before);
    expect(await read('connections_total', 'nat')).toEqual({ '': 2 });
  });

  it('forget a front end that is gone, when its last connection has ended', async () => {
    const port = await freePort();
    apply(tcpRoute(port, [await instance('i-0')], { id: `${balancer}/loadBalancingRules/ssh` }));
    await until('it serves', async () => (await meet(port)) === 'i-0');
    const client = dial(port);
    await client.greeting();
    apply();
    expect(await read('connections_open')).toEqual({ '': 1 });
    client.socket.destroy();
    await until('it is over', () => gateway.report().connections.length === 0);
    for (const name of ['connections_open', 'connections_total', 'carried_bytes_total', 'connections_refused_total'])
      expect(await read(name)).toEqual({});
  });
});
