/**
 * The folders of people and groups on shares: `notebooks/USER` and `groups/GROUP`. Control has them made by the engine; a program
 * inside an instance shows people theirs. What cannot be made or shown is a line in the log: the mount is there all the same.
 */
import { errorBodyOf } from '../core/errors.ts';
import { ownerOf, planWorkspaces, wantedFolders, type WantedFolder } from '../pool/plan-workspaces.ts';
import { findShare } from '../providers/storage/find-share.ts';
import { findInstances, type InstanceRecord } from '../store/instance-records.ts';
import { instanceAccounts, type InstanceAccounts } from './instance-users.ts';
import { readModel } from './instance-model.ts';
import type { ShareMemory } from './workspace-memory.ts';
import type { World } from './world.ts';

export interface ShareName {
  account: string;
  share: string;
}

/** A share that an instance shows. */
export interface ShownShare extends ShareName {
  /** Where it is mounted inside. */
  target: string;
  /** False where the folders of people alone are shown, below `target` as they would be below the share's root. */
  whole: boolean;
  /** Mode of the share's own root, for one that was never prepared; undefined: it is left as it is. */
  rootMode?: string;
}

/** What is there is looked at again after so long; somebody with root's rights inside may have removed it. */
const freshMilliseconds = 60_000;
const atOnce = 4;
/** A mount waits no longer for folders: the loop makes the others. */
const patienceMilliseconds = 6_000;
/** What `exec` gives where an image has none of it. */
const noProgram = 127;
const program = ['/usr/lib/poolhouse/workspace'];

/**
 * Makes the folders of people and groups on a share, with their quotas, unless they are there. Cheap where nothing is to be done.
 *
 * @param accounts of whom, as `instanceAccounts` has them; of one person: those with `onlyOf`
 * @returns the folders that are there now, from the share's root; the log says why one is not
 */
export async function ensureWorkspaces(
  world: World,
  name: ShareName,
  { users, groups }: Pick<InstanceAccounts, 'users' | 'groups'>,
  signal: AbortSignal,
): Promise<string[]> {
  const found = await findShare(world.store.db, name);
  if (found === undefined) return [];
  const wanted = wantedFolders(users, groups, found.userQuotaBytes);
  return world.workspaces.turn(found.incarnation, () =>
    ensureFolders(world, name, wanted, world.workspaces.of(found.incarnation), signal),
  );
}

/** One person of them with their groups, for whom to make and to show folders. */
export function onlyOf({ users, groups }: InstanceAccounts, user: string): InstanceAccounts {
  return {
    users: users.filter((one) => one.name === user),
    groups: groups.filter((one) => one.members.includes(user)),
  };
}

async function ensureFolders(
  world: World,
  { account, share }: ShareName,
  wanted: readonly WantedFolder[],
  memory: ShareMemory,
  signal: AbortSignal,
): Promise<string[]> {
  const { engine, clock, log } = world;
  const isFresh = (known: ShareMemory['made'], one: WantedFolder) => {
    const last = known.get(one.folder);
    return last?.as === JSON.stringify(one) && clock.now() - last.at < freshMilliseconds;
  };
  const there = new Set(wanted.filter((one) => isFresh(memory.made, one)).map(({ folder }) => folder));
  const stale = wanted.filter((one) => !there.has(one.folder) && !isFresh(memory.failed, one));
  if (stale.length === 0) return [...there];
  const rooms = await engine.listFolders(account, share, signal);
  const missing = new Set(planWorkspaces(stale, { ...memory, rooms }));
  const settle = (one: WantedFolder) => {
    there.add(one.folder);
    memory.made.set(one.folder, { as: JSON.stringify(one), at: clock.now() });
  };
  for (const one of stale) if (!missing.has(one)) settle(one);
  const make = async (one: WantedFolder) => {
    const { folder, uid, gid, mode, quotaBytes, claimed } = one;
    const limit = quotaBytes === undefined ? {} : { quotaBytes };
    try {
      const outcome = await engine.ensureFolder({ account, share, folder, uid, gid, mode, claimed, ...limit }, signal);
      if (claimed) memory.owners.set(folder, ownerOf(one));
      if (outcome === 'made') log.info({ account, share, folder, uid, quotaBytes }, 'a folder was made on a share');
      settle(one);
    } catch (error) {
      const { code, message } = errorBodyOf(error);
      if (signal.aborted || code === 'EngineUnavailable') throw error;
      memory.failed.set(folder, { as: JSON.stringify(one), at: clock.now() });
      log.warn({ err: error, account, share, folder, code }, `a folder could not be made on a share: ${message}`);
    }
  };
  const waiting = [...missing];
  while (waiting.length > 0) await Promise.all(waiting.splice(0, atOnce).map(make));
  return [...there];
}

