/** Asks control for what a pool has recorded. */
import type { PoolHistory } from '../control/pool-history.ts';
import { PoolhouseError } from '../core/errors.ts';
import { runtimeFolderOf } from '../core/home.ts';
import { readInstallation } from '../host/installations.ts';
import { askControl } from '../host/local-api.ts';
import type { Shared } from './shared.ts';

/** A quarter of a year may be many sessions. */
const limit = 60_000;

export async function readPoolHistory(home: Shared['home'], pool: string): Promise<PoolHistory> {
  const installation = await readInstallation(home);
  if (installation === undefined)
    throw new PoolhouseError(
      'HostNotReady',
      `There is no installation in ${home.folder}, and so no pool. Leave out --pool, or run 'poolhouse up'.`,
    );
  const { adminSocket } = runtimeFolderOf(home, installation.id, process.getuid?.() === 0);
  const text = await askControl(adminSocket, `/v1/pool-history?pool=${encodeURIComponent(pool)}`, limit);
  return JSON.parse(text) as PoolHistory; // of our own process
}
