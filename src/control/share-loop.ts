/**
 * Keeps an engine volume for every file share, and takes it down with its share or account. One that was deleted is kept for as long as
 * its account says, shown to no instance, and shown again where it was when it is restored.
 */
import { errorBodyOf, PoolhouseError, type ErrorBody } from '../core/errors.ts';
import { keyOf } from '../core/resource-id.ts';
import type { EngineInstance } from '../engines/engine.ts';
import { eraseResource } from '../providers/erase-resource.ts';
import type { TypeContext } from '../providers/resource-type.ts';
import {
  accountIdOf,
  buryShare,
  findDeletedShares,
  lostAttachments,
  purgeShare,
  type LostAttachment,
} from '../providers/storage/deleted-shares.ts';
import { shareRetention } from '../providers/storage/file-service.ts';
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

const isSame = (one: LostAttachment, other: LostAttachment) =>
  one.instance === other.instance && one.path === other.path;

function withLost(share: ResourceRecord, lost: readonly LostAttachment[]): ResourceRecord {
  const { attachments: _before, ...found } = share.found;
  return {
    ...share,
    found: lost.length === 0 ? found : { ...found, attachments: lost.map((one) => ({ ...one })) },
  };
}

export function createShareLoop(world: World, typeContext: (queries: Queries) => TypeContext) {
  const { store, engine, clock, log } = world;
  let isFirst = true;

  async function make(share: ResourceRecord, signal: AbortSignal): Promise<void> {
    let error: ErrorBody | undefined;
    let lost = lostAttachments(share);
    try {
      await engine.ensureShare(
        { account: accountOf(share), share: nameOf(share.id), quotaBytes: shareQuotaGiB(share.document) * gibibyte },
        signal,
      );
      lost = await showAgain(share, signal);
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
      await saveResource(tx, { ...withLost(current, lost), provisioningState: state, error });
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

  /** Has no instance show it any more. */
  async function detach(
    account: string,
    share: string,
    signal: AbortSignal,
    instances?: readonly EngineInstance[],
  ): Promise<void> {
    for (const instance of instances ?? (await engine.list(signal))) {
      for (const attachment of instance.attachments) {
        if (attachment.account === account && attachment.share === share)
          await engine.detachShare(instance.name, attachment.path, signal);
      }
    }
  }

  async function takeDown(
    names: { account: string; share: string },
    record: ResourceRecord,
    signal: AbortSignal,
  ): Promise<void> {
    await detach(names.account, names.share, signal);
    await engine.deleteShare(names.account, names.share, signal);
    await forgetMounts(names.account, names.share);
    await erase(record);
  }

  /** Deleted, and kept: nobody finds it any more, and all that is in it stays. */
  async function bury(share: ResourceRecord, days: number, signal: AbortSignal): Promise<void> {
    // Where it was shown is noted before it is not: a control that dies in between has the whole list still.
    const account = accountOf(share);
    const shown = (await engine.list(signal))
      .filter(({ labels }) => labels['service'] === undefined) // those of ours see to themselves
      .flatMap(({ name, attachments }) =>
        attachments
          .filter((one) => one.account === account && one.share === nameOf(share.id))
          .map(({ folder, path }) => ({ instance: name, folder, path })),
      );
    const known = lostAttachments(share);
    const attachments = [...known, ...shown.filter((one) => !known.some((other) => isSame(one, other)))];
    await store.transaction(async (tx) => {
      const current = await findResource(tx, share.id);
      if (current === undefined) return;
      await saveResource(tx, withLost(current, attachments));
    });
    await detach(account, nameOf(share.id), signal);
    const ended = endedOperations(world);
    await store.transaction(async (tx) => {
      const current = await findResource(tx, share.id);
      if (current?.deletingSince === undefined) return;
      await endOperations(tx, current, ended);
      await buryShare(tx, current, { now: clock.now(), days, attachments });
    });
    ended.tell();
    log.info({ resource: share.key, days }, 'a share was deleted: it can be restored for so many days');
    world.changed();
  }

  /** One that was restored is shown again on those of its instances that there still are. Gives those where it could not be yet. */
  async function showAgain(share: ResourceRecord, signal: AbortSignal): Promise<LostAttachment[]> {
    const lost = lostAttachments(share);
    if (lost.length === 0) return [];
    const present = new Set((await engine.list(signal)).map(({ name }) => name));
    const left: LostAttachment[] = [];
    for (const one of lost.filter(({ instance }) => present.has(instance))) {
      const { instance, folder, path } = one;
      const place = { account: accountOf(share), share: nameOf(share.id), folder, path };
      try {
        await engine.attachShare(instance, place, signal);
      } catch (error) {
        if (signal.aborted || !(error instanceof PoolhouseError) || error.code === 'EngineUnavailable') throw error;
        const isInTheWay = error.code === 'Conflict' && !error.retryable;
        const words = isInTheWay ? 'mount it there' : 'it is tried again';
        log.warn({ err: error, instance, path }, `a share that was restored cannot be shown again: ${words}`);
        if (!isInTheWay && error.code !== 'InstanceNotFound') left.push(one);
      }
    }
    return left;
  }

  /** What one instance could not show when it was restored. */
  async function showLater(share: ResourceRecord, signal: AbortSignal): Promise<void> {
    const lost = await showAgain(share, signal);
    if (lost.length === lostAttachments(share).length) return;
    await store.transaction(async (tx) => {
      const current = await findResource(tx, share.id);
      if (current?.generation !== share.generation || current.deletingSince !== undefined) return;
      await saveResource(tx, withLost(current, lost));
    });
  }

  /** What was asked of one that goes is over. */
  async function endOperations(
    tx: Queries,
    record: ResourceRecord,
    ended: ReturnType<typeof endedOperations>,
  ): Promise<void> {
    for (const operation of await openOperations(tx, record.key)) {
      const status = operation.action === 'delete' ? 'Succeeded' : 'Canceled';
      await endOperation(tx, operation.id, { status, at: clock.now() });
      ended.note(record, operation, status, clock.now());
    }
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
      await endOperations(tx, record, ended);
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
    const stuck: ResourceRecord[] = [];
    /** One share's trouble is not that of the others: it is tried again. */
    const attempt = async (share: ResourceRecord, work: () => Promise<void>): Promise<boolean> => {
      try {
        await work();
        return true;
      } catch (error) {
        if (signal.aborted || !(error instanceof PoolhouseError) || error.code === 'EngineUnavailable') throw error;
        log.error({ err: error, share: share.key }, 'a share could not be made as it should be: it is tried again');
        stuck.push(share);
        return false;
      }
    };
    for (const share of shares) {
      const isDying = dying.some((account) => isBelow(share, account));
      if (share.deletingSince !== undefined || isDying) {
        const account = accounts.find((one) => one.key === keyOf(accountIdOf(share)));
        const { days } = account === undefined || isDying ? { days: undefined } : shareRetention(account.document);
        const names = { account: accountOf(share), share: nameOf(share.id) };
        const isDone = await attempt(share, () =>
          days === undefined ? takeDown(names, share, signal) : bury(share, days, signal),
        );
        if (isDone) gone.add(share.key);
      } else if (share.provisioningState !== 'Succeeded' && share.provisioningState !== 'Failed') {
        await attempt(share, () => make(share, signal));
      } else if (volumes?.has(`${accountOf(share)}/${nameOf(share.id)}`) === false) {
        log.warn({ share: share.key }, 'the volume of a share was missing: it is made anew, empty');
        await attempt(share, () => make(share, signal));
      } else if (lostAttachments(share).length > 0) {
        await attempt(share, () => showLater(share, signal));
      }
    }
    isFirst = false;
    for (const deleted of await findDeletedShares(store.db)) {
      const { account, share, record } = deleted;
      const isLost = volumes?.has(`${account}/${share}`) === false;
      if (isLost) log.warn({ share: record.key }, 'the volume of a deleted share is missing: it can no longer be restored'); // prettier-ignore
      const isOver = isLost || deleted.isPurged || deleted.until <= clock.now();
      if (!isOver && !dying.some((one) => isBelow(record, one))) continue;
      await attempt(record, async () => {
        // It may have been restored since the list was read; once it is marked, that is refused.
        if (await store.transaction((tx) => purgeShare(tx, deleted)))
          await takeDown({ account, share }, record, signal);
        else stuck.push(record); // a share again, which the next pass sees
      });
    }
    // A mount that was decided before one was deleted may have come after it.
    const kept = await findDeletedShares(store.db);
    const instances = kept.length === 0 ? [] : await engine.list(signal);
    for (const { account, share, record } of kept)
      await attempt(record, () => detach(account, share, signal, instances));
    for (const account of dying) {
      const isLeft = shares.some((share) => isBelow(share, account) && !gone.has(share.key));
      if (!isLeft && !stuck.some((share) => isBelow(share, account))) await erase(account);
    }
    return settledDelay;
  };
}
