/** What we know of one instance beyond what the engine says. Kept with the instance in the store. */
import type { EpochMillis } from '../core/time.ts';

export interface ExtensionState {
  /** What was run: the extension's settings as the model had them, as a digest. */
  version: string;
  status: 'running' | 'succeeded' | 'failed';
  exitCode?: number;
  /** It was ended because it ran too long. */
  timedOut?: true;
  /** For the instance view: output, without secrets. */
  message: string;
  startedAt: EpochMillis;
  endedAt?: EpochMillis;
  /** The scale set's generation that it ran for: a later PUT tries a failed one again. */
  generation: number;
}

/**
 * Why an instance drains. What drains for `scale-in` stays when it is wanted again; `operator` and `upgrade` have no end of
 * their own; what was to be deleted (`delete`), or was taken by somebody who pays more (`eviction`), does not come back.
 */
export type DrainCause = 'scale-in' | 'upgrade' | 'repair' | 'operator' | 'delete' | 'eviction';

export interface Draining {
  since: EpochMillis;
  /** When it is over, whoever is there; undefined: as long as anybody is there. */
  until?: EpochMillis;
  /** Undefined: `scale-in`. */
  by?: DrainCause;
}

/** How a standby instance waits. */
export type StandbyPower = 'stopped' | 'frozen';

/** A whole share that a script in the instance has mounted. */
export interface AskedMount {
  account: string;
  share: string;
  /** Absolute path inside. */
  target: string;
  /** What is shown there: all of it, or in `notebooks` and `groups` beneath it the folders of those who are there. */
  shown: 'share' | 'workspaces';
}

export interface InstanceState {
  /** Asked for: an instance that was switched off stays off. */
  power: 'running' | 'stopped';
  /** True once the engine has had it: absent now means lost. */
  created: boolean;
  /** What was rendered into it (accounts, keys), as a digest; undefined until then. */
  provisioned?: string;
  provisionedAt?: EpochMillis;
  /** Its ssh host keys as `type base64`, read through the engine: who connects there takes no other. */
  hostKeys?: string[];
  /** People whose accounts were rendered into it, as a digest; undefined: of nobody. */
  people?: string;
  extensions: Record<string, ExtensionState>;
  /** Shares that were mounted there, in the order in which they were first. */
  mounts?: AskedMount[];
  /** People whose workspaces were shown there one by one: their files may lie on its disk. */
  visitors?: string[];
  /** No new users. */
  draining?: Draining;
  /** A prepared instance that is not counted in the capacity, and waits to join. */
  standby?: { since: EpochMillis; as: StandbyPower };
  /** To be stopped and started once. */
  restart?: { since: EpochMillis };
  /** To be made anew from its own model, or the latest one, at once, whoever is there. */
  remake?: { since: EpochMillis; reason: string };
  /** Somebody has asked for the latest model. */
  upgrade?: { since: EpochMillis };
  /** When it was given the latest model last. */
  upgradedAt?: EpochMillis;
  /** When it was repaired last: it has time to become well. */
  repairedAt?: EpochMillis;
  /** What people had changed on its own disk is in their workspaces: since then it has only drained. */
  rescuedAt?: EpochMillis;
  /** To be removed at once, whoever is there: deleted by name, or with its scale set. */
  removal?: { since: EpochMillis; reason: string };
  protectFromScaleIn: boolean;
  protectFromScaleSetActions: boolean;
  /** Where it was made to be; absent where the scale set knows no zones. */
  zone?: string;
  /** Front end port by inbound NAT pool's key. */
  natPorts: Record<string, number>;
  /** Why the last step failed, and when it may be tried again. */
  failure?: StepFailure;
}

export interface StepFailure {
  step: string;
  code: string;
  message: string;
  since: EpochMillis;
  attempts: number;
  retryAt: EpochMillis;
  /** The scale set's generation that it was tried for: a later PUT tries it again at once. */
  generation?: number;
}

/** Why it drains; undefined where it does not. */
export function drainCause({ draining }: Pick<InstanceState, 'draining'>): DrainCause | undefined {
  return draining === undefined ? undefined : (draining.by ?? 'scale-in');
}

/** It drains from now on; what was rescued before has nothing to do with it. */
export function beginDraining({ rescuedAt: _before, ...state }: InstanceState, draining: Draining): InstanceState {
  return { ...state, draining };
}

/** It goes for good, whatever the capacity becomes: it is not counted any more. */
export function isLeaving(state: Pick<InstanceState, 'removal' | 'draining'>): boolean {
  return state.removal !== undefined || drainCause(state) === 'delete';
}

/** How often a step may fail for a reason that may pass, before nobody waits for it any more. */
const patience = 5;

/** It is tried on all the same. */
export function isGivenUp({ failure }: { failure?: Pick<StepFailure, 'attempts'> | undefined }): boolean {
  return failure !== undefined && failure.attempts >= patience;
}

/** The failure that counts now; undefined where the last step was well, or something else has been asked for since. */
export function failureOf(state: InstanceState, generation: number): StepFailure | undefined {
  const { failure } = state;
  return failure === undefined || (failure.generation ?? generation) < generation ? undefined : failure;
}

export function newInstanceState(): InstanceState {
  return {
    power: 'running',
    created: false,
    extensions: {},
    protectFromScaleIn: false,
    protectFromScaleSetActions: false,
    natPorts: {},
  };
}
