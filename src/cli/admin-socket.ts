import { PoolhouseError } from '../core/errors.ts';
import { runtimeFolderOf } from '../core/home.ts';
import { readInstallation } from '../host/installations.ts';
import type { Shared } from './shared.ts';

/** Where control answers the command line. `HostNotReady` where there is no installation. */
export async function adminSocketOf({ home }: Shared): Promise<string> {
  const installation = await readInstallation(home);
  if (installation === undefined)
    throw new PoolhouseError(
      'HostNotReady',
      `There is no installation in ${home.folder} yet. 'poolhouse up' makes one.`,
    );
  return runtimeFolderOf(home, installation.id, process.getuid?.() === 0).adminSocket;
}
