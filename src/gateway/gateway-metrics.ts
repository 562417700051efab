/**
 * The gateway's metrics, all of them, by the conventions of Prometheus. What happens is counted as it does; what is, is
 * read when somebody asks. Labels name front ends and probes only: no person, no address.
 * `docs/metrics.md` describes each, and a test compares.
 */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { sessionProtocols } from '../link/people.ts';
import type { Carried, Traffic } from './connection-ledger.ts';
import type { ControlContact } from './control-link.ts';
import { frontEndLabels, probeLabels, type FrontEndLabels, type ProbeLabels } from './front-end-labels.ts';
import { backendStates, type GatewayView } from './gateway.ts';
import { refusals, signInResults, type GatewayObserver } from './observer.ts';

export interface GatewayMetrics extends GatewayObserver {
  /** Takes over what there is at this moment. Front ends that are gone and carry nothing are forgotten. */
  take(view: GatewayView, traffic: ReadonlyMap<string, Traffic>, control: ControlContact): void;
}

const frontEnd = ['resource_group', 'load_balancer', 'rule'] as const;
const failureReasons = ['refused', 'timeout', 'unreachable', 'reset', 'other'] as const;
const probeResults = ['success', 'failure'] as const;
const second = 1_000;

export function createGatewayMetrics(registry: Registry): GatewayMetrics {
  const registers = [registry];
  const connections = new Counter({
    name: 'poolhouse_gateway_connections_total',
    help: 'Connections that were carried to an instance.',
    labelNames: frontEnd,
    registers,
  });
  const open = new Gauge({
    name: 'poolhouse_gateway_connections_open',
    help: 'Connections that are being carried.',
    labelNames: frontEnd,
    registers,
  });
  const limit = new Gauge({
    name: 'poolhouse_gateway_connections_limit',
    help: 'Connections that this gateway carries at most; one more is reset.',
    registers,
  });
  const refused = new Counter({
    name: 'poolhouse_gateway_connections_refused_total',
    help: 'Connections that were reset without having been carried.',
    labelNames: [...frontEnd, 'reason'],
    registers,
  });
  const bytes = new Counter({
    name: 'poolhouse_gateway_carried_bytes_total',
    help: 'Bytes carried, by the direction they went.',
    labelNames: [...frontEnd, 'direction'],
    registers,
  });
  const failures = new Counter({
    name: 'poolhouse_gateway_connect_failures_total',
    help: 'Instances that did not answer when a connection was to be carried to them; another one may have.',
    labelNames: [...frontEnd, 'reason'],
    registers,
  });
  const connecting = new Histogram({
    name: 'poolhouse_gateway_connect_duration_seconds',
    help: 'How long it took to connect to an instance, for connections that were carried.',
    labelNames: frontEnd,
    buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 3, 10],
    registers,
  });
  const probes = new Counter({
    name: 'poolhouse_gateway_probes_total',
    help: 'Probes of instances, by how they ended.',
    labelNames: ['resource_group', 'load_balancer', 'probe', 'result'],
    registers,
  });
  const signIns = new Counter({
    name: 'poolhouse_gateway_sign_ins_total',
    help: 'Attempts of people to sign in, by protocol and how they ended.',
    labelNames: ['protocol', 'result'],
    registers,
  });
  for (const protocol of sessionProtocols) for (const result of signInResults) signIns.inc({ protocol, result }, 0);
  const instances = new Gauge({
    name: 'poolhouse_gateway_instances',
    help: 'Instances behind a front end: in rotation, failing their probe, or held back by control.',
    labelNames: [...frontEnd, 'state'],
    registers,
  });
  const listening = new Gauge({
    name: 'poolhouse_gateway_front_ends',
    help: 'Ports of front ends, by whether the gateway could open them.',
    labelNames: ['state'],
    registers,
  });
  const revision = new Gauge({
    name: 'poolhouse_gateway_routing_table_revision',
    help: 'Revision of the routing table that is served; grows with every change. 0 before the first.',
    registers,
  });
  const applied = new Gauge({
    name: 'poolhouse_gateway_routing_table_applied_timestamp_seconds',
    help: 'When the routing table that is served was taken over; 0 before the first.',
    registers,
  });
  const controlUp = new Gauge({
    name: 'poolhouse_gateway_control_up',
    help: '1 while control answers this gateway.',
    registers,
  });
  const controlAnswered = new Gauge({
    name: 'poolhouse_gateway_control_answer_timestamp_seconds',
    help: 'When control answered this gateway last; 0 where it never has.',
    registers,
  });

  /** What has series, so that these go when it goes; and what ended connections have carried, a sum that only grows. */
  const frontEnds = new Map<string, { labels: FrontEndLabels; ended: Carried }>();
  const probed = new Map<string, ProbeLabels>();

  function frontEndOf(routeId: string): { labels: FrontEndLabels; ended: Carried } {
    const labels = frontEndLabels(routeId);
    const name = nameOf(labels);
    const known = frontEnds.get(name);
    if (known !== undefined) return known;
    const one = { labels, ended: { toInstance: 0, toClient: 0 } };
    frontEnds.set(name, one);
    // A series that is there before the first event: else that event is no increase.
    connections.inc(labels, 0);
    connecting.zero(labels);
    for (const reason of refusals) refused.inc({ ...labels, reason }, 0);
    for (const reason of failureReasons) failures.inc({ ...labels, reason }, 0);
    return one;
  }

  function probeOf(probeId: string): ProbeLabels {
    const labels = probeLabels(probeId);
    const name = nameOf(labels);
    if (!probed.has(name)) for (const result of probeResults) probes.inc({ ...labels, result }, 0);
    probed.set(name, labels);
    return labels;
  }

  function forgetAllBut(present: ReadonlySet<string>): void {
    for (const [name, { labels }] of frontEnds) {
      if (present.has(name)) continue;
      frontEnds.delete(name);
      for (const metric of [connections, connecting]) metric.remove(labels);
      for (const reason of refusals) refused.remove({ ...labels, reason });
      for (const reason of failureReasons) failures.remove({ ...labels, reason });
    }
    for (const [name, labels] of probed) {
      if (present.has(name)) continue;
      probed.delete(name);
      for (const result of probeResults) probes.remove({ ...labels, result });
    }
  }

  return {
    carried(route, connectMs) {
      const { labels } = frontEndOf(route.id);
      connections.inc(labels);
      connecting.observe(labels, connectMs / second);
    },
    ended(route, { toInstance, toClient }) {
      const { ended } = frontEndOf(route.id);
      ended.toInstance += toInstance;
      ended.toClient += toClient;
    },
    refused(route, reason) {
      refused.inc({ ...frontEndOf(route.id).labels, reason });
    },
    connectFailed(route, error) {
      failures.inc({ ...frontEndOf(route.id).labels, reason: failureReason(error) });
    },
    probed(probe, ok) {
      probes.inc({ ...probeOf(probe.id), result: ok ? 'success' : 'failure' });
    },
    signInEnded(protocol, result) {
      signIns.inc({ protocol, result });
    },
    take(view, traffic, control) {
      const present = new Set<string>();
      for (const routeId of [...view.routes.map(({ route }) => route.id), ...traffic.keys()])
        present.add(nameOf(frontEndOf(routeId).labels));
      for (const { route } of view.routes) if (route.probe !== null) present.add(nameOf(probeOf(route.probe.id)));
      forgetAllBut(present);

      for (const metric of [open, bytes, instances]) metric.reset();
      const carry = (labels: FrontEndLabels, { toInstance, toClient }: Carried) => {
        bytes.inc({ ...labels, direction: 'to_instance' }, toInstance);
        bytes.inc({ ...labels, direction: 'to_client' }, toClient);
      };
      for (const { labels, ended } of frontEnds.values()) {
        open.set(labels, 0);
        carry(labels, ended);
        for (const state of backendStates) instances.set({ ...labels, state }, 0);
      }
      for (const { route, instances: counts } of view.routes)
        for (const state of backendStates) instances.inc({ ...frontEndLabels(route.id), state }, counts[state]);
      for (const [routeId, carried] of traffic) {
        open.inc(frontEndLabels(routeId), carried.open);
        carry(frontEndLabels(routeId), carried);
      }
      const opened = view.routes.filter((one) => one.isOpen).length;
      listening.set({ state: 'open' }, opened);
      listening.set({ state: 'closed' }, view.routes.length - opened);
      limit.set(view.maxConnections);
      revision.set(view.table?.revision ?? 0);
      applied.set((view.table?.appliedAt ?? 0) / second);
      controlUp.set(control.up ? 1 : 0);
      controlAnswered.set((control.answeredAt ?? 0) / second);
    },
  };
}

function nameOf(labels: FrontEndLabels | ProbeLabels): string {
  return JSON.stringify(labels);
}

function failureReason(error: Error): (typeof failureReasons)[number] {
  const code = 'code' in error ? error.code : undefined;
  if (code === 'ECONNREFUSED') return 'refused';
  if (code === 'ECONNRESET') return 'reset';
  if (code === 'EHOSTUNREACH' || code === 'ENETUNREACH') return 'unreachable';
  return code === 'ETIMEDOUT' ? 'timeout' : 'other';
}