/** Makes the folders on a share that an instance has just mounted as a whole, and shows them there. */
export async function prepareWorkspaces(
  world: World,
  instanceName: string,
  shown: ShownShare,
  signal: AbortSignal,
): Promise<void> {
  const instance = (await findInstances(world.store.db)).find((one) => one.name === instanceName);
  if (instance === undefined) return;
  const accounts = await instanceAccounts(world, instance);
  if (accounts.users.length === 0) return;
  try {
    const limited = AbortSignal.any([signal, AbortSignal.timeout(patienceMilliseconds)]);
    const made = ensureWorkspaces(world, shown, accounts, limited);
    await Promise.race([made, aborted(limited)]);
  } catch (error) {
    signal.throwIfAborted();
    world.log.warn({ err: error, instance: instanceName }, 'folders on a share could not be made: it is tried again');
  }
  await showWorkspaces(world, instance, shown, accounts, signal);
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const stop = () => {
      reject(signal.reason as Error); // what `AbortSignal` gives where nobody says otherwise
    };
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}

/** The same on every share that the instance has whole; for people who came after the mount. */
export async function prepareAllWorkspaces(
  world: World,
  { name }: Pick<InstanceRecord, 'name'>,
  signal: AbortSignal,
  attachments = world.live.engineInstances().find((instance) => instance.name === name)?.attachments ?? [],
): Promise<void> {
  for (const { account, share, folder, path } of attachments)
    if (folder === '') await prepareWorkspaces(world, name, { account, share, target: path, whole: true }, signal);
}

/**
 * Shows people their folders inside an instance: links in their homes, the skeleton in a new workspace, and the rights of groups.
 *
 * @param accounts whose folders are shown there: all, or those with `onlyOf`
 */
export async function showWorkspaces(
  world: World,
  instance: Pick<InstanceRecord, 'name' | 'scaleSetKey' | 'modelVersion'>,
  { account, share, target, whole, rootMode }: ShownShare,
  { users, groups }: InstanceAccounts,
  signal: AbortSignal,
): Promise<void> {
  const model = await readModel(world, instance.scaleSetKey, instance.modelVersion);
  const groupsOf = (user: string) => groups.filter((one) => one.members.includes(user)).map((one) => one.name);
  const document = {
    mountPoint: target,
    share,
    whole,
    admin: model?.profile.admin.name ?? '',
    groups: groups.map(({ name, gid }) => ({ name, gid })),
    users: users.map(({ name, uid, gid, person }) => ({ name, uid, gid, person, groups: groupsOf(name) })),
    ...(rootMode === undefined ? {} : { rootMode }),
  };
  await run(world, instance.name, document, { account, share }, signal);
}

async function run(
  { engine, log }: World,
  instance: string,
  document: object,
  share: ShareName,
  signal: AbortSignal,
): Promise<void> {
  const options = { stdin: JSON.stringify(document), timeoutMs: 30_000 };
  const { exitCode, stderr } = await engine.exec(instance, program, options, signal);
  if (exitCode !== 0 && exitCode !== noProgram)
    log.warn(
      { instance, ...share, exitCode, stderr: stderr.slice(-1_000) },
      'the folders of people could not be prepared on a share',
    );
}
