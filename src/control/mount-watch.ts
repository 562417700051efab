/**
 * Looks after what instances have mounted: asks inside (images/recipes/base/files/check-mounts), keeps nobody new coming to an
 * instance with a mount that is bad, and has it mounted again. What is not well although it was tried counts as unhealthy, which
 * is a matter of automatic repairs then (`plan-repairs.ts`).
 *
 * A look is a program run inside: so it is not part of a pass, which only begins the looks that are due.
 */
import type { EpochMillis } from '../core/time.ts';
import type { EngineInstance } from '../engines/engine.ts';
import {
  describeMounts,
  describeTrouble,
  isBad,
  isBeyondRepair,
  judgeMounts,
  planMountRepairs,
  noteTry,
  type MountTrouble,
} from '../pool/judge-mounts.ts';
import type { HeldBack } from '../pool/routing-table.ts';
import { readPoolTags } from '../providers/compute/pool-tags.ts';
import { readScaleSet } from '../providers/compute/scale-set-model.ts';
import { repairsSuspended } from '../providers/compute/scale-sets.ts';
import { noteActivity } from '../store/activity-log.ts';
import { findInstances, type InstanceRecord } from '../store/instance-records.ts';
import { findResources, type ResourceRecord } from '../store/resource-records.ts';
import { createAskMounts, type AskMounts } from './ask-mounts.ts';
import type { World } from './world.ts';

const lookEvery = 15_000;
/** Where something is bad. */
const lookAgain = 5_000;
/** Where nothing is attached, and nothing was found. */
const lookSeldom = 60_000;
/** Looks under way at a time. */
const mostLooks = 4;
const noRoom = 500;
/** What looks may use of the host's CPUs, and what one of them costs. */
const cpuShare = 0.05;
const cpuMilliseconds = 100;

const operation = 'Microsoft.Compute/virtualMachineScaleSets/virtualMachines/mountHealth/action';

interface Watched {
  lookedAt: EpochMillis;
  /** The last look found any mount at all. */
  hasMounts: boolean;
  troubles: readonly MountTrouble[];
}

type Standing = 'well' | 'bad' | 'beyond repair';
const levels = { well: 'Informational', bad: 'Warning', 'beyond repair': 'Error' } as const;

export interface MountWatch {
  pass(signal: AbortSignal): Promise<number>;
  /** Waits until no look is under way. */
  idle(): Promise<void>;
}

