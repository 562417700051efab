/**
 * Looks how full shares and workspaces are, and tells before they are full: the operator of shares, people of their workspaces. What it
 * saw last is what status and metrics show.
 */
import { PoolhouseError } from '../core/errors.ts';
import type { EpochMillis } from '../core/time.ts';
import type { ShareFolderState, ShareState } from '../engines/engine.ts';
import type { Session } from '../link/people.ts';
import {
  fullnessInWords,
  judgeFullness,
  nothingTold,
  percentUsed,
  type ToldOfFullness,
} from '../pool/judge-fullness.ts';
import { engineNamesOf } from '../providers/storage/share-service.ts';
import { noteActivity } from '../store/activity-log.ts';
import { findFullness, forgetFullness, saveFullness } from '../store/fullness.ts';
import { findResources, type ResourceRecord } from '../store/resource-records.ts';
import { membersOf } from '../store/user-groups.ts';
import type { OperatorAlert } from './operator-alert.ts';
import type { SessionOrders } from './session-orders.ts';
import type { World } from './world.ts';

export interface ShareFullness {
  account: string;
  share: string;
  usedBytes: number;
  quotaBytes: number;
  snapshotBytes: number;
  /** Folders with a quota of their own. */
  workspaces: number;
  /** Those of them where next to nothing fits any more. */
  fullWorkspaces: number;
}

export interface FullnessLoop {
  pass(signal: AbortSignal): Promise<number>;
  /** What was seen last. */
  shares(): readonly ShareFullness[];
}

const lookEvery = 30_000;
const nearlyFull = 95;

export function createFullnessLoop(
  world: World,
  { orders, alert }: { orders: Pick<SessionOrders, 'give'>; alert: (alert: OperatorAlert) => void },
): FullnessLoop {
  const { store, engine, reports, live, clock, log } = world;
  let seen: readonly ShareFullness[] = [];
  let nextLookAt: EpochMillis = 0;

  function tellPeople(sessions: readonly Session[], message: string): void {
    orders.give(sessions.map(({ id }) => ({ session: id, message })));
  }

  async function tellOfShare(record: ResourceRecord, state: ShareState, threshold: number): Promise<void> {
    const name = `${state.account}/${state.share}`;
    const message = `The share ${name} is ${fullnessInWords(state)}. Give it a larger quota (az storage share-rm update --quota), or have files removed: 'poolhouse shares show ${name}' tells who has how much.`;
    log.warn({ share: name, usedBytes: state.usedBytes, quotaBytes: state.quotaBytes }, message);
    await noteActivity(store.db, {
      ...{ id: world.newId(), at: clock.now(), resourceId: record.id, instanceId: undefined },
      operation: 'Microsoft.Storage/storageAccounts/fileServices/shares/fullness/action',
      ...{ status: 'Succeeded', level: 'Warning', caller: 'poolhouse', message },
      properties: { threshold: String(threshold) },
    });
    alert({
      resourceId: record.id,
      subject: `The share ${name} is more than ${String(threshold)} % full`,
      text: message,
    });
    if (threshold < nearlyFull) return;
    // Soon nothing can be saved there: who works on it has to know, whosever files they are.
    const showing = new Set(
      live
        .engineInstances()
        .filter(({ attachments }) => attachments.some((one) => `${one.account}/${one.share}` === name))
        .map(({ name: instance }) => instance),
    );
    tellPeople(
      reports.sessions().filter(({ instance }) => showing.has(instance)),
      `The share that your files are on is nearly full (${String(percentUsed(state.usedBytes, state.quotaBytes))} %). When it is, nothing can be saved there. Who runs this pool was told.`,
    );
  }

  /** Whose folder it is, of those who are here now: nobody else can be told. */
  async function ownersHere(folder: string): Promise<Session[]> {
    const [, kind, name = ''] = /^(notebooks|groups)\/([^/]+)$/.exec(folder) ?? [];
    if (kind === undefined) return [];
    const owners = new Set(kind === 'groups' ? await membersOf(store.db, name) : [name]);
    return reports.sessions().filter(({ user }) => owners.has(user));
  }

  async function lookAtFolder(
    state: ShareState,
    { folder, usedBytes, quotaBytes = 0 }: ShareFolderState,
    known: ReadonlyMap<string, ToldOfFullness>,
  ): Promise<void> {
    const place = `${state.account}/${state.share}/${folder}`;
    const before = known.get(place) ?? nothingTold;
    const { told, tell } = judgeFullness({ usedBytes, quotaBytes }, before, clock.now());
    if (tell !== undefined) {
      const here = await ownersHere(folder);
      if (here.length === 0) return; // it is told when they come
      const whose = folder.startsWith('groups/') ? `Your group's folder ${folder}` : 'Your workspace';
      tellPeople(
        here,
        `${whose} is ${fullnessInWords({ usedBytes, quotaBytes })}. When it is full, nothing can be saved there. What takes most: du -xh --max-depth=2 ~/notebooks/remote | sort -h | tail`,
      );
      log.info({ place, usedBytes, quotaBytes }, 'somebody is told that their workspace is nearly full');
    }
    if (told.level !== before.level || tell !== undefined) await saveFullness(store.db, place, told);
  }

  async function look(
    record: ResourceRecord,
    state: ShareState,
    known: ReadonlyMap<string, ToldOfFullness>,
    signal: AbortSignal,
  ): Promise<ShareFullness & { places: string[] }> {
    const place = `${state.account}/${state.share}`;
    const before = known.get(place) ?? nothingTold;
    const { told, tell } = judgeFullness(state, before, clock.now());
    if (told.level !== before.level || tell !== undefined) await saveFullness(store.db, place, told);
    if (tell !== undefined) await tellOfShare(record, state, tell);
    const folders = (await engine.listFolders(state.account, state.share, signal)).filter(
      ({ quotaBytes }) => quotaBytes !== undefined,
    );
    for (const folder of folders) await lookAtFolder(state, folder, known);
    return {
      ...state,
      workspaces: folders.length,
      fullWorkspaces: folders.filter((one) => percentUsed(one.usedBytes, one.quotaBytes ?? 0) >= nearlyFull).length,
      places: [place, ...folders.map(({ folder }) => `${place}/${folder}`)],
    };
  }

  return {
    shares: () => seen,
    async pass(signal) {
      const now = clock.now();
      if (now < nextLookAt && nextLookAt - now <= lookEvery) return nextLookAt - now;
      const records = (
        await findResources(store.db, { type: 'Microsoft.Storage/storageAccounts/fileServices/shares' })
      ).filter(({ deletingSince }) => deletingSince === undefined);
      const states = records.length === 0 ? [] : await engine.listShares(signal);
      const known = await findFullness(store.db);
      const looks: Awaited<ReturnType<typeof look>>[] = [];
      for (const record of records) {
        const { account, share } = engineNamesOf(record.id);
        const state = states.find((one) => one.account === account && one.share === share);
        if (state === undefined) continue;
        try {
          looks.push(await look(record, state, known, signal));
        } catch (error) {
          if (!(error instanceof PoolhouseError) || error.code !== 'ShareNotFound') throw error; // it went meanwhile
        }
      }
      const places = new Set(looks.flatMap((one) => one.places));
      await forgetFullness(store.db, [...known.keys()].filter((place) => !places.has(place))); // prettier-ignore
      seen = looks.map(({ places: _places, ...facts }) => facts);
      nextLookAt = now + lookEvery;
      return lookEvery;
    },
  };
}
