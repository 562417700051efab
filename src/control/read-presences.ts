/** Who has something running where, and how much it works: the host's processes, held against the people and instances of the store. */
import type { Clock } from '../core/time.ts';
import { engineNames } from '../engines/incus/names.ts';
import { findAccounts } from '../store/accounts.ts';
import { findInstances } from '../store/instance-records.ts';
import type { Store } from '../store/store.ts';
import { findUsers } from '../store/users.ts';
import type { ControlParts } from './assemble.ts';
import { findPresences, hostProcesses } from './find-presences.ts';
import { createWorkMeter } from './work-meter.ts';

export function createPresenceReader(parts: {
  store: Store;
  /** The installation's id. */
  installation: string;
  clock: Clock;
}): ControlParts['presences'] {
  const { store, installation, clock } = parts;
  const list = hostProcesses();
  const measureWork = createWorkMeter({ list, clock });
  return async () => {
    const instances = await findInstances(store.db);
    const people = [...(await findUsers(store.db)), ...(await findAccounts(store.db))];
    const found = findPresences({
      list,
      project: engineNames(installation).project,
      pools: new Map(instances.map(({ name, scaleSetKey }) => [name, scaleSetKey])),
      users: new Map(people.map(({ uid, name }) => [uid, name])),
    });
    return measureWork(found);
  };
}

/** Simulated instances have no processes. */
export const nobodyIsFound: ControlParts['presences'] = () => Promise.resolve([]);
