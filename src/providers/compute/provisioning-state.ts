/** An instance's state in Azure's words, the same wherever it is shown: by itself, in lists, and counted over its scale set. Pure. */
import { isGivenUp, type InstanceState } from '../../pool/instance-state.ts';

export type InstanceProvisioningState = 'Creating' | 'Deleting' | 'Failed' | 'Succeeded';

/** `Failed`: a script of it has failed, or one of its steps so often that nobody should wait for it; it is tried on all the same. */
export function provisioningStateOf(
  state: Pick<InstanceState, 'removal' | 'failure' | 'extensions' | 'provisioned'>,
): InstanceProvisioningState {
  if (state.removal !== undefined) return 'Deleting';
  const scripts = Object.values(state.extensions);
  if (isGivenUp(state) || scripts.some(({ status }) => status === 'failed')) return 'Failed';
  if (state.provisioned === undefined || scripts.some(({ status }) => status === 'running')) return 'Creating';
  return 'Succeeded';
}
