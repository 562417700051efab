/** Reads a scale set as the plan looks at it: what is asked for in its document, beside what store, engine and gateways say. */
import type { EpochMillis } from '../core/time.ts';
import type { EngineInstance } from '../engines/engine.ts';
import { poolAccounts } from '../identity/render-accounts.ts';
import { chooseEvictions } from '../pool/choose-evictions.ts';
import type { InstanceSnapshot, ScaleSetSnapshot } from '../pool/scale-set-snapshot.ts';
import { isPrepared } from '../pool/scale-set-snapshot.ts';
import { readPoolTags } from '../providers/compute/pool-tags.ts';
import { readScaleSet, type ScaleSetModel } from '../providers/compute/scale-set-model.ts';
import { modelVersion } from '../providers/compute/model-version.ts';
import { promisedInstances } from '../providers/compute/promised-memory.ts';
import { repairsSuspended, upgradeCanceled } from '../providers/compute/scale-sets.ts';
import { sizeOf } from '../providers/compute/sizes.ts';
import type { People } from '../providers/identity/people.ts';
import { poolNameOf } from '../providers/identity/pool-names.ts';
import type { InstanceRecord } from '../store/instance-records.ts';
import type { ResourceRecord } from '../store/resource-records.ts';
import type { ImageState } from './image-keeper.ts';
import { instanceModel, type InstanceModel } from './instance-model.ts';
import type { Placements } from './placements.ts';
import { peopleDigest } from './provision-document.ts';
import { automaticChange } from './scale-automatically.ts';
import type { World } from './world.ts';

export interface SnapshotParts {
  record: ResourceRecord;
  instances: readonly InstanceRecord[];
  /** By version: those that its instances are made of. */
  models: ReadonlyMap<string, InstanceModel>;
  engine: ReadonlyMap<string, EngineInstance>;
  people: People;
  image: ImageState;
  /** Standby instances that the host's memory allows. */
  standbyRoom: number;
  /** How many of them others need the memory of. */
  evictions: number;
  isUnderWay: (instanceId: number) => boolean;
}

/** One whose making was cut off is as good as none: it is made again. */
const powerOf = (found: EngineInstance | undefined): InstanceSnapshot['power'] =>
  found?.made === true ? found.power : 'absent';

export type TakeSnapshot = (parts: SnapshotParts, now: EpochMillis) => ScaleSetSnapshot;

export function createTakeSnapshot(
  world: World,
  placements: Pick<Placements, 'usersOn' | 'activeUsersOn'>,
): TakeSnapshot {
  /** Since when the probes of an instance fail, by its name. A control that begins anew counts from its beginning. */
  const unhealthySince = new Map<string, EpochMillis>();

  function healthOf(one: InstanceRecord, isServing: boolean, now: EpochMillis) {
    const isReal = world.engine.capabilities().real;
    const { inRotation, healthy } = world.live.rotation(one.name);
    if (!isServing || !isReal || healthy) unhealthySince.delete(one.name);
    else if (!unhealthySince.has(one.name)) unhealthySince.set(one.name, now);
    return {
      // Nobody probes what is simulated.
      inRotation: isReal ? inRotation : isServing && one.state.draining === undefined,
      healthy: isReal ? healthy : true,
      unhealthySince: unhealthySince.get(one.name),
    };
  }

  return function takeSnapshot(
    { record, instances, models, engine, people, image, standbyRoom, evictions, isUnderWay },
    now,
  ) {
    const asked = readScaleSet(record.document);
    const tags = readPoolTags(record.document);
    const accounts = poolAccounts(people.users, people.groups, poolNameOf(record.id));
    const latest = latestOf(record, asked);
    const peopleWanted = peopleDigest(accounts, tags);
    const isKnown = world.reports.isComplete(now);

    const take = (one: InstanceRecord): InstanceSnapshot => {
      const model = models.get(one.modelVersion);
      const strangers = world.reports.strangersOn(one.name);
      const active = isKnown ? placements.activeUsersOn(one.name) : undefined;
      const found = {
        instanceId: one.instanceId,
        state: one.state,
        power: powerOf(engine.get(one.name)),
        provision: model?.provisionDigest ?? '',
        extensions: model?.extensions ?? [],
      };
      return {
        ...found,
        people: peopleWanted(engine.get(one.name)?.attachments ?? []),
        behind: behindOf(model, latest),
        connections: world.reports.connections(one.name),
        users: isKnown ? placements.usersOn(one.name) : undefined,
        active: active === undefined ? undefined : active + strangers,
        ...healthOf(one, found.power === 'running' && isPrepared(found), now),
        busy: isUnderWay(one.instanceId),
      };
    };
    return {
      capacity: asked.capacity,
      automatic: automaticChange(record) !== undefined,
      generation: record.generation,
      deleting: record.deletingSince !== undefined,
      drainMilliseconds: tags.drainMilliseconds,
      noticeMilliseconds: asked.noticeMilliseconds,
      scaleInRule: asked.scaleInRule,
      standby: { ...tags.standby, room: standbyRoom },
      upgrade: { ...asked.upgrade, canceled: upgradeCanceled(record) },
      repairs: repairsSuspended(record) ? undefined : asked.repairs,
      evictions,
      evictionPolicy: asked.spot?.evictionPolicy ?? 'Deallocate',
      imageReady: image.ready,
      imageBusy: image.busy,
      imageRetryAt: image.retryAt,
      instances: instances.map(take),
    };
  };
}

const latestOf = (record: ResourceRecord, asked: ScaleSetModel): InstanceModel =>
  instanceModel(modelVersion(record.document), asked.profile, sizeOf(asked.sizeName).name);

function behindOf(model: InstanceModel | undefined, latest: InstanceModel): InstanceSnapshot['behind'] {
  if (model === undefined || model.version === latest.version) return 'nothing';
  return model.machineDigest === latest.machineDigest ? 'settings' : 'machine';
}

/** What the memory of the host means for each scale set. */
export interface Room {
  standbyRoom: number;
  evictions: number;
}

/**
 * How many standby instances of each scale set the host's memory allows, beside what all capacities promise: handed out in one
 * order, so that two sets do not take the same room. And how many instances of preemptible sets have to go.
 */
export function roomOf(
  records: readonly ResourceRecord[],
  instances: ReadonlyMap<string, readonly InstanceRecord[]>,
  hostBytes: number,
): Map<string, Room> {
  const living = records.filter(({ deletingSince }) => deletingSince === undefined);
  const known = living.map((record) => {
    const model = readScaleSet(record.document);
    const count = promisedInstances(model, instances.get(record.key) ?? []);
    const size = sizeOf(model.sizeName).memoryGiB * 2 ** 30;
    const wanted = readPoolTags(record.document).standby.count;
    return { key: record.key, size, count, wanted, isPreemptible: model.spot !== undefined };
  });
  let free = hostBytes - known.reduce((sum, { count, size }) => sum + count * size, 0);
  const evictions = chooseEvictions(known, hostBytes);
  const rooms = new Map<string, Room>();
  for (const { key, size, wanted } of known.toSorted((a, b) => (a.key < b.key ? -1 : 1))) {
    const standbyRoom = Math.max(0, Math.min(wanted, Math.floor(free / size)));
    free -= standbyRoom * size;
    rooms.set(key, { standbyRoom, evictions: evictions.get(key) ?? 0 });
  }
  return rooms;
}
