/** How a scale set's operation stands. Design: succeeded when extensions ended well and first probes passed, or 30 s after the extensions. */
import type { EpochMillis } from '../core/time.ts';
import { drainCause, failureOf, isGivenUp } from './instance-state.ts';
import { isReady, type InstanceSnapshot, type ScaleSetSnapshot } from './scale-set-snapshot.ts';

export type Outcome =
  | { outcome: 'updating'; reason: string }
  | { outcome: 'succeeded' }
  | { outcome: 'failed'; code: string; message: string; target?: string };

export function scaleSetOutcome(
  snapshot: ScaleSetSnapshot,
  imageFailure: { code: string; message: string } | undefined,
  now: EpochMillis,
): Outcome {
  const isMember = ({ state }: InstanceSnapshot) => state.removal === undefined && state.standby === undefined;
  const members = snapshot.instances.filter((one) => isMember(one) && drainCause(one.state) !== 'delete');
  const failures = members.flatMap((instance) => failuresOf(snapshot, instance));
  const pending = members.filter(
    (instance) => !isSettled(instance, now) && failuresOf(snapshot, instance).length === 0,
  );
  if (imageFailure !== undefined && !snapshot.imageReady) return { outcome: 'failed', ...imageFailure };
  if (members.length < snapshot.capacity) return { outcome: 'updating', reason: 'instances are being made' };
  if (pending.length > 0)
    return { outcome: 'updating', reason: `${pending.length} of ${members.length} instances are not ready yet` };
  const [first] = failures;
  if (first !== undefined) return { outcome: 'failed', ...first };
  const leaving = snapshot.instances.filter(
    ({ state }) => state.removal !== undefined || drainCause(state) === 'delete',
  );
  if (leaving.some(({ state }) => state.standby === undefined))
    return { outcome: 'updating', reason: 'instances are being removed' };
  if (members.some(({ state }) => drainCause(state) === 'scale-in'))
    return { outcome: 'updating', reason: 'instances are draining' };
  return { outcome: 'succeeded' };
}

interface Failure {
  code: string;
  message: string;
  target?: string;
}

function failuresOf(snapshot: ScaleSetSnapshot, instance: InstanceSnapshot): Failure[] {
  const { state } = instance;
  for (const extension of instance.extensions) {
    const ran = state.extensions[extension.name];
    if (ran?.version === extension.version && ran.status === 'failed' && ran.generation >= snapshot.generation) {
      if (ran.timedOut === true) {
        return [
          {
            code: 'VMExtensionProvisioningTimeout',
            message: `Provisioning of VM extension '${extension.name}' on instance ${instance.instanceId} has timed out. Extension provisioning has taken too long to complete. Error message: "${ran.message}"`,
            target: String(instance.instanceId),
          },
        ];
      }
      return [
        {
          code: 'VMExtensionProvisioningError',
          message: `VM has reported a failure when processing extension '${extension.name}' on instance ${instance.instanceId}. Error message: "${ran.message}"`,
          target: String(instance.instanceId),
        },
      ];
    }
  }
  const failure = failureOf(state, snapshot.generation);
  if (failure !== undefined && isGivenUp({ failure })) {
    return [
      {
        code: failure.code,
        message: `Instance ${instance.instanceId}: ${failure.message}`,
        target: String(instance.instanceId),
      },
    ];
  }
  return [];
}

/** Nothing that somebody has asked for is left to be done on it. */
function isSettled(instance: InstanceSnapshot, now: EpochMillis): boolean {
  const { state, power, behind } = instance;
  if (state.restart !== undefined || state.remake !== undefined) return false;
  // Where its operator keeps people away it waits until they have gone.
  const isWaiting = drainCause(state) === 'operator' || state.power === 'stopped';
  if (state.upgrade !== undefined && behind !== 'nothing' && !isWaiting) return false;
  if (state.draining !== undefined) return true;
  if (state.power === 'stopped') return power === 'stopped';
  return isReady(instance, now);
}
