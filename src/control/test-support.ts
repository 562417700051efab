/** For tests: a store with one scale set and one instance of it, and as much of the world as loops of control ask for. */
import { keyOf, type ResourceId } from '../core/resource-id.ts';
import type { EngineInstance, ExecResult } from '../engines/engine.ts';
import { findInstances, allocateInstances, saveModel, updateInstanceState } from '../store/instance-records.ts';
import type { InstanceRecord } from '../store/instance-records.ts';
import type { InstanceState } from '../pool/instance-state.ts';
import { saveResource } from '../store/resource-records.ts';
import { openStore } from '../store/store.ts';
import { addUser } from '../store/users.ts';
import { createGatewayReports } from './gateway-reports.ts';
import { createLiveView } from './live-view.ts';
import { createWorkspaceMemory } from './workspace-memory.ts';
import type { World } from './world.ts';

export const scaleSetId =
  '/subscriptions/s/resourceGroups/lab/providers/Microsoft.Compute/virtualMachineScaleSets/pool' as ResourceId; // as formatResourceId makes it

const profile = {
  storageProfile: { imageReference: { publisher: 'p', offer: 'o', sku: 's', version: 'latest' } },
  osProfile: { computerNamePrefix: 'team', adminUsername: 'azure', adminPassword: 'Correct-Horse-7' },
  networkProfile: { networkInterfaceConfigurations: [{ name: 'nic' }] },
};

export interface TestPool {
  world: World;
  key: ReturnType<typeof keyOf>;
  now: { at: number };
  /** Programs that were run inside, and what they were told. */
  ran: { argv: readonly string[]; stdin: unknown }[];
  logged: { level: string; fields: Record<string, unknown>; message: string }[];
  instance: () => Promise<InstanceRecord>;
  change: (state: Partial<InstanceState>) => Promise<void>;
}

export interface TestPoolOptions {
  tags?: Record<string, string>;
  /** What the scale set is found to be. */
  found?: Parameters<typeof saveResource>[1]['found'];
  engine?: Partial<EngineInstance>;
  /** What a program inside answers. */
  exec?: (argv: readonly string[]) => Partial<ExecResult>;
}

/** People: ada (10000). The template's admin user is azure (20000). */
export async function openTestPool({
  tags = {},
  found = {},
  engine = {},
  exec,
}: TestPoolOptions = {}): Promise<TestPool> {
  const key = keyOf(scaleSetId);
  const store = await openStore(':memory:', { now: 0 });
  await saveResource(store.db, {
    ...{
      key,
      id: scaleSetId,
      typeKey: 'microsoft.compute/virtualmachinescalesets',
      groupKey: keyOf('/g'),
      parentKey: '',
    },
    document: { sku: { name: 'Standard_B1s', capacity: 1 }, tags, properties: { virtualMachineProfile: profile } },
    ...{ found, provisioningState: 'Succeeded', error: undefined, generation: 2, etag: 'e' },
    ...{ createdAt: 1, changedAt: 1, deletingSince: undefined },
  });
  await saveModel(store.db, key, { version: 'm', profile, sizeName: 'Standard_B1s' });
  await allocateInstances(store.db, {
    ...{ scaleSetKey: key, count: 1, nameStem: 'p', hostnamePrefix: 'team', modelVersion: 'm' },
    ...{ addresses: ['10.0.0.2'], taken: new Set<string>(), natPools: [], zones: [], now: 0 },
  });
  const settings = { password: undefined, groups: [], sshKeys: [], pools: ['lab/pool'], disabled: false, sudo: false };
  await addUser(store.db, 'ada', settings, 0);
  const instance = async () => {
    const [only] = await findInstances(store.db, key);
    if (only === undefined) throw new Error('the instance is gone');
    return only;
  };
  const now = { at: Date.UTC(2026, 10, 26, 12) };
  const ran: TestPool['ran'] = [];
  const logged: TestPool['logged'] = [];
  const live = createLiveView();
  const { name } = await instance();
  live.setEngine([{ name, power: 'running', made: true, attachments: [], ...engine } as unknown as EngineInstance]); // as much as is looked at
  const say = (level: string) => (fields: object, message: string) =>
    void logged.push({ level, fields: fields as Record<string, unknown>, message });
  let ids = 0;
  const world = {
    store,
    live,
    clock: { now: () => now.at },
    log: { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') },
    newId: () => String((ids += 1)),
    changed: () => undefined,
    reports: createGatewayReports(0),
    workspaces: createWorkspaceMemory(),
    engine: {
      capabilities: () => ({ real: true }),
      setPower: (_name: string, power: string) => {
        ran.push({ argv: ['setPower', power], stdin: undefined });
        return Promise.resolve();
      },
      exec: (_name: string, argv: readonly string[], { stdin }: { stdin?: string }) => {
        ran.push({ argv, stdin: JSON.parse(stdin ?? 'null') });
        return Promise.resolve({ exitCode: 0, stdout: '', stderr: '', ...exec?.(argv) });
      },
    },
  } as unknown as World; // what these tests are about asks for no more of it
  return {
    ...{ world, key, now, ran, logged, instance },
    async change(state) {
      await updateInstanceState(store.db, await instance(), (before) => ({ ...before, ...state }));
    },
  };
}
