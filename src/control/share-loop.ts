/** Keeps an engine volume for every file share, and takes it down with its share or account. */
import { errorBodyOf, PoolhouseError, type ErrorBody } from '../core/errors.ts';
import { eraseResource } from '../providers/erase-resource.ts';
import type { TypeContext } from '../providers/resource-type.ts';
import { shareQuotaGiB } from '../providers/storage/file-shares.ts';
import { findInstances, updateInstanceState } from '../store/instance-records.ts';
import { endOperation, openOperations } from '../store/operations.ts';
import { findResource, findResources, nameOf, saveResource, type ResourceRecord } from '../store/resource-records.ts';
import type { Queries } from '../store/store.ts';
import { endedOperations } from './ended-operations.ts';
import type { World } from './world.ts';

const settledDelay = 10_000;
const gibibyte = 2 ** 30;

/** `/…/storageAccounts/ACCOUNT/fileServices/default/shares/SHARE` → its account. */
function accountOf(share: ResourceRecord): string {
  return share.key.split('/').at(-5) ?? '';
}

export function createShareLoop(world: World, typeContext: (queries: Queries) => TypeContext) {
  const { store, engine, clock, log } = world;
  let isFirst = true;

  async function make(share: ResourceRecord, signal: AbortSignal): Promise<void> {
    let error: ErrorBody | undefined;
    try {
      await engine.ensureShare(
        { account: accountOf(share), share: nameOf(share.id), quotaBytes: shareQuotaGiB(share.document) * gibibyte },
        signal,
      );
    } catch (thrown) {
      // A daemon that does not answer says nothing about the share: the next pass tries again.
      const isAway = thrown instanceof PoolhouseError && thrown.code === 'EngineUnavailable';
      if (signal.aborted || isAway) throw thrown;
      log.error({ err: thrown, share: share.key }, 'the volume of a share could not be made');
      error = errorBodyOf(thrown);
    }
    const state = error === undefined ? 'Succeeded' : 'Failed';
    const ended = endedOperations(world);
    await store.transaction(async (tx) => {
      const current = await findResource(tx, share.id);
      if (current?.generation !== share.generation) return;
      await saveResource(tx, { ...current, provisioningState: state, error });
      for (const operation of await openOperations(tx, share.key)) {
        await endOperation(tx, operation.id, {
          status: state,
          ...(error === undefined ? {} : { error }),
          at: clock.now(),
        });
        ended.note(share, operation, state, clock.now());
      }
    });
    ended.tell();
    world.changed();
  }

  async function takeDown(share: ResourceRecord, signal: AbortSignal): Promise<void> {
    const account = accountOf(share);
    const name = nameOf(share.id);
    for (const instance of await engine.list(signal)) {
      for (const attachment of instance.attachments) {
        if (attachment.account === account && attachment.share === name)
          await engine.detachShare(instance.name, attachment.path, signal);
      }
    }
    await engine.deleteShare(account, name, signal);
    await forgetMounts(account, name);
    await erase(share);
  }

  /** One that has its name later was mounted by nobody yet. */
  async function forgetMounts(account: string, share: string): Promise<void> {
    for (const instance of await findInstances(store.db))
      if (instance.state.mounts?.some((mount) => mount.account === account && mount.share === share) === true)
        await store.transaction((tx) =>
          updateInstanceState(tx, instance, (state) => ({
            ...state,
            mounts: (state.mounts ?? []).filter((mount) => mount.account !== account || mount.share !== share),
          })),
        );
  }

  async function erase(record: ResourceRecord): Promise<void> {
    const ended = endedOperations(world);
    await store.transaction(async (tx) => {
      for (const operation of await openOperations(tx, record.key)) {
        const status = operation.action === 'delete' ? 'Succeeded' : 'Canceled';
        await endOperation(tx, operation.id, { status, at: clock.now() });
        ended.note(record, operation, status, clock.now());
      }
      await eraseResource(tx, record, world.registry, typeContext(tx));
    });
    ended.tell();
    log.info({ resource: record.key }, 'removed');
    world.changed();
  }

  return async function pass(signal: AbortSignal): Promise<number> {
    const shares = await findResources(store.db, { type: 'Microsoft.Storage/storageAccounts/fileServices/shares' });
    const accounts = await findResources(store.db, { type: 'Microsoft.Storage/storageAccounts' });
    const dying = accounts.filter((account) => account.deletingSince !== undefined);
    const isBelow = (share: ResourceRecord, account: ResourceRecord) => share.key.startsWith(`${account.key}/`);
    const gone = new Set<string>();
    // The store may have been put back to a copy from before: once, what it says is compared with what there is.
    const volumes = isFirst
      ? new Set((await engine.listShares(signal)).map((one) => `${one.account}/${one.share}`))
      : undefined;
    for (const share of shares) {
      if (share.deletingSince !== undefined || dying.some((account) => isBelow(share, account))) {
        await takeDown(share, signal);
        gone.add(share.key);
      } else if (share.provisioningState !== 'Succeeded' && share.provisioningState !== 'Failed') {
        await make(share, signal);
      } else if (volumes?.has(`${accountOf(share)}/${nameOf(share.id)}`) === false) {
        log.warn({ share: share.key }, 'the volume of a share was missing: it is made anew, empty');
        await make(share, signal);
      }
    }
    isFirst = false;
    for (const account of dying) {
      if (!shares.some((share) => isBelow(share, account) && !gone.has(share.key))) await erase(account);
    }
    return settledDelay;
  };
}
