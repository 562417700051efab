/**
 * The folders of shares that instances are shown, where those are other than what their scripts mount: who asks for a mount, who
 * signs in, and the loop that looks again all come here. What is done with one instance is done one after the other, each time
 * from what the engine says by then.
 */
import { errorBodyOf, PoolhouseError } from '../core/errors.ts';
import type { EngineInstance } from '../engines/engine.ts';
import { createTurns } from '../core/turns.ts';
import { planAttachments, workspaceOf, type AttachmentStep } from '../pool/plan-attachments.ts';
import type { AskedMount } from '../pool/instance-state.ts';
import { readPoolTags, type PoolTags } from '../providers/compute/pool-tags.ts';
import { findInstances, updateInstanceState, type InstanceRecord } from '../store/instance-records.ts';
import { findResource } from '../store/resource-records.ts';
import { readFolderSnapshot, type SeenPlaces } from './folder-snapshot.ts';
import { showFolders, type ShowFailures } from './show-folders.ts';
import type { World } from './world.ts';

/** Of one instance: root there may ask for as many as it likes. */
const mostMounts = 16;

export interface InstanceFolders {
  /** How a share that an instance asks for is shown there. */
  shownAs(instance: InstanceRecord, target: string): Promise<AskedMount['shown']>;
  /** A share was mounted, or is to be shown by folders from now on: then those of who is there are shown. */
  mounted(instance: InstanceRecord, mount: AskedMount, signal: AbortSignal): Promise<void>;
  /** Shows an instance what it is to be shown by now, and takes away the rest. What failed is told by whose it is. */
  settle(name: string, signal: AbortSignal): Promise<ShowFailures>;
  /**
   * Has folders that it shows seen there again, which a start of the host, or root inside, has taken from sight. What failed is told by
   * its path, and keeps no other from being seen.
   */
  confirm(name: string, signal: AbortSignal): Promise<ShowFailures>;
  /** Something is being done with the instance's folders. */
  isBusy(name: string): boolean;
  /**
   * The work finds the workspace of that person, also where they have gone; then it is shown only until the work has ended. Nothing else
   * is changed meanwhile.
   */
  withWorkspace<T>(name: string, user: string, work: () => Promise<T>, signal: AbortSignal): Promise<T>;
}

export function createInstanceFolders(world: World, places: SeenPlaces): InstanceFolders {
  const { store, engine } = world;
  const turns = createTurns();
  const busy = new Map<string, number>();

  async function inTurn<T>(name: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    busy.set(name, (busy.get(name) ?? 0) + 1);
    try {
      return await turns.take(name, signal, work);
    } finally {
      const left = (busy.get(name) ?? 1) - 1;
      if (left === 0) busy.delete(name);
      else busy.set(name, left);
    }
  }

  async function look(name: string, signal: AbortSignal) {
    const instance = (await findInstances(store.db)).find((one) => one.name === name);
    const found: EngineInstance | undefined = (await engine.list(signal)).find((one) => one.name === name);
    if (instance === undefined || found?.made !== true) return undefined;
    const snapshot = await readFolderSnapshot(world, places, instance, found.attachments);
    return snapshot === undefined ? undefined : { instance, found, snapshot };
  }

  async function tagsOf({ scaleSetKey }: InstanceRecord): Promise<PoolTags> {
    return readPoolTags((await findResource(store.db, scaleSetKey))?.document ?? {});
  }

  const folders: InstanceFolders = {
    async shownAs(instance, target) {
      const before = instance.state.mounts?.find((mount) => mount.target === target)?.shown;
      return before ?? ((await tagsOf(instance)).isolation === 'user' ? 'workspaces' : 'share');
    },

    async mounted(instance, mount, signal) {
      const isNew = !(instance.state.mounts ?? []).some(({ target }) => target === mount.target);
      if (isNew && (instance.state.mounts ?? []).length >= mostMounts) {
        if (mount.shown === 'share') return; // it is attached, and that is found
        throw new PoolhouseError('QuotaExceeded', `${instance.hostname} has mounted ${mostMounts} shares already.`);
      }
      await store.transaction((tx) =>
        updateInstanceState(tx, instance, (state) => {
          const mounts = state.mounts ?? [];
          const isKnown = mounts.some(({ target }) => target === mount.target);
          return {
            ...state,
            mounts: isKnown ? mounts.map((one) => (one.target === mount.target ? mount : one)) : [...mounts, mount],
          };
        }),
      );
      if (mount.shown === 'share') return;
      const failures = await folders.settle(instance.name, signal);
      for (const failure of failures.values()) throw failure;
    },

    settle: (name, signal) =>
      inTurn(name, signal, async () => {
        const seen = await look(name, signal);
        if (seen === undefined || seen.found.power === 'frozen') return new Map<string, Error>();
        return showFolders(
          world,
          seen.instance,
          seen.found,
          seen.snapshot.mounts,
          planAttachments(seen.snapshot),
          signal,
        );
      }),

    confirm: (name, signal) =>
      inTurn(name, signal, async () => {
        const failures: ShowFailures = new Map();
        const found = (await engine.list(signal)).find((one) => one.name === name);
        if (found?.made !== true || found.power === 'frozen') return failures;
        for (const attachment of found.attachments.filter(({ folder }) => folder !== ''))
          await engine.attachShare(name, attachment, signal).catch((error: unknown) => {
            signal.throwIfAborted();
            if (errorBodyOf(error).code === 'EngineUnavailable') throw error;
            failures.set(attachment.path, error instanceof Error ? error : new Error(String(error)));
          });
        return failures;
      }),

    isBusy: (name) => busy.has(name),

    withWorkspace: (name, user, work, signal) =>
      inTurn(name, signal, async () => {
        const seen = await look(name, signal);
        const mount = seen?.snapshot.mounts.find(({ shown }) => shown === 'workspaces');
        if (seen === undefined || mount === undefined) return work();
        const { instance, found, snapshot } = seen;
        const { account, share, target } = mount;
        const folder = workspaceOf(user);
        const path = `${target}/${folder}`;
        if (found.attachments.some((one) => one.path === path)) return work();
        const show = (...steps: AttachmentStep[]) =>
          showFolders(world, instance, { ...found, power: 'running' }, snapshot.mounts, steps, signal);
        const shown = { account, share, folder, path };
        const failures = await show({ step: 'attach', as: 'workspace', of: user, mount: target, shown });
        for (const failure of failures.values()) throw failure;
        try {
          return await work();
        } finally {
          // What fails here is surplus, which the loop takes away.
          const gone: AttachmentStep[] = user === snapshot.admin ? [] : [{ step: 'endProcesses', user }];
          await show(...gone, { step: 'detach', path });
        }
      }),
  };
  return folders;
}
