/**
 * Control's metrics, all of them, by the conventions of Prometheus. What happens is counted as it does; what is, is
 * read when somebody asks. Labels come from lists of ours, or name pools and shares: no person, no address, no secret.
 * `docs/metrics.md` describes each, and a test compares.
 */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { RequestEnd } from '../arm/server.ts';
import type { EpochMillis } from '../core/time.ts';
import { sessionProtocols } from '../link/people.ts';
import { instanceConditions } from '../pool/instance-condition.ts';
import type { ShareFullness } from './fullness-loop.ts';
import type { LoopFacts } from './loop-watch.ts';
import { engineOutcomes, type EngineMethod, type EngineOutcome } from './observe-engine.ts';
import {
  endStates,
  observedSteps,
  outcomes,
  placementResults,
  type Observer,
  type PlacementResult,
} from './observer.ts';
import type { PoolFacts } from './pool-facts.ts';

/** What is at this moment. What cannot be read is left out, and its metrics with it. */
export interface ControlMoment {
  loops: readonly LoopFacts[];
  pools?: readonly PoolFacts[];
  openOperations?: readonly { type: string; open: number; oldestStartedAt: EpochMillis }[];
  shares?: readonly ShareFullness[];
  hostMemoryBytes: number;
  storeBytes?: number;
  fileSystem?: { freeBytes: number; sizeBytes: number };
  certificates: readonly { certificate: string; expiresAt: EpochMillis }[];
  gatewaySeenAt: EpochMillis | undefined;
}

export interface ControlMetrics extends Observer {
  requestEnded(request: RequestEnd): void;
  engineCalled(method: EngineMethod, outcome: EngineOutcome, milliseconds: number): void;
  fetchEnded(result: FetchResult, milliseconds: number): void;
  imageBuilt(outcome: 'succeeded' | 'failed', milliseconds: number): void;
  take(moment: ControlMoment): void;
}

const fetchResults = ['succeeded', 'refused', 'failed'] as const;
type FetchResult = (typeof fetchResults)[number];

const second = 1_000;
const quick = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const slow = [0.01, 0.05, 0.25, 1, 2.5, 5, 10, 30, 60, 300, 1_800];

