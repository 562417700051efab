/**
 * Carries out what was decided about the folders that an instance is shown. The engine attaches and detaches; a program inside
 * (images/recipes/base/files/settle) makes the places for them, which are root's, and does what is done as the person.
 */
import { errorBodyOf, PoolhouseError } from '../core/errors.ts';
import type { EngineInstance } from '../engines/engine.ts';
import { workspaceOf, type AttachmentStep } from '../pool/plan-attachments.ts';
import { updateInstanceState, type InstanceRecord } from '../store/instance-records.ts';
import type { FolderSnapshot } from './folder-snapshot.ts';
import { rescueTerms } from './rescue.ts';
import type { World } from './world.ts';

/** Of moving what lies in a home on the machine; everything else is done in moments. */
const moveLimit = 5 * 60_000;
const usualLimit = 30_000;
const program = ['/usr/lib/poolhouse/settle'];

interface ShownUser {
  name: string;
  uid: number;
  gid: number;
  person: boolean;
}

/** Why something could not be shown or taken away, by whose it is: a person, a group, or '' for a share. */
export type ShowFailures = Map<string, Error>;

/**
 * Carries out the steps in their order. What fails for somebody ends what is to be done for them, and for nobody else.
 *
 * @param found the instance as the engine says now; of one that does not run folders are only taken away
 */
export async function showFolders(
  world: Omit<World, 'folders'>,
  instance: InstanceRecord,
  found: EngineInstance,
  { accounts, admin, adminUid, mounts }: Pick<FolderSnapshot, 'accounts' | 'admin' | 'adminUid' | 'mounts'>,
  steps: readonly AttachmentStep[],
  signal: AbortSignal,
): Promise<ShowFailures> {
  const { engine, store, log } = world;
  const failures: ShowFailures = new Map();
  const isRunning = found.power === 'running';
  const people = new Map<string, ShownUser>([
    ...accounts.people.map(({ name, uid }): [string, ShownUser] => [name, { name, uid, gid: uid, person: true }]),
    [admin, { name: admin, uid: adminUid, gid: adminUid, person: false }],
  ]);

  async function inside(document: object, timeoutMs = usualLimit): Promise<void> {
    if (!engine.capabilities().real) return;
    const result = await engine.exec(instance.name, program, { stdin: JSON.stringify(document), timeoutMs }, signal);
    if (result.exitCode !== 0)
      throw new PoolhouseError(
        'Unavailable',
        `A program in ${instance.hostname} failed (exit code ${result.exitCode}): ${lastLine(result.stderr)}`,
        { retryable: true },
      );
  }

  function userOf(name: string): ShownUser {
    const user = people.get(name);
    if (user === undefined) throw new PoolhouseError('NotFound', `'${name}' has no account in this pool.`);
    return user;
  }

  async function endProcesses(name: string): Promise<void> {
    const user = people.get(name);
    // Those of who is no person of the pool any more were ended with their account.
    if (isRunning && user !== undefined) await inside({ do: 'end', uid: user.uid });
  }

  async function attach({ as, of, mount, shown }: Extract<AttachmentStep, { step: 'attach' }>): Promise<void> {
    const { account, share, folder, path } = shown;
    const limitless = { account, share, folder };
    if (as === 'workspace') {
      const { uid, gid } = userOf(of);
      await engine.ensureFolder({ ...limitless, uid, gid, mode: 0o700 }, signal);
      await inside({ do: 'points', target: mount, folders: [folder] });
    } else if (as === 'group') {
      const gid = accounts.groups.find(({ name }) => name === of)?.gid ?? 0;
      await engine.ensureFolder({ ...limitless, uid: 0, gid, mode: 0o2770 }, signal);
      await inside({ do: 'points', target: mount, folders: [folder] });
    } else if (as === 'home') {
      const rescue = { mountPoint: mount, ...(await rescueTerms(world, instance)), draining: 'a home that survives' };
      await inside({ do: 'home', user: userOf(of), workspace: `${mount}/${workspaceOf(of)}`, rescue }, moveLimit);
    }
    // What they do there from now on may lie on its disk, too: it is rescued when it goes.
    if (as === 'workspace' && userOf(of).person)
      await change((state) => ({ ...state, visitors: [...new Set([...(state.visitors ?? []), of])] }));
    await engine.attachShare(instance.name, shown, signal);
    log.info({ audit: 'shown', instance: instance.name, account, share, folder, path }, 'a folder of a share is shown');
    if ((as === 'workspace' || as === 'home') && userOf(of).person)
      await inside({ do: 'arrive', user: userOf(of), workspace: `${mount}/${workspaceOf(of)}` });
  }

  const change = (how: Parameters<typeof updateInstanceState>[2]) =>
    store.transaction((tx) => updateInstanceState(tx, instance, how));

  async function carryOut(step: AttachmentStep): Promise<void> {
    switch (step.step) {
      case 'endProcesses':
        return endProcesses(step.user);
      case 'detach':
        await engine.detachShare(instance.name, step.path, signal);
        log.info({ audit: 'taken away', instance: instance.name, path: step.path }, 'a folder is shown no longer');
        return;
      case 'attach':
        return attach(step);
      case 'note': {
        const noted = mounts.map((mount) => (mount.target === step.mount ? { ...mount, shown: step.shown } : mount));
        return change((state) => ({ ...state, mounts: noted }));
      }
    }
  }

  for (const step of steps) {
    if (!isRunning && step.step === 'attach' && step.as !== 'share') continue;
    const of = step.step === 'attach' ? step.of : step.step === 'endProcesses' ? step.user : '';
    if (failures.has(of) && step.step === 'attach') continue;
    // The mount has what it is to show by now, or it is looked at again.
    if (failures.size > 0 && step.step === 'note') continue;
    try {
      await carryOut(step);
    } catch (error) {
      signal.throwIfAborted();
      if (errorBodyOf(error).code === 'EngineUnavailable') throw error;
      failures.set(of, error instanceof Error ? error : new Error(String(error)));
    }
  }
  return failures;
}

/** It was said by a program in an instance. */
const lastLine = (text: string) => (text.trim().split('\n').at(-1) ?? '').replace(/\p{C}/gu, ' ').slice(0, 200);
