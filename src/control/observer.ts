/**
 * What control tells of its work as it happens. Who counts it is the composition root's affair; whoever tells does not
 * wait for it, and a part that is made without an observer works the same.
 */
import type { StepName } from '../pool/steps.ts';

export const outcomes = ['succeeded', 'failed', 'stopped'] as const;
export type Outcome = (typeof outcomes)[number];
export const endStates = ['Succeeded', 'Failed', 'Canceled'] as const;
/** `adopt`: an instance that the engine has is written down. `prepareImage` is none of them: images are built beside. */
export const observedSteps = [
  'allocate',
  'adopt',
  'create',
  'setPower',
  'join',
  'provision',
  'runExtension',
  'drain',
  'undrain',
  'restart',
  'upgrade',
  'rescue',
  'remake',
  'evict',
  'remove',
] as const satisfies (StepName | 'adopt')[];

export interface EndedOperation {
  /** The resource's type, in lower case. */
  type: string;
  action: string;
  state: (typeof endStates)[number];
  milliseconds: number;
}

/** How it ends for somebody who wants a place: `left` is who hung up before. */
export const placementResults = ['placed', 'refused', 'left'] as const;
export type PlacementResult = (typeof placementResults)[number];

export interface Observer {
  passEnded(loop: string, outcome: Outcome, milliseconds: number): void;
  stepEnded(step: (typeof observedSteps)[number], outcome: Outcome, milliseconds: number): void;
  operationEnded(operation: EndedOperation): void;
  /** A mount that was bad was mended, or not. */
  mountRepaired(result: 'succeeded' | 'failed'): void;
  mountEnded(result: 'mounted' | 'refused' | 'not_ours'): void;
  /** @param pool key of the scale set; `milliseconds` from the first question on */
  placementEnded(pool: string, result: PlacementResult, milliseconds: number): void;
}

export const nobodyObserves: Observer = {
  passEnded: () => undefined,
  stepEnded: () => undefined,
  operationEnded: () => undefined,
  mountRepaired: () => undefined,
  mountEnded: () => undefined,
  placementEnded: () => undefined,
};
