/** A scale set and its instances at one moment, as the plan looks at them: what is asked for beside what was found. */
import type { EpochMillis } from '../core/time.ts';
import type { ScaleInRule } from './choose-scale-in.ts';
import type { InstanceState, StandbyPower } from './instance-state.ts';
import type { Power } from './power.ts';

export interface AskedExtension {
  name: string;
  version: string;
  provisionAfter: readonly string[];
}

export interface InstanceSnapshot {
  instanceId: number;
  state: InstanceState;
  /** What the engine has; `absent` where it has nothing of that name. */
  power: Power | 'absent';
  /** What its model wants to have rendered and run. */
  provision: string;
  /** People who are to have accounts there: a digest, '' for nobody. */
  people: string;
  extensions: readonly AskedExtension[];
  /** What it lacks of the latest model: what can be done while it runs, or what only a new machine has. */
  behind: 'nothing' | 'settings' | 'machine';
  /** Open connections through front ends. */
  connections: number;
  /** People bound to it, by a session or by what they run; undefined while nobody can know that. */
  users: number | undefined;
  /** Those of them who are not idle, and connections of whom nobody knows; undefined while nobody can know that. */
  active: number | undefined;
  /** It receives new users. */
  inRotation: boolean;
  /** Its probes succeed, or it has none. */
  healthy: boolean;
  /** Since when its probes fail while it runs and is prepared; undefined where they do not. */
  unhealthySince: EpochMillis | undefined;
  /** A step of it is under way. */
  busy: boolean;
}

export interface ScaleSetSnapshot {
  capacity: number;
  /** The capacity is a rule's and no operator's: instances where somebody works are not taken for it. */
  automatic: boolean;
  generation: number;
  deleting: boolean;
  drainMilliseconds: number;
  /** How long an instance is told before it is terminated, Azure's terminate notification; 0: not at all. */
  noticeMilliseconds: number;
  scaleInRule: ScaleInRule;
  standby: StandbyAsked;
  upgrade: UpgradePolicy;
  /** Undefined: nothing is repaired by itself. */
  repairs: RepairsPolicy | undefined;
  /** How many of its instances others need the memory of; it is preemptible then. */
  evictions: number;
  /** What becomes of an instance that is evicted. */
  evictionPolicy: 'Deallocate' | 'Delete';
  /** The image of the latest model stands ready in the engine. */
  imageReady: boolean;
  /** `prepareImage` is under way. */
  imageBusy: boolean;
  /** When a failed preparation of the image may be tried again; undefined where none failed. */
  imageRetryAt: EpochMillis | undefined;
  instances: readonly InstanceSnapshot[];
}

/** Prepared instances beside the capacity. */
export interface StandbyAsked {
  count: number;
  as: StandbyPower;
  /** How many the host's memory allows beside all that is promised. */
  room: number;
}

export interface RepairsPolicy {
  action: 'Replace' | 'Reimage' | 'Restart';
  graceMilliseconds: number;
}

/** Azure's `rollingUpgradePolicy` has percentages of the instances, and a pause between two batches. */
export interface UpgradePolicy {
  mode: 'Manual' | 'Automatic' | 'Rolling';
  maxBatchPercent: number;
  maxUnhealthyPercent: number;
  maxUnhealthyUpgradedPercent: number;
  pauseMilliseconds: number;
  /** The upgrade to the latest model was cancelled. */
  canceled: boolean;
}

/** Everything that its model wants has been done on this instance. */
export function extensionsDone(instance: Pick<InstanceSnapshot, 'state' | 'extensions'>): boolean {
  return instance.extensions.every((extension) => {
    const ran = instance.state.extensions[extension.name];
    return ran?.version === extension.version && ran.status === 'succeeded';
  });
}

/** It was prepared as its own model wants it: accounts and scripts are done. */
export function isPrepared(instance: Pick<InstanceSnapshot, 'state' | 'provision' | 'extensions'>): boolean {
  return instance.state.provisioned === instance.provision && extensionsDone(instance);
}

/** When its last preparation has ended; 0 where it was never prepared. */
export function preparedAt({ state }: Pick<InstanceSnapshot, 'state'>): EpochMillis {
  return Math.max(
    state.provisionedAt ?? 0,
    ...Object.values(state.extensions).map((extension) => extension.endedAt ?? 0),
  );
}

/** How long after it was prepared an instance may stay out of rotation before it is taken for ready all the same. */
export const probeGraceMilliseconds = 30_000;

/** It serves, or had its time to begin. */
export function isReady(
  instance: Pick<InstanceSnapshot, 'state' | 'power' | 'provision' | 'extensions' | 'healthy'>,
  now: EpochMillis,
): boolean {
  if (instance.power !== 'running' || !isPrepared(instance)) return false;
  return instance.healthy || now - preparedAt(instance) >= probeGraceMilliseconds;
}

/** Nobody is there, and that is known. */
export function isEmpty({ connections, users }: Pick<InstanceSnapshot, 'connections' | 'users'>): boolean {
  return connections === 0 && users === 0;
}

/** People may have something on its disk that has not been brought away since it drains. */
export function mayHoldWork({ state, power }: Pick<InstanceSnapshot, 'state' | 'power'>): boolean {
  return state.rescuedAt === undefined && state.provisioned !== undefined && power !== 'absent';
}
