/**
 * Keeps the folders of people and groups on every share that a pool shows: who comes has one though nothing mounts anew, and a quota
 * that is changed holds at once.
 */
import type { EngineInstance } from '../engines/engine.ts';
import { findInstances } from '../store/instance-records.ts';
import { instanceAccounts, type InstanceAccounts } from './instance-users.ts';
import { ensureWorkspaces } from './workspaces.ts';
import type { World } from './world.ts';

const settledDelay = 10_000;

export function createWorkspaceLoop(world: World) {
  const { store, engine, live, log } = world;
  return async function pass(signal: AbortSignal): Promise<number> {
    if (!engine.capabilities().shares) return settledDelay;
    const records = new Map((await findInstances(store.db)).map((record) => [record.name, record]));
    const pools = new Map<string, InstanceAccounts>();
    for (const [share, names] of showing(live.engineInstances())) {
      const [account = '', name = ''] = share.split('/');
      const seen = new Set<string>();
      for (const instance of names) {
        const record = records.get(instance);
        if (record === undefined) continue;
        const pool = `${record.scaleSetKey} ${record.modelVersion}`;
        if (seen.has(pool)) continue;
        seen.add(pool);
        const accounts = pools.get(pool) ?? (await instanceAccounts(world, record));
        pools.set(pool, accounts);
        await ensureWorkspaces(world, { account, share: name }, accounts, signal).catch((error: unknown) => {
          signal.throwIfAborted();
          log.warn({ err: error, share }, 'folders on a share could not be made: it is tried again');
        });
      }
    }
    return settledDelay;
  };
}

/** Which instances show each share, all of it or folders of it. */
function showing(instances: readonly EngineInstance[]): Map<string, Set<string>> {
  const shares = new Map<string, Set<string>>();
  for (const { name, attachments } of instances)
    for (const { account, share } of attachments)
      shares.set(`${account}/${share}`, (shares.get(`${account}/${share}`) ?? new Set()).add(name));
  return shares;
}
