/** An instance in one word, for those who count: each is in exactly one condition. Pure. */
import type { InstanceState } from './instance-state.ts';

/** An instance is in the first of these that holds for it. */
export const instanceConditions = [
  'removing',
  'failed',
  'draining',
  'standby',
  'stopped',
  'in_rotation',
  'out_of_rotation',
] as const;
export type InstanceCondition = (typeof instanceConditions)[number];

/** `failed`: a step or a script of it has failed. `out_of_rotation`: it is being prepared, or does not pass its probes. */
export function instanceCondition(
  state: Pick<InstanceState, 'removal' | 'failure' | 'draining' | 'standby' | 'power' | 'extensions'>,
  inRotation: boolean,
): InstanceCondition {
  if (state.removal !== undefined) return 'removing';
  if (state.failure !== undefined) return 'failed';
  if (Object.values(state.extensions).some((extension) => extension.status === 'failed')) return 'failed';
  if (state.draining !== undefined) return 'draining';
  if (state.standby !== undefined) return 'standby';
  if (state.power === 'stopped') return 'stopped';
  return inRotation ? 'in_rotation' : 'out_of_rotation';
}
