/** How a scale set's operation stands. Design: succeeded when extensions ended well and first probes passed, or 30 s after the extensions. */
import type { EpochMillis } from '../core/time.ts';
import { failureOf } from './instance-state.ts';
import { extensionsDone, type InstanceSnapshot, type ScaleSetSnapshot } from './plan.ts';

export type Outcome =
  | { outcome: 'updating'; reason: string }
  | { outcome: 'succeeded' }
  | { outcome: 'failed'; code: string; message: string; target?: string };

/** How long after its extensions an instance may stay out of rotation before the operation succeeds all the same. */
const probeGraceMilliseconds = 30_000;
/** How often a step may fail for a reason that may pass, before the operation fails. The loop goes on trying. */
const patience = 5;

export function scaleSetOutcome(
  snapshot: ScaleSetSnapshot,
  probed: (instanceId: number) => boolean,
  imageFailure: { code: string; message: string } | undefined,
  now: EpochMillis,
): Outcome {
  const staying = snapshot.instances.filter((instance) => instance.state.removal === undefined);
  const failures = staying.flatMap((instance) => failuresOf(snapshot, instance));
  const pending = staying.filter(
    (instance) => !isSettled(snapshot, instance, probed, now) && failuresOf(snapshot, instance).length === 0,
  );
  if (imageFailure !== undefined && !snapshot.imageReady) return { outcome: 'failed', ...imageFailure };
  if (staying.length < snapshot.capacity) return { outcome: 'updating', reason: 'instances are being made' };
  if (pending.length > 0)
    return { outcome: 'updating', reason: `${pending.length} of ${staying.length} instances are not ready yet` };
  const [first] = failures;
  if (first !== undefined) return { outcome: 'failed', ...first };
  if (snapshot.instances.length > staying.length) return { outcome: 'updating', reason: 'instances are being removed' };
  if (staying.length > snapshot.capacity && staying.some((instance) => instance.state.draining !== undefined)) {
    return { outcome: 'updating', reason: 'instances are draining' };
  }
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
  if (failure !== undefined && failure.attempts >= patience) {
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

function isSettled(
  snapshot: ScaleSetSnapshot,
  instance: InstanceSnapshot,
  probed: (instanceId: number) => boolean,
  now: EpochMillis,
): boolean {
  const { state, power } = instance;
  if (state.draining !== undefined) return true;
  if (state.power === 'stopped') return power === 'stopped';
  if (power !== 'running' || state.provisioned !== instance.provision) return false;
  if (!extensionsDone(instance)) return false;
  if (probed(instance.instanceId)) return true;
  const since = Math.max(
    state.provisionedAt ?? 0,
    ...Object.values(state.extensions).map((extension) => extension.endedAt ?? 0),
  );
  return now - since >= probeGraceMilliseconds;
}
