/** What the plan may ask for, one step at a time. A step without an executor does not compile. */
import type { EpochMillis } from '../core/time.ts';
import type { DrainCause, StandbyPower } from './instance-state.ts';
import type { Power } from './power.ts';

export interface StepArguments {
  prepareImage: object;
  /** Writes down new instances with new ids, before anything is made. `standby`: they are not counted, and wait so. */
  allocate: { count: number; standby?: StandbyPower };
  create: { instanceId: number };
  setPower: { instanceId: number; power: Power };
  /** A standby instance is counted from now on, and runs. */
  join: { instanceId: number };
  provision: { instanceId: number };
  runExtension: { instanceId: number; extension: string };
  drain: { instanceId: number; until?: EpochMillis; by: DrainCause };
  undrain: { instanceId: number };
  /** Stops it and starts it again. */
  restart: { instanceId: number; reason: string };
  /** Gives it the latest model, of which it lacks only what can be done while it runs. */
  upgrade: { instanceId: number };
  /** Brings what people changed on its own disk into their workspaces. */
  rescue: { instanceId: number };
  /** Makes it anew under its own id, name and address, from the latest model or from its own. */
  remake: { instanceId: number; model: 'own' | 'latest'; reason: string };
  /** Switches an evicted instance off, or has it removed and the capacity lowered. */
  evict: { instanceId: number; policy: 'Deallocate' | 'Delete' };
  remove: { instanceId: number; reason: string };
}

export type StepName = keyof StepArguments;
export type Step = { [K in StepName]: { step: K } & StepArguments[K] }[StepName];
export type Executors = { [K in StepName]: (step: StepArguments[K], signal: AbortSignal) => Promise<void> };
