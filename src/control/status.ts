/** The status document of `poolhouse status --json`: pools as people see them, put together from the store and the moment. */
import { monitorUrls, type Installation, type MonitorUrls } from '../core/installation.ts';
import { keyOf } from '../core/resource-id.ts';
import { tryParseResourceId } from '../core/resource-id.ts';
import type { Health } from '../monitor/health.ts';
import { readScaleSet } from '../providers/compute/scale-set-model.ts';
import { findInstances } from '../store/instance-records.ts';
import { findResources, nameOf } from '../store/resource-records.ts';
import { fullnessInWords, fullnessThresholds, percentUsed } from '../pool/judge-fullness.ts';
import type { ShareFullness } from './fullness-loop.ts';
import type { FileServerStatus } from './file-server-status.ts';
import { frontEnds } from './front-end-loop.ts';
import { shownMounts } from './folder-snapshot.ts';
import type { World } from './world.ts';

export interface StatusDocument {
  /** `reasons`: what is wrong with a control that serves, in words. */
  control: { url: string; healthy: boolean; pid: number; reasons?: string[] } & Partial<MonitorUrls>;
  gateway: { healthy: boolean; pid: number | null } & Partial<MonitorUrls>;
  /** All that there are: one that leaves was replaced, and carries what it has to its end. */
  gateways: { pid: number; phase: 'serving' | 'leaving'; since: string; connections: number; sessions: number }[];
  pools: PoolStatus[];
  /** What an operator should know though all works, in words. */
  notes?: string[];
  /** Undefined as long as nobody needs one. */
  fileServer?: FileServerStatus;
}

export interface PoolStatus {
  id: string;
  resourceGroup: string;
  name: string;
  capacity: number;
  provisioningState: string;
  frontEnds: {
    rule: string;
    protocol: string;
    address: string;
    port: number;
    backendPort: number;
    instancesInRotation: number;
  }[];
  instances: {
    instanceId: string;
    name: string;
    address: string;
    power: string;
    inRotation: boolean;
    draining: boolean;
    /** Prepared, and not counted in the capacity until it joins. */
    standby: boolean;
    sessions: number;
    /** In words, where it is not in rotation. */
    reason: string;
  }[];
  shares: { account: string; share: string; mountPoint: string }[];
}

/** A gateway that has not reported for this long is not healthy: it does so every five seconds. */
const reportAge = 12_000;

export async function statusDocument(
  world: World,
  installation: Pick<Installation, 'apiPort' | 'metricsPorts'>,
  health: Pick<Health, 'reasons'>,
  {
    fullness = [],
    fileServer,
  }: { fullness?: readonly ShareFullness[]; fileServer?: FileServerStatus | undefined } = {},
): Promise<StatusDocument> {
  const { store, live, reports } = world;
  const gateways = reports.present(world.clock.now(), reportAge);
  const gateway = gateways.find(({ phase }) => phase === 'serving');
  const { rules, natPools } = await frontEnds(world);
  const attachments = new Map(live.engineInstances().map((instance) => [instance.name, instance.attachments]));
  const pools: PoolStatus[] = [];
  for (const set of await findResources(store.db, { type: 'Microsoft.Compute/virtualMachineScaleSets' })) {
    const model = readScaleSet(set.document);
    const instances = (await findInstances(store.db, set.key)).map((instance) => {
      const now = live.instance(instance.name);
      const reason = instance.state.failure?.message ?? now?.reason ?? '';
      return {
        instanceId: String(instance.instanceId),
        name: instance.hostname,
        address: instance.address,
        power: now?.power ?? 'absent',
        inRotation: now?.inRotation ?? false,
        draining: instance.state.draining !== undefined,
        standby: instance.state.standby !== undefined,
        sessions: reports.sessionsOn(instance.name),
        reason: now?.inRotation === true ? '' : reason,
        engineName: instance.name,
        natPorts: instance.state.natPorts,
        mounts: shownMounts(instance, attachments.get(instance.name) ?? []),
      };
    });
    const inRotation = instances.filter((instance) => instance.inRotation).length;
    const backendPools = new Set<string>(model.profile.backendPoolIds.map((id) => keyOf(id)));
    const ownRules = rules.filter((rule) => backendPools.has(rule.backendPoolKey));
    const ownNatPools = new Set<string>(model.profile.natPoolIds.map((id) => keyOf(id)));
    const shares = new Map<string, { account: string; share: string; mountPoint: string }>();
    for (const instance of instances) {
      for (const { account, share, target } of instance.mounts)
        shares.set(`${account}/${share} ${target}`, { account, share, mountPoint: target });
    }
    pools.push({
      id: set.id,
      resourceGroup: tryParseResourceId(set.id)?.resourceGroup ?? '',
      name: nameOf(set.id),
      capacity: model.capacity,
      provisioningState: set.provisioningState,
      frontEnds: [
        ...ownRules.map((rule) => ({
          rule: rule.id.split('/').at(-1) ?? '',
          protocol: 'Tcp',
          address: rule.publicAddress,
          port: rule.publicPort,
          backendPort: rule.backendPort,
          instancesInRotation: inRotation,
        })),
        ...natPools
          .filter((pool) => ownNatPools.has(pool.key))
          .flatMap((pool) =>
            instances.flatMap((instance) => {
              const port = instance.natPorts[pool.key];
              if (port === undefined) return [];
              return [
                {
                  rule: `${pool.id.split('/').at(-1) ?? ''}.${instance.instanceId}`,
                  protocol: 'Tcp',
                  address: pool.publicAddress,
                  port,
                  backendPort: pool.backendPort,
                  instancesInRotation: instance.inRotation ? 1 : 0,
                },
              ];
            }),
          ),
      ],
      instances: instances.map(({ engineName: _engineName, natPorts: _natPorts, mounts: _mounts, ...shown }) => shown),
      shares: [...shares.values()],
    });
  }
  return {
    control: {
      url: `https://127.0.0.1:${installation.apiPort}`,
      healthy: true,
      pid: process.pid,
      reasons: [...health.reasons],
      ...monitorUrls(installation, 'control'),
    },
    gateways: gateways.map(({ pid, phase, startedAt, connections, sessions }) => ({
      pid,
      phase: phase === 'leaving' ? 'leaving' : 'serving',
      since: new Date(startedAt).toISOString(),
      connections: connections.reduce((sum, { open }) => sum + open, 0),
      sessions: sessions.length,
    })),
    gateway: { healthy: gateway !== undefined, pid: gateway?.pid ?? null, ...monitorUrls(installation, 'gateway') },
    pools,
    notes: fullnessNotes(fullness),
    ...(fileServer === undefined ? {} : { fileServer }),
  };
}

/** Of shares that are nearly full, or have workspaces that are. Pure. */
export function fullnessNotes(fullness: readonly ShareFullness[]): string[] {
  return fullness.flatMap((one) => {
    const { account, share, fullWorkspaces } = one;
    const isFull = percentUsed(one.usedBytes, one.quotaBytes) >= fullnessThresholds[0];
    return [
      ...(isFull ? [`The share ${account}/${share} is ${fullnessInWords(one)}.`] : []),
      ...(fullWorkspaces === 0
        ? []
        : [
            `${fullWorkspaces === 1 ? '1 workspace is' : `${fullWorkspaces} workspaces are`} full on ${account}/${share}: 'poolhouse shares show ${account}/${share}' tells whose.`,
          ]),
    ];
  });
}
