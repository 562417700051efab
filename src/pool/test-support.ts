/** Scale sets for tests: one that is well, and its instances, of which a test says what is different. */
import { newInstanceState, type ExtensionState, type InstanceState } from './instance-state.ts';
import type { AskedExtension, InstanceSnapshot, ScaleSetSnapshot } from './scale-set-snapshot.ts';

export const now = 1_000_000;
export const script: AskedExtension = { name: 'files', version: 'v1', provisionAfter: [] };

/** How the script of an instance went. */
export const ran = (status: ExtensionState['status'], over: Partial<ExtensionState> = {}): ExtensionState => ({
  version: 'v1',
  status,
  message: 'said',
  startedAt: now - 5_000,
  endedAt: now - 4_000,
  generation: 1,
  ...over,
});

/** An instance that is prepared. */
export const ready: InstanceState = {
  ...newInstanceState(),
  created: true,
  provisioned: 'p',
  provisionedAt: now - 9_000,
  extensions: { files: ran('succeeded') },
};

/** One that runs, in rotation, with nobody on it. */
export function instance(instanceId: number, over: Partial<InstanceSnapshot> = {}): InstanceSnapshot {
  const people = { connections: 0, users: 0, ...over };
  return {
    instanceId,
    state: ready,
    power: 'running',
    provision: 'p',
    people: '',
    extensions: [script],
    behind: 'nothing',
    active: people.users === undefined ? undefined : Math.max(people.users, people.connections),
    inRotation: true,
    healthy: true,
    unhealthySince: undefined,
    busy: false,
    ...people,
  };
}

/** As many as are asked for, by an operator, and nothing else asked for. */
export function snapshot(
  instances: readonly InstanceSnapshot[],
  over: Partial<ScaleSetSnapshot> = {},
): ScaleSetSnapshot {
  return {
    capacity: instances.length,
    automatic: false,
    generation: 1,
    deleting: false,
    drainMilliseconds: 1_800_000,
    noticeMilliseconds: 0,
    scaleInRule: 'Default',
    standby: { count: 0, as: 'stopped', room: 100 },
    upgrade: {
      mode: 'Manual',
      maxBatchPercent: 20,
      maxUnhealthyPercent: 20,
      maxUnhealthyUpgradedPercent: 20,
      pauseMilliseconds: 0,
      canceled: false,
    },
    repairs: undefined,
    evictions: 0,
    evictionPolicy: 'Deallocate',
    imageReady: true,
    imageBusy: false,
    imageRetryAt: undefined,
    instances,
    ...over,
  };
}
