import { PoolhouseError } from '../core/errors.ts';
import { createArmClient, type ArmClient } from '../host/arm-client.ts';
import { readInstallation } from '../host/installations.ts';
import type { Shared } from './shared.ts';

/** The API of the installation, signed in. `HostNotReady` where there is none, or it does not answer. */
export async function openArm({ home, signal }: Shared): Promise<ArmClient> {
  const installation = await readInstallation(home);
  if (installation === undefined)
    throw new PoolhouseError(
      'HostNotReady',
      `There is no installation in ${home.folder} yet. 'poolhouse up' makes one.`,
    );
  return createArmClient(home, installation, signal);
}
