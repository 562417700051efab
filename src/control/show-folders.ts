/**
 * Carries out what was decided about the folders that an instance is shown. The engine attaches and detaches; a program inside
 * (images/recipes/base/files/settle) makes the places for them, which are root's, and does what is done as the person.
 */
import { errorBodyOf, PoolhouseError } from '../core/errors.ts';
import type { EngineInstance } from '../engines/engine.ts';
import type { AskedMount } from '../pool/instance-state.ts';
import { workspaceOf, type AttachmentStep } from '../pool/plan-attachments.ts';
import { updateInstanceState, type InstanceRecord } from '../store/instance-records.ts';
import { instanceAccounts, type InstanceAccounts, type InstanceUser } from './instance-users.ts';
import { rescueTerms } from './rescue.ts';
import { ensureWorkspaces, onlyOf, prepareWorkspaces, showWorkspaces } from './workspaces.ts';
import type { World } from './world.ts';

/** Of moving what lies in a home on the machine; everything else is done in moments. */
const moveLimit = 5 * 60_000;
const usualLimit = 30_000;
const program = ['/usr/lib/poolhouse/settle'];

/** Why something could not be shown or taken away, by whose it is: a person, a group, or '' for a share. */
export type ShowFailures = Map<string, Error>;

/**
 * Carries out the steps in their order. What fails for somebody ends what is to be done for them, and for nobody else.
 *
 * @param found the instance as the engine says now; of one that does not run folders are only taken away
 */
export async function showFolders(
  world: World,
  instance: InstanceRecord,
  found: EngineInstance,
  mounts: readonly AskedMount[],
  steps: readonly AttachmentStep[],
  signal: AbortSignal,
): Promise<ShowFailures> {
  const { engine, store, log } = world;
  const failures: ShowFailures = new Map();
  const isRunning = found.power === 'running';
  const accounts = await instanceAccounts(world, instance);
  const people = new Map(accounts.users.map(({ name, uid, gid, person }) => [name, { name, uid, gid, person }]));
  /** Who is shown something new, by the mount that it is of. */
  const arrived = new Map<string, Set<string>>();

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

  function userOf(name: string): InstanceUser {
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
    if (as === 'workspace' || as === 'group') {
      const whose = as === 'workspace' ? onlyOf({ ...accounts, groups: [] }, of) : groupOnly(accounts, of);
      const there = await ensureWorkspaces(world, { account, share }, whose, signal);
      if (!there.includes(folder))
        throw new PoolhouseError('Unavailable', `The folder '${folder}' could not be made on the share '${share}'.`, {
          retryable: true,
        });
      await inside({ do: 'points', target: mount, folders: [folder] });
    } else if (as === 'home') {
      const rescue = { mountPoint: mount, ...(await rescueTerms(world, instance)) };
      await inside({ do: 'home', user: userOf(of), workspace: `${mount}/${workspaceOf(of)}`, rescue }, moveLimit);
    }
    const isPersons = (as === 'workspace' || as === 'home') && userOf(of).person;
    // What they do there from now on may lie on its disk, too: it is rescued when it goes.
    if (isPersons) await change((state) => ({ ...state, visitors: [...new Set([...(state.visitors ?? []), of])] }));
    await engine.attachShare(instance.name, shown, signal);
    log.info({ audit: 'shown', instance: instance.name, account, share, folder, path }, 'a folder of a share is shown');
    if (isPersons && as === 'workspace') await beTheirs(userOf(of), path);
    // As where a script mounts it: everybody's links lead there, also of those who were never on this machine.
    const whole = { account, share, target: path, whole: true };
    if (as === 'share') await prepareWorkspaces(world, instance.name, whole, signal);
    if (isPersons) arrived.set(mount, (arrived.get(mount) ?? new Set()).add(of));
  }

  /** Who has a name now is not shown the workspace of who had it before. */
  async function beTheirs(user: InstanceUser, path: string): Promise<void> {
    try {
      await inside({ do: 'arrive', user, workspace: path });
    } catch (error) {
      await engine.detachShare(instance.name, path, signal);
      throw error;
    }
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
  for (const [target, names] of arrived) {
    const mount = mounts.find((one) => one.target === target);
    if (mount === undefined || !engine.capabilities().real) continue;
    const users = accounts.users.filter(({ name }) => names.has(name) || !people.get(name)?.person);
    const groups = accounts.groups.filter(({ members }) => members.some((name) => names.has(name)));
    const { account, share } = mount;
    const shown = { account, share, target, whole: isWhole(found, steps, target) };
    await showWorkspaces(world, instance, shown, { users, groups }, signal);
  }
  return failures;
}

/** The folder of one group, and nobody's own. */
const groupOnly = ({ groups }: InstanceAccounts, name: string) => ({
  users: [],
  groups: groups.filter((group) => group.name === name),
});

/** Whether all of a share is shown there when the steps are done. */
function isWhole({ attachments }: EngineInstance, steps: readonly AttachmentStep[], target: string): boolean {
  const last = steps.findLast(
    (step) =>
      (step.step === 'detach' && step.path === target) || (step.step === 'attach' && step.shown.path === target),
  );
  return last === undefined ? attachments.some(({ path }) => path === target) : last.step === 'attach';
}

/** It was said by a program in an instance. */
const lastLine = (text: string) => (text.trim().split('\n').at(-1) ?? '').replace(/\p{C}/gu, ' ').slice(0, 200);
