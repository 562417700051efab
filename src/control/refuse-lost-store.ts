import { existsSync } from 'node:fs';
import { PoolhouseError } from '../core/errors.ts';
import type { Home } from '../core/home.ts';
import type { Engine } from '../engines/engine.ts';

/**
 * A store that is not there is made at the first start. Where the engine holds instances or shares already it was lost,
 * and an empty one would have all of them removed: that is for a person to decide.
 */
export async function refuseLostStore(home: Home, engine: Engine, signal: AbortSignal): Promise<void> {
  if (existsSync(home.store)) return;
  const [instances, shares] = [await engine.list(signal), await engine.listShares(signal)];
  if (instances.length === 0 && shares.length === 0) return;
  throw new PoolhouseError(
    'InvalidConfiguration',
    `The store ${home.store} is missing, and the engine holds ${instances.length} instances and ${shares.length} shares of this installation. Bring back a backup (poolhouse down --destroy, then poolhouse restore FILE) or a copy of the store (${home.backups} has those from before upgrades), or give all of it up: poolhouse down --destroy`,
  );
}
