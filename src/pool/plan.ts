/**
 * Decides what has to happen next for one scale set. Pure: the same snapshot and time give the same steps, and a
 * snapshot that is as asked for gives none. Executors make no choices; they carry out one step each.
 *
 * Steps of one plan are independent of each other and may run at the same time. An instance that has a step under way
 * (`busy`) gets no further one until that has ended.
 */
import type { Power } from './power.ts';
import type { EpochMillis } from '../core/time.ts';
import { chooseScaleIn, type ScaleInRule } from './choose-scale-in.ts';
import { failureOf, type InstanceState } from './instance-state.ts';

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
  /** Open connections through front ends. */
  connections: number;
  /** People bound to it, by a session or by what they run; undefined while nobody can know that. */
  users: number | undefined;
  /** A step of it is under way. */
  busy: boolean;
}

export interface ScaleSetSnapshot {
  capacity: number;
  generation: number;
  deleting: boolean;
  drainMilliseconds: number;
  scaleInRule: ScaleInRule;
  /** The image of the latest model stands ready in the engine. */
  imageReady: boolean;
  /** `prepareImage` is under way. */
  imageBusy: boolean;
  /** When a failed preparation of the image may be tried again; undefined where none failed. */
  imageRetryAt: EpochMillis | undefined;
  instances: readonly InstanceSnapshot[];
}

/** What the plan may ask for. A step without an executor does not compile. */
export interface StepArguments {
  prepareImage: object;
  /** Writes down new instances with new ids, before anything is made. */
  allocate: { count: number };
  create: { instanceId: number };
  setPower: { instanceId: number; power: Power };
  provision: { instanceId: number };
  runExtension: { instanceId: number; extension: string };
  drain: { instanceId: number; until: EpochMillis };
  undrain: { instanceId: number };
  remove: { instanceId: number; reason: string };
}

export type StepName = keyof StepArguments;
export type Step = { [K in StepName]: { step: K } & StepArguments[K] }[StepName];
export type Executors = { [K in StepName]: (step: StepArguments[K], signal: AbortSignal) => Promise<void> };

export function plan(snapshot: ScaleSetSnapshot, now: EpochMillis): Step[] {
  const steps: Step[] = [];
  const staying = snapshot.instances.filter((instance) => instance.state.removal === undefined);

  if (!snapshot.deleting) {
    if (!snapshot.imageReady && !snapshot.imageBusy && snapshot.capacity > 0 && now >= (snapshot.imageRetryAt ?? 0)) {
      steps.push({ step: 'prepareImage' });
    }
    steps.push(...planCapacity(snapshot, staying, now));
  }
  const leaving = new Set(steps.flatMap((step) => (step.step === 'remove' ? [step.instanceId] : [])));
  for (const instance of snapshot.instances) {
    if (leaving.has(instance.instanceId)) continue;
    const step = planInstance(snapshot, instance, now);
    if (step !== undefined) steps.push(step);
  }
  return steps;
}

/** New instances where there are too few; draining and removal where there are too many. */
function planCapacity(snapshot: ScaleSetSnapshot, staying: readonly InstanceSnapshot[], now: EpochMillis): Step[] {
  const draining = staying.filter((instance) => instance.state.draining !== undefined);
  const surplus = staying.length - snapshot.capacity;
  if (surplus < 0) {
    // Those that drain are wanted again before new ones are made.
    return [
      ...draining.map((instance): Step => ({ step: 'undrain', instanceId: instance.instanceId })),
      { step: 'allocate', count: -surplus },
    ];
  }
  const chosen = new Set(
    chooseScaleIn(
      staying.map((instance) => ({
        instanceId: instance.instanceId,
        zone: instance.state.zone,
        protectFromScaleIn: instance.state.protectFromScaleIn,
        connections: instance.connections + (instance.users ?? 0),
        alreadyDraining: instance.state.draining !== undefined,
      })),
      surplus,
      snapshot.scaleInRule,
    ),
  );
  const steps: Step[] = [];
  for (const instance of staying) {
    const { instanceId, state } = instance;
    if (!chosen.has(instanceId)) {
      if (state.draining !== undefined) steps.push({ step: 'undrain', instanceId });
    } else if (state.draining === undefined) {
      // Drained first even where nobody is: the gateway must have stopped sending people before it goes.
      steps.push({ step: 'drain', instanceId, until: now + snapshot.drainMilliseconds });
    }
  }
  return steps;
}

/** How long an instance drains at least, so that the gateway has heard of it and told of connections. */
const drainAtLeast = 500;
/** Who is still there at the end is told so by the gateway, and has so long to read it. */
const goodbye = 3_000;

function planInstance(snapshot: ScaleSetSnapshot, instance: InstanceSnapshot, now: EpochMillis): Step | undefined {
  const { instanceId, state, power } = instance;
  const failure = failureOf(state, snapshot.generation);
  const retryAt = failure?.retryAt ?? 0;

  if (snapshot.deleting || state.removal !== undefined) {
    if (instance.busy || (failure?.step === 'remove' && now < retryAt)) return undefined;
    return { step: 'remove', instanceId, reason: state.removal?.reason ?? 'the scale set is being deleted' };
  }
  if (instance.busy || now < retryAt) return undefined;

  if (state.draining !== undefined) {
    const waited = now - state.draining.since >= drainAtLeast;
    const isEmpty = instance.connections === 0 && instance.users === 0;
    if (now >= state.draining.until + (isEmpty ? 0 : goodbye))
      return { step: 'remove', instanceId, reason: 'its time to drain is over' };
    if (waited && isEmpty) return { step: 'remove', instanceId, reason: 'it drained and nobody is there' };
    // Who may no longer enter is ended there too.
    const changed = state.provisioned !== undefined && power === 'running' && hasOtherPeople(instance);
    return changed ? { step: 'provision', instanceId } : undefined;
  }
  if (power === 'absent') return snapshot.imageReady ? { step: 'create', instanceId } : undefined;
  if (power !== state.power) return { step: 'setPower', instanceId, power: state.power };
  if (power !== 'running') return undefined;
  if (state.provisioned !== instance.provision || hasOtherPeople(instance)) return { step: 'provision', instanceId };
  const extension = nextExtension(snapshot.generation, instance);
  return extension === undefined ? undefined : { step: 'runExtension', instanceId, extension: extension.name };
}

/** The accounts of people in it are not those that there should be. It serves meanwhile: they are no part of being prepared. */
const hasOtherPeople = ({ state, people }: InstanceSnapshot) => (state.people ?? '') !== people;

/** The first extension that has to run now: those it comes after have succeeded, and none failed before it. */
function nextExtension(generation: number, instance: InstanceSnapshot): AskedExtension | undefined {
  const done = (extension: AskedExtension) => {
    const ran = instance.state.extensions[extension.name];
    return ran?.version === extension.version && ran.status === 'succeeded';
  };
  for (const extension of instance.extensions) {
    if (done(extension)) continue;
    const ran = instance.state.extensions[extension.name];
    if (ran?.version === extension.version && ran.status === 'failed' && ran.generation >= generation) continue;
    const before = instance.extensions.filter((other) => extension.provisionAfter.includes(other.name));
    if (before.every(done)) return extension;
  }
  return undefined;
}

/** Everything that its model wants has been done on this instance. */
export function extensionsDone(instance: Pick<InstanceSnapshot, 'state' | 'extensions'>): boolean {
  return instance.extensions.every((extension) => {
    const ran = instance.state.extensions[extension.name];
    return ran?.version === extension.version && ran.status === 'succeeded';
  });
}
