/** The folder of each user of a pool on a share, as the published recipe expects it: `notebooks/USER`. */
import { findInstances, type InstanceRecord } from '../store/instance-records.ts';
import { instanceUsers } from './instance-users.ts';
import type { World } from './world.ts';

export interface MountedShare {
  /** Where it is mounted inside. */
  target: string;
  /** Mode of the share's own root, for one that was never prepared; undefined: it is left as it is. */
  rootMode?: string;
}

/**
 * Makes the workspaces of the admin user and of people on a share that an instance has mounted, and shows people theirs as
 * `~/notebooks/remote`. What cannot be made is a line in the log: the mount is there all the same.
 */
export async function prepareWorkspaces(
  world: World,
  instanceName: string,
  { target, rootMode }: MountedShare,
  signal: AbortSignal,
): Promise<void> {
  const { store, engine } = world;
  const instance = (await findInstances(store.db)).find((one) => one.name === instanceName);
  const users = instance === undefined ? [] : await instanceUsers(world, instance);
  if (users.length === 0) return;
  const document = {
    mountPoint: target,
    users,
    ...(rootMode === undefined ? {} : { rootMode }),
  };
  const result = await engine.exec(
    instanceName,
    ['/usr/lib/poolhouse/workspace'],
    { stdin: JSON.stringify(document), timeoutMs: 30_000 },
    signal,
  );
  if (result.exitCode !== 0) {
    world.log.warn(
      { instance: instanceName, target, exitCode: result.exitCode },
      'the folders of the users could not be prepared on the share',
    );
  }
}

/** The same on every share that the instance has whole; for people who came after the mount. */
export async function prepareAllWorkspaces(
  world: World,
  { name }: Pick<InstanceRecord, 'name'>,
  signal: AbortSignal,
): Promise<void> {
  const attachments = world.live.engineInstances().find((instance) => instance.name === name)?.attachments ?? [];
  for (const { folder, path } of attachments)
    if (folder === '') await prepareWorkspaces(world, name, { target: path }, signal);
}
