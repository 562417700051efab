/**
 * Writes into the activity log what is done with instances, and why: made, started, stopped, drained, kept, removed. A
 * decorator, so that no executor has to think of it. Preparing them (accounts, scripts) is no news.
 */
import type { Clock } from '../core/time.ts';
import type { StepArguments } from '../pool/steps.ts';
import type { DrainCause } from '../pool/instance-state.ts';
import { noteActivity, type Activity } from '../store/activity-log.ts';
import { findInstance, type InstanceRecord } from '../store/instance-records.ts';
import { findResource, type ResourceRecord } from '../store/resource-records.ts';
import type { Store } from '../store/store.ts';
import { automaticChange } from './scale-automatically.ts';
import type { InstanceStep, ScaleSetSteps } from './scale-set-steps.ts';

export interface NoteStepsParts {
  store: Store;
  clock: Pick<Clock, 'now'>;
  newId: () => string;
}

interface Told {
  /** As Azure names operations of instances, where it has one. */
  operation: string;
  /** What is done, in words that go on after the instance's name; undefined: who does it tells it better. */
  done: string | undefined;
  /** The same, where it failed. */
  failed: string;
}

const kind = 'Microsoft.Compute/virtualMachineScaleSets/virtualMachines';

/** Undefined: it is no news. */
function describeStep(step: InstanceStep, set: ResourceRecord): Told | undefined {
  switch (step.step) {
    case 'create':
      return { operation: `${kind}/write`, done: 'was made.', failed: 'could not be made' };
    case 'setPower':
      return powerWords[step.power];
    case 'drain':
      return {
        operation: `${kind}/drain/action`,
        done: `drains${step.until === undefined ? '' : ` until ${timeOf(step.until)}`}: ${whyItDrains(step.by, set)}`,
        failed: 'could not be drained',
      };
    case 'undrain':
      return {
        operation: `${kind}/undrain/action`,
        done: 'stays: it does not drain any more.',
        failed: 'could not be kept',
      };
    case 'remove':
      return {
        operation: `${kind}/delete/action`,
        done: `was removed: ${step.reason}.`,
        failed: `could not be removed (${step.reason})`,
      };
    case 'join':
      return { operation: `${kind}/join/action`, done: 'joined: it was a standby.', failed: 'could not join' };
    case 'restart':
      return {
        operation: `${kind}/restart/action`,
        done: `was restarted: ${step.reason}.`,
        failed: `could not be restarted (${step.reason})`,
      };
    case 'upgrade':
      return {
        operation: `${kind}/upgrade/action`,
        done: 'was given the latest model.',
        failed: 'could not be upgraded',
      };
    case 'remake':
      return {
        operation: `${kind}/reimage/action`,
        done: `is made anew: ${step.reason}.`,
        failed: `could not be made anew (${step.reason})`,
      };
    case 'evict':
      return {
        operation: `${kind}/evict/action`,
        done: 'was evicted: another scale set needs its memory.',
        failed: 'could not be evicted',
      };
    case 'rescue':
      return { operation: `${kind}/rescue/action`, done: undefined, failed: 'stays' };
    case 'provision':
    case 'runExtension':
      return undefined;
  }
}

function whyItDrains(by: DrainCause, set: ResourceRecord): string {
  switch (by) {
    case 'scale-in':
      return whySurplus(set);
    case 'upgrade':
      return 'it gets the latest model when nobody is there.';
    case 'repair':
      return 'its probes or its mounts fail, and it is repaired.';
    case 'eviction':
      return 'another scale set needs its memory.';
    case 'delete':
      return 'it was deleted by its id.';
    case 'operator':
      return 'its operator said so.';
  }
}

const powerWords: Record<StepArguments['setPower']['power'], Told> = {
  running: { operation: `${kind}/start/action`, done: 'was started.', failed: 'could not be started' },
  stopped: { operation: `${kind}/powerOff/action`, done: 'was stopped.', failed: 'could not be stopped' },
  frozen: { operation: `${kind}/freeze/action`, done: 'was frozen.', failed: 'could not be frozen' },
};

function whySurplus(set: ResourceRecord): string {
  const change = automaticChange(set);
  if (change === undefined) return 'there are more instances than were asked for.';
  return `${change.by === 'wake' ? 'waking' : change.by} has changed the capacity from ${change.from} to ${change.to}.`;
}

const timeOf = (at: number) => `${new Date(at).toISOString().slice(0, 16).replace('T', ' ')}Z`;

export function noteSteps(steps: ScaleSetSteps, { store, clock, newId }: NoteStepsParts): ScaleSetSteps {
  return {
    ...steps,
    async execute(key, step, signal) {
      // Read before: afterwards it may be gone.
      const instance = await findInstance(store.db, key, step.instanceId);
      const set = await findResource(store.db, key);
      const told = instance === undefined || set === undefined ? undefined : describeStep(step, set);
      if (instance === undefined || set === undefined || told === undefined) {
        await steps.execute(key, step, signal);
        return;
      }
      const note = (status: Activity['status'], message: string) =>
        noteActivity(store.db, {
          ...{ id: newId(), at: clock.now(), resourceId: set.id, instanceId: step.instanceId },
          ...{ operation: told.operation, status, level: status === 'Failed' ? 'Error' : 'Informational' },
          caller: isOfCapacity(step) ? (automaticChange(set)?.by ?? 'poolhouse') : 'poolhouse',
          message: `${instance.hostname} ${message}`,
          properties: { instance: instance.name, hostname: instance.hostname },
        });
      try {
        await steps.execute(key, step, signal);
      } catch (error) {
        // Every try is a line in the log of the process; here stands the first, and each that fails otherwise.
        const reason = error instanceof Error ? error.message : String(error);
        if (!signal.aborted && isNews(instance, step, reason)) await note('Failed', `${told.failed}: ${reason}`);
        throw error;
      }
      if (told.done !== undefined) await note('Succeeded', told.done);
    },
  };
}

/** What follows from the capacity was done by whoever has changed it. */
const isOfCapacity = (step: InstanceStep) =>
  step.step === 'join' || step.step === 'create' || (step.step === 'drain' && step.by === 'scale-in');

const isNews = ({ state: { failure } }: InstanceRecord, { step }: InstanceStep, reason: string) =>
  // What could not be rescued is told in an instance's own words, which may be others each time.
  failure?.step !== step || (step !== 'rescue' && failure.message !== reason);
