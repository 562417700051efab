/** What there is to know of one instance, put together for `poolhouse why`: from the store, the loops, and the activity log. */
import { PoolhouseError } from '../core/errors.ts';
import {
  explainInstance,
  type InstanceExplanation,
  type InstanceFacts,
  type PersonFacts,
  type PresentFacts,
} from '../pool/explain-instance.ts';
import { readPoolTags } from '../providers/compute/pool-tags.ts';
import { readScaleSet } from '../providers/compute/scale-set-model.ts';
import { switchedOff } from '../providers/compute/scale-sets.ts';
import { poolNameOf } from '../providers/identity/pool-names.ts';
import { findInstanceActivities, type Activity } from '../store/activity-log.ts';
import { findInstances, findNamedInstance, type InstanceRecord } from '../store/instance-records.ts';
import { findLeases } from '../store/leases.ts';
import { findResource, type ResourceRecord } from '../store/resource-records.ts';
import type { Placements } from './placements.ts';
import { automaticChange } from './scale-automatically.ts';
import type { World } from './world.ts';

/** Of one instance's life. */
const mostActivities = 50;

/** As `poolhouse why --json` prints it: times in ISO 8601. */
export interface WhyDocument extends InstanceExplanation {
  instance: string;
  pool: string;
  instanceId: string;
  present: boolean;
  people: {
    user: string;
    sessions: number;
    kernels: number;
    processes: number;
    activeAt: string | null;
    keptUntil: string | null;
  }[];
  capacity: number | null;
  operatorsCapacity: number | null;
  drainsUntil: string | null;
  history: { at: string; operation: string; status: string; caller: string; message: string }[];
}

/** `InstanceNotFound` where there is none of this name, and never was one that is remembered. */
export async function whyInstance(
  world: World,
  placements: Pick<Placements, 'on'>,
  name: string,
): Promise<WhyDocument> {
  const { store, clock } = world;
  const instance = await findNamedInstance(store.db, name);
  const activities = await findInstanceActivities(store.db, instance?.name ?? name, mostActivities);
  const last = activities[0];
  if (instance === undefined && last === undefined)
    throw new PoolhouseError(
      'InstanceNotFound',
      `There is no instance '${name}', and none of that name is remembered. 'poolhouse status' lists those that there are.`,
    );
  const set = instance === undefined ? undefined : await findResource(store.db, instance.scaleSetKey);
  const present =
    instance === undefined || set === undefined ? undefined : await presentFacts(world, placements, instance, set);
  const facts: InstanceFacts = {
    hostname: instance?.hostname ?? hostnameOf(last) ?? name,
    pool: poolNameOf(set?.id ?? last?.resourceId ?? ''),
    present,
    history: activities,
  };
  const draining = present?.state.draining;
  return {
    instance: facts.hostname,
    pool: facts.pool,
    instanceId: String(instance?.instanceId ?? last?.instanceId ?? ''),
    present: present !== undefined,
    ...explainInstance(facts, clock.now()),
    people: (present?.people ?? []).map((person) => ({
      ...person,
      activeAt: person.activeAt === 0 ? null : isoOf(person.activeAt),
      keptUntil: person.keptUntil === undefined ? null : isoOf(person.keptUntil),
    })),
    capacity: present?.capacity ?? null,
    operatorsCapacity: present === undefined ? null : (present.automatic?.operators ?? present.capacity),
    drainsUntil: draining?.until === undefined ? null : isoOf(draining.until),
    history: activities.map(({ at, operation, status, caller, message }) => ({
      ...{ at: isoOf(at), operation, status, caller, message },
    })),
  };
}

async function presentFacts(
  { store, live, reports }: World,
  placements: Pick<Placements, 'on'>,
  { name, scaleSetKey, state, createdAt }: InstanceRecord,
  set: ResourceRecord,
): Promise<PresentFacts> {
  const { capacity } = readScaleSet(set.document);
  const siblings = await findInstances(store.db, scaleSetKey);
  const leases = (await findLeases(store.db)).filter(({ instance }) => instance === name);
  const people = [...placements.on(name)].map(({ user, sessions, runs, activeAt, kept }): PersonFacts => {
    const keptUntil = kept ? leases.find((lease) => lease.user === user)?.until : undefined;
    return { user, sessions, kernels: runs.kernels, processes: runs.others, keptUntil, activeAt };
  });
  return {
    power: live.instance(name)?.power ?? 'absent',
    inRotation: live.rotation(name).inRotation,
    mounts: live.mounts(name)?.reason ?? '',
    ...{ createdAt, state, capacity, people },
    staying: siblings.filter(({ state: { standby, draining, removal } }) =>
      [standby, draining, removal].every((mark) => mark === undefined),
    ).length,
    automatic: automaticChange(set),
    switchedOff: switchedOff(set),
    idleMilliseconds: readPoolTags(set.document).idleMilliseconds,
    connections: reports.strangersOn(name),
  };
}

function hostnameOf(activity: Activity | undefined): string | undefined {
  const hostname = activity?.properties['hostname'];
  return typeof hostname === 'string' ? hostname : undefined;
}

const isoOf = (at: number) => new Date(at).toISOString();