export function createControlMetrics(registry: Registry): ControlMetrics {
  const registers = [registry];
  const requests = new Counter({
    name: 'poolhouse_arm_requests_total',
    help: 'Requests to the ARM API, by method, kind of path and status.',
    labelNames: ['method', 'route', 'status'],
    registers,
  });
  const requestSeconds = new Histogram({
    name: 'poolhouse_arm_request_duration_seconds',
    help: 'How long requests to the ARM API took.',
    labelNames: ['method', 'route'],
    buckets: quick,
    registers,
  });
  const operations = new Counter({
    name: 'poolhouse_operations_total',
    help: 'Operations that have ended, deployments among them, by type of resource, action and end state.',
    labelNames: ['type', 'action', 'state'],
    registers,
  });
  const operationSeconds = new Histogram({
    name: 'poolhouse_operation_duration_seconds',
    help: 'From the request to the end of an operation.',
    labelNames: ['type', 'action'],
    buckets: slow,
    registers,
  });
  const openOperations = new Gauge({
    name: 'poolhouse_operations_open',
    help: 'Operations that have not ended yet.',
    labelNames: ['type'],
    registers,
  });
  const oldestOperation = new Gauge({
    name: 'poolhouse_operations_oldest_start_timestamp_seconds',
    help: 'When the oldest operation that has not ended was begun.',
    labelNames: ['type'],
    registers,
  });
  const passes = new Histogram({
    name: 'poolhouse_loop_pass_duration_seconds',
    help: 'How long the passes of a loop took, failed ones too.',
    labelNames: ['loop'],
    buckets: quick,
    registers,
  });
  const passFailures = new Counter({
    name: 'poolhouse_loop_pass_failures_total',
    help: 'Passes of a loop that failed; each is tried again.',
    labelNames: ['loop'],
    registers,
  });
  const lastPass = new Gauge({
    name: 'poolhouse_loop_last_success_timestamp_seconds',
    help: 'When a loop made its last whole pass; 0 before the first.',
    labelNames: ['loop'],
    registers,
  });
  const passDue = new Gauge({
    name: 'poolhouse_loop_due_timestamp_seconds',
    help: 'When the next pass of a loop begins at the latest.',
    labelNames: ['loop'],
    registers,
  });
  const steps = new Counter({
    name: 'poolhouse_steps_total',
    help: 'Steps of scale sets, by how they ended.',
    labelNames: ['step', 'result'],
    registers,
  });
  const stepSeconds = new Histogram({
    name: 'poolhouse_step_duration_seconds',
    help: 'How long steps of scale sets took.',
    labelNames: ['step'],
    buckets: slow,
    registers,
  });
  const engineCalls = new Counter({
    name: 'poolhouse_engine_calls_total',
    help: 'Calls to the engine, by method and outcome.',
    labelNames: ['method', 'outcome'],
    registers,
  });
  const engineSeconds = new Histogram({
    name: 'poolhouse_engine_call_duration_seconds',
    help: 'How long calls to the engine took; exec takes as long as the program that it runs.',
    labelNames: ['method'],
    buckets: slow,
    registers,
  });
  const mounts = new Counter({
    name: 'poolhouse_mounts_total',
    help: 'Mounts of shares that instances asked for, by the answer.',
    labelNames: ['result'],
    registers,
  });
  const fetches = new Counter({
    name: 'poolhouse_fetches_total',
    help: 'Downloads of templates and scripts, by how they ended.',
    labelNames: ['result'],
    registers,
  });
  const fetchSeconds = new Histogram({
    name: 'poolhouse_fetch_duration_seconds',
    help: 'How long downloads took.',
    buckets: quick,
    registers,
  });
  const images = new Counter({
    name: 'poolhouse_image_builds_total',
    help: 'Images that were built, or found built, by how that ended.',
    labelNames: ['result'],
    registers,
  });
  const imageSeconds = new Histogram({
    name: 'poolhouse_image_build_duration_seconds',
    help: 'How long building an image took.',
    buckets: [1, 10, 30, 60, 120, 300, 600, 1_800],
    registers,
  });
  const capacity = new Gauge({
    name: 'poolhouse_pool_capacity',
    help: 'Instances that a pool is asked to have.',
    labelNames: ['resource_group', 'pool'],
    registers,
  });
  const instances = new Gauge({
    name: 'poolhouse_pool_instances',
    help: 'Instances of a pool; each is in one state.',
    labelNames: ['resource_group', 'pool', 'state'],
    registers,
  });
  const sessions = new Gauge({
    name: 'poolhouse_pool_sessions',
    help: 'Connections to the instances of a pool, as the gateway reported last.',
    labelNames: ['resource_group', 'pool'],
    registers,
  });
  const peopleSessions = new Gauge({
    name: 'poolhouse_pool_people_sessions',
    help: 'Sessions of people in a pool, by protocol.',
    labelNames: ['resource_group', 'pool', 'protocol'],
    registers,
  });
  const waiting = new Gauge({
    name: 'poolhouse_pool_people_waiting',
    help: 'People who wait for a place on an instance of a pool.',
    labelNames: ['resource_group', 'pool'],
    registers,
  });
  const users = new Gauge({
    name: 'poolhouse_pool_instance_users',
    help: 'People who are bound to an instance: by a session, by what they run there, or by a place just given.',
    labelNames: ['resource_group', 'pool', 'pool_instance'],
    registers,
  });
  const placements = new Counter({
    name: 'poolhouse_placements_total',
    help: 'People who wanted a place in a pool, by how that ended.',
    labelNames: ['resource_group', 'pool', 'result'],
    registers,
  });
  const placementSeconds = new Histogram({
    name: 'poolhouse_placement_duration_seconds',
    help: 'How long people waited until they were placed.',
    buckets: slow,
    registers,
  });
  const poolFailed = new Gauge({
    name: 'poolhouse_pool_failed',
    help: '1 where the last change of a pool failed.',
    labelNames: ['resource_group', 'pool'],
    registers,
  });
  const poolMemory = new Gauge({
    name: 'poolhouse_pool_memory_bytes',
    help: 'Memory that the capacity of a pool promises to its instances.',
    labelNames: ['resource_group', 'pool'],
    registers,
  });
  const shareLabels = ['account', 'share'] as const;
  const shareUsed = new Gauge({
    name: 'poolhouse_share_used_bytes',
    help: 'What the files of a share use.',
    labelNames: shareLabels,
    registers,
  });
  const shareQuota = new Gauge({
    name: 'poolhouse_share_quota_bytes',
    help: 'What the files of a share may use.',
    labelNames: shareLabels,
    registers,
  });
  const shareSnapshots = new Gauge({
    name: 'poolhouse_share_snapshot_bytes',
    help: 'What snapshots of a share keep beside what it holds now.',
    labelNames: shareLabels,
    registers,
  });
  const shareWorkspaces = new Gauge({
    name: 'poolhouse_share_workspaces',
    help: 'Workspaces with a quota of their own on a share.',
    labelNames: shareLabels,
    registers,
  });
  const fullWorkspaces = new Gauge({
    name: 'poolhouse_share_full_workspaces',
    help: 'Workspaces on a share that use 95 % of their quota or more.',
    labelNames: shareLabels,
    registers,
  });
  const hostMemory = new Gauge({
    name: 'poolhouse_host_memory_bytes',
    help: 'Memory that may be promised to instances altogether.',
    registers,
  });
  const certificates = new Gauge({
    name: 'poolhouse_certificate_expiry_timestamp_seconds',
    help: 'When a certificate of the ARM API ends.',
    labelNames: ['certificate'],
    registers,
  });
  const store = new Gauge({
    name: 'poolhouse_store_size_bytes',
    help: 'Size of the store with what is beside it.',
    labelNames: [],
    registers,
  });
  const free = new Gauge({
    name: 'poolhouse_home_free_bytes',
    help: 'Room that is left on the file system of the installation.',
    labelNames: [],
    registers,
  });
  const size = new Gauge({
    name: 'poolhouse_home_size_bytes',
    help: 'Size of the file system of the installation.',
    labelNames: [],
    registers,
  });
  const gatewaySeen = new Gauge({
    name: 'poolhouse_control_gateway_report_timestamp_seconds',
    help: 'When a gateway reported to control last; 0 before the first.',
    registers,
  });

  // A series that is there before the first event: else that event is no increase.
  for (const result of ['mounted', 'refused', 'not_ours'] as const) mounts.inc({ result }, 0);
  for (const result of fetchResults) fetches.inc({ result }, 0);
  for (const result of ['succeeded', 'failed'] as const) images.inc({ result }, 0);
  for (const step of observedSteps) for (const result of outcomes) steps.inc({ step, result }, 0);
  for (const type of ['microsoft.resources/deployments', 'microsoft.compute/virtualmachinescalesets'])
    for (const state of endStates) operations.inc({ type, action: 'put', state }, 0);
  /** By pool; a pool that is gone keeps nothing. */
  const placed = new Map<string, Record<PlacementResult, number>>();
  const calledMethods = new Set<EngineMethod>();

  return {
    requestEnded({ method, route, status, milliseconds }) {
      requests.inc({ method, route, status });
      requestSeconds.observe({ method, route }, milliseconds / second);
    },
    passEnded(loop, outcome, milliseconds) {
      if (outcome === 'stopped') return;
      passes.observe({ loop }, milliseconds / second);
      passFailures.inc({ loop }, outcome === 'failed' ? 1 : 0);
    },
    stepEnded(step, result, milliseconds) {
      steps.inc({ step, result });
      stepSeconds.observe({ step }, milliseconds / second);
    },
    operationEnded({ type, action, state, milliseconds }) {
      operations.inc({ type, action, state });
      operationSeconds.observe({ type, action }, milliseconds / second);
    },
    engineCalled(method, outcome, milliseconds) {
      if (!calledMethods.has(method)) for (const each of engineOutcomes) engineCalls.inc({ method, outcome: each }, 0);
      calledMethods.add(method);
      engineCalls.inc({ method, outcome });
      engineSeconds.observe({ method }, milliseconds / second);
    },
    mountEnded(result) {
      mounts.inc({ result });
    },
    placementEnded(pool, result, milliseconds) {
      const counts = placed.get(pool) ?? { placed: 0, refused: 0, left: 0 };
      counts[result] += 1;
      placed.set(pool, counts);
      if (result === 'placed') placementSeconds.observe(milliseconds / second);
    },
    fetchEnded(result, milliseconds) {
      fetches.inc({ result });
      fetchSeconds.observe(milliseconds / second);
    },
    imageBuilt(result, milliseconds) {
      images.inc({ result });
      imageSeconds.observe(milliseconds / second);
    },
    take(moment) {
      const { loops, pools = [], openOperations: open = [], fileSystem, storeBytes } = moment;
      for (const gauge of [capacity, instances, sessions, poolFailed, poolMemory, openOperations, oldestOperation])
        gauge.reset();
      for (const gauge of [shareUsed, shareQuota, shareSnapshots, shareWorkspaces, fullWorkspaces]) gauge.reset();
      for (const { account, share, ...facts } of moment.shares ?? []) {
        const labels = { account, share };
        shareUsed.set(labels, facts.usedBytes);
        shareQuota.set(labels, facts.quotaBytes);
        shareSnapshots.set(labels, facts.snapshotBytes);
        shareWorkspaces.set(labels, facts.workspaces);
        fullWorkspaces.set(labels, facts.fullWorkspaces);
      }
      for (const metric of [peopleSessions, waiting, users, placements]) metric.reset();
      if (moment.pools !== undefined)
        for (const key of placed.keys()) if (!pools.some((one) => one.key === key)) placed.delete(key);
      for (const { name: loop, succeededAt, dueAt } of loops) {
        lastPass.set({ loop }, (succeededAt ?? 0) / second);
        passDue.set({ loop }, dueAt / second);
      }
      for (const { resourceGroup: resource_group, pool, ...facts } of pools) {
        const labels = { resource_group, pool };
        capacity.set(labels, facts.capacity);
        sessions.set(labels, facts.sessions);
        waiting.set(labels, facts.waiting);
        for (const protocol of sessionProtocols)
          peopleSessions.set({ ...labels, protocol }, facts.peopleSessions[protocol]);
        for (const [pool_instance, count] of facts.users) users.set({ ...labels, pool_instance }, count);
        for (const result of placementResults)
          placements.inc({ ...labels, result }, placed.get(facts.key)?.[result] ?? 0);
        poolFailed.set(labels, facts.failed ? 1 : 0);
        poolMemory.set(labels, facts.memoryBytes);
        for (const state of instanceConditions) instances.set({ ...labels, state }, facts.instances[state]);
      }
      for (const { type, open: count, oldestStartedAt } of open) {
        openOperations.set({ type }, count);
        oldestOperation.set({ type }, oldestStartedAt / second);
      }
      for (const { certificate, expiresAt } of moment.certificates)
        certificates.set({ certificate }, expiresAt / second);
      hostMemory.set(moment.hostMemoryBytes);
      setOrRemove(store, storeBytes);
      setOrRemove(free, fileSystem?.freeBytes);
      setOrRemove(size, fileSystem?.sizeBytes);
      gatewaySeen.set((moment.gatewaySeenAt ?? 0) / second);
    },
  };
}

function setOrRemove(gauge: Gauge, value: number | undefined): void {
  if (value === undefined) gauge.remove();
  else gauge.set(value);
}
