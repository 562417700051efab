/**
 * What a deployment does next. Pure. Everything independent goes at once; what depends on a failure is skipped; the
 * deployment has ended when nothing runs and nothing can start.
 */
export type StepStatus = 'pending' | 'running' | 'succeeded' | 'failed' | 'skipped' | 'canceled';

export interface ScheduledResource {
  key: string;
  dependsOn: readonly string[];
}

export interface Schedule {
  /** Keys to start now. */
  start: string[];
  /** Keys that cannot be deployed any more: something they depend on was not, or the deployment was cancelled. */
  skip: string[];
  outcome: 'running' | 'succeeded' | 'failed' | 'canceled';
}

export function scheduleDeployment(
  resources: readonly ScheduledResource[],
  statusOf: (key: string) => StepStatus,
  canceled: boolean,
): Schedule {
  const status = new Map(resources.map((resource) => [resource.key, statusOf(resource.key)]));
  const bad: readonly (StepStatus | undefined)[] = ['failed', 'skipped', 'canceled'];
  const start: string[] = [];
  const skip: string[] = [];

  for (let changed = true; changed;) {
    changed = false;
    for (const { key, dependsOn } of resources) {
      if (status.get(key) !== 'pending') continue;
      if (canceled || dependsOn.some((other) => bad.includes(status.get(other)))) {
        skip.push(key);
        status.set(key, canceled ? 'canceled' : 'skipped');
        changed = true;
      } else if (dependsOn.every((other) => (status.get(other) ?? 'succeeded') === 'succeeded')) {
        start.push(key);
        status.set(key, 'running');
      }
    }
  }
  const all = [...status.values()];
  const outcome = all.includes('running')
    ? 'running'
    : canceled
      ? 'canceled'
      : all.every((one) => one === 'succeeded')
        ? 'succeeded'
        : 'failed';
  return { start, skip, outcome };
}
