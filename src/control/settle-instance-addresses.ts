/** At the start of control: on another machine the instances' network is another one, and those that are to be made anew move into it. */
import type { Logger } from 'pino';
import type { Engine } from '../engines/engine.ts';
import { moveIntoNetwork } from '../pool/addresses.ts';
import { findInstances } from '../store/instance-records.ts';
import type { Store } from '../store/store.ts';

export async function settleInstanceAddresses(
  store: Store,
  engine: Pick<Engine, 'network' | 'list'>,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  const network = engine.network();
  const isMoved = async (present: ReadonlySet<string>) =>
    moveIntoNetwork(await findInstances(store.db), present, network);
  if ((await isMoved(new Set())).length === 0) return;
  const present = new Set((await engine.list(signal)).map(({ name }) => name));
  for (const { name, address } of await isMoved(present)) {
    await store.transaction((tx) =>
      tx
        .updateTable('instances')
        .set({ address })
        .where('name', '=', name)
        .execute()
        .then(() => undefined),
    );
    log.info({ instance: name, address }, 'an instance that is made anew has another address');
  }
}