export function createMountWatch(world: World, ask: AskMounts = createAskMounts(world)): MountWatch {
  const { store, engine, live, observer, clock, log } = world;
  /** By the instance's name. */
  const watched = new Map<string, Watched>();
  const standings = new Map<string, Standing>();
  const underWay = new Map<string, Promise<void>>();
  let replacing: ReadonlySet<string> = new Set();
  let isolated: ReadonlySet<string> = new Set();

  function dueAt(instance: EngineInstance, running: number): EpochMillis {
    const known = watched.get(instance.name);
    if (known === undefined) return 0;
    const { lookedAt, troubles, hasMounts } = known;
    if (troubles.length > 0) return lookedAt + lookAgain;
    const isBare = !hasMounts && instance.attachments.length === 0;
    const affordable = (running * cpuMilliseconds) / (cpuShare * engine.capabilities().cpus);
    return lookedAt + Math.max(isBare ? lookSeldom : lookEvery, affordable);
  }

  async function look(instance: EngineInstance, record: InstanceRecord, signal: AbortSignal): Promise<void> {
    const { name } = instance;
    const before = watched.get(name);
    try {
      const found = await ask.look(instance, { isolated: isolated.has(name) }, signal);
      const troubles = judgeMounts(before?.troubles ?? [], found, clock.now());
      watched.set(name, { lookedAt: clock.now(), hasMounts: found.length > 0, troubles });
    } catch (error) {
      if (signal.aborted) return;
      // What cannot be asked is as it was last.
      watched.set(name, { hasMounts: true, troubles: [], ...before, lookedAt: clock.now() });
      log.warn({ err: error, instance: name }, 'nobody could say how the mounts of an instance are: it is asked again');
      return;
    }
    await tell(record);
    const tried = await repair(instance, signal);
    if (tried) await tell(record);
  }

  /** @returns whether anything was tried */
  async function repair(instance: EngineInstance, signal: AbortSignal): Promise<boolean> {
    const { name } = instance;
    const known = watched.get(name);
    if (known === undefined) return false;
    let { troubles } = known;
    let tried = false;
    for (const one of planMountRepairs(troubles, clock.now())) {
      const mended = await ask.mend(instance, one, signal);
      if (mended === 'not tried') continue;
      tried = true;
      const failure = mended === 'mended' ? undefined : mended.failure;
      observer.mountRepaired(failure === undefined ? 'succeeded' : 'failed');
      const facts = { instance: name, path: one.path };
      if (failure === undefined) log.info(facts, 'a mount that was bad was mounted again');
      else log.warn(facts, `a mount that is bad could not be mounted again: ${failure}`);
      troubles = troubles.map((trouble) =>
        trouble.path === one.path ? noteTry(trouble, failure, clock.now()) : trouble,
      );
    }
    if (!tried) return false;
    // Whether it helped is looked at without delay.
    watched.set(name, { ...known, troubles, lookedAt: 0 });
    world.changed();
    return true;
  }

  /** Tells everybody how an instance stands. */
  async function tell(record: InstanceRecord): Promise<void> {
    const now = clock.now();
    const { name, hostname, instanceId, scaleSetKey } = record;
    const bad = (watched.get(name)?.troubles ?? []).filter((trouble) => isBad(trouble, now));
    const isBeyond = bad.some((trouble) => isBeyondRepair(trouble, now));
    const standing: Standing = bad.length === 0 ? 'well' : isBeyond ? 'beyond repair' : 'bad';
    const before = standings.get(name) ?? 'well';
    standings.set(name, standing);
    publish();
    if (standing === before) return;
    const reason = bad.map(describeTrouble).join('; ');
    const message =
      standing === 'well'
        ? 'has its mounts again, and takes new people.'
        : `takes nobody new${standing === 'bad' ? '' : ', and mending it did not help'}: ${reason}.`;
    const facts = { instance: name, mounts: bad.map(({ path, state, since }) => ({ path, state, since })) };
    if (standing === 'well') log.info(facts, `${hostname} ${message}`);
    else log.warn(facts, `${hostname} ${message}`);
    world.changed();
    const set = (await findResources(store.db, { type: 'Microsoft.Compute/virtualMachineScaleSets' })).find(
      ({ key }) => key === scaleSetKey,
    );
    if (set === undefined) return;
    await noteActivity(store.db, {
      ...{ id: world.newId(), at: now, resourceId: set.id, instanceId, operation, caller: 'poolhouse' },
      status: standing === 'well' ? 'Succeeded' : 'Failed',
      level: levels[standing],
      message: `${hostname} ${message}`,
      properties: { instance: name, hostname },
    });
  }

  function publish(): void {
    const now = clock.now();
    const held = new Map<string, HeldBack>();
    for (const [name, { troubles }] of watched) {
      const reason = describeMounts(troubles, { replaced: replacing.has(name) }, now);
      if (reason === undefined) continue;
      held.set(name, { reason, unhealthy: troubles.some((trouble) => isBeyondRepair(trouble, now)) });
    }
    live.setMounts(held);
  }

  return {
    async pass(signal) {
      if (!engine.capabilities().real) return lookSeldom;
      const records = new Map((await findInstances(store.db)).map((record) => [record.name, record]));
      const sets = new Map(
        (await findResources(store.db, { type: 'Microsoft.Compute/virtualMachineScaleSets' })).map((set) => [
          set.key,
          set,
        ]),
      );
      replacing = new Set(
        [...records.values()].flatMap(({ name, scaleSetKey }) => (isRepaired(sets.get(scaleSetKey)) ? [name] : [])),
      );
      isolated = new Set(
        [...records.values()].flatMap(({ name, scaleSetKey, state }) => {
          const set = sets.get(scaleSetKey);
          const isAsked = set !== undefined && readPoolTags(set.document).isolation === 'user';
          // Also while somebody is on a machine whose pool's tag is another since: nothing is missing there.
          const isShown = state.mounts?.some(({ shown }) => shown === 'workspaces') ?? false;
          return isAsked || isShown ? [name] : [];
        }),
      );
      const running = live.engineInstances().filter(({ name, power, made }) => {
        const record = records.get(name);
        return power === 'running' && made && record !== undefined && isWatched(record);
      });
      const names = new Set(running.map(({ name }) => name));
      for (const known of [watched, standings])
        for (const name of known.keys()) if (!names.has(name) && !underWay.has(name)) known.delete(name);
      publish();
      let next = lookEvery;
      const waiting = running
        .filter(({ name }) => !underWay.has(name))
        .map((instance) => ({ instance, at: dueAt(instance, running.length) }))
        .toSorted((a, b) => a.at - b.at);
      for (const { instance, at } of waiting) {
        const record = records.get(instance.name);
        const wait = at - clock.now();
        if (wait > 0 || underWay.size >= mostLooks || record === undefined) {
          next = Math.min(next, Math.max(wait, noRoom));
          continue;
        }
        const looking = look(instance, record, signal)
          .catch((error: unknown) => {
            log.error({ err: error, instance: instance.name }, 'a look at the mounts of an instance failed');
          })
          .finally(() => underWay.delete(instance.name));
        underWay.set(instance.name, looking);
        next = Math.min(next, lookAgain);
      }
      return next;
    },
    async idle() {
      await Promise.all(underWay.values());
    },
  };
}

/** A script may mount and unmount as it likes, and what goes is nobody's to mend. */
function isWatched({ state }: InstanceRecord): boolean {
  const isAtWork = Object.values(state.extensions).some(({ status }) => status === 'running');
  return state.provisioned !== undefined && state.removal === undefined && !isAtWork;
}

function isRepaired(set: ResourceRecord | undefined): boolean {
  return set !== undefined && !repairsSuspended(set) && readScaleSet(set.document).repairs !== undefined;
}
