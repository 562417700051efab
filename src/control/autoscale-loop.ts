/**
 * Autoscale: looks at each scale set that has an enabled setting, has `pool/autoscale` decide, and changes the capacity.
 *
 * A change is noted with the setting, then made, then told (to the activity log, and to whom the setting's notifications
 * name). Whatever ends between two of these steps: what was not made is decided anew, what was made is told by the next
 * pass, and nothing is done twice.
 */
import { PoolhouseError } from '../core/errors.ts';
import type { EpochMillis } from '../core/time.ts';
import { chooseProfile } from '../pool/autoscale/choose-profile.ts';
import { decideAutoscale, type AutoscaleDecision } from '../pool/autoscale/decide-autoscale.ts';
import { describeDecision } from '../pool/autoscale/describe-decision.ts';
import { isSessionMetric } from '../pool/autoscale/evaluate-rule.ts';
import type { AutoscaleProfile } from '../pool/autoscale/setting.ts';
import { switchedOff } from '../providers/compute/scale-sets.ts';
import { findAutoscaleSettings, type StoredAutoscaleSetting } from '../providers/insights/autoscale-settings.ts';
import { objects } from '../providers/read-body.ts';
import { noteActivity, type Activity } from '../store/activity-log.ts';
import { findResource, nameOf, type ResourceRecord } from '../store/resource-records.ts';
import type { Queries } from '../store/store.ts';
import { takeAutoscaleSnapshot } from './autoscale-snapshot.ts';
import {
  forgetScale,
  lastRuleScale,
  markTold,
  noteScale,
  unmadeScale,
  untoldScale,
  type ScaleNote,
} from './last-scale.ts';
import type { MetricReader } from './metric-reader.ts';
import type { Notify } from './notification.ts';
import type { Placements } from './placements.ts';
import { scaleAutomatically } from './scale-automatically.ts';
import type { World } from './world.ts';

/** Metrics of people act at once; others come by the minute. */
const promptDelay = 1_000;
const usualDelay = 5_000;
/** A change that was refused (no memory left, say) is tried again after this. */
const retryDelay = 30_000;

export interface AutoscaleLoopParts {
  world: World;
  placements: Pick<Placements, 'waiting' | 'activeUsersOn'>;
  metrics: MetricReader;
  notify: Notify;
}

type Change = Extract<AutoscaleDecision, { decision: 'scale' }>;

export function createAutoscaleLoop({ world, placements, metrics, notify }: AutoscaleLoopParts) {
  const { store, clock, log } = world;
  /** Why a change was refused, by setting: told once, and tried again. */
  const refusals = new Map<string, { message: string; retryAt: EpochMillis }>();
  /** What keeps a setting from acting, as it was told: once, as long as it lasts. */
  const told = new Map<string, string>();

  /** @returns whether metrics of people matter, and the next look should be soon */
  async function passOne(stored: StoredAutoscaleSetting): Promise<boolean> {
    const { setting, record, target } = stored;
    const set = await findResource(store.db, target);
    if (set === undefined || set.deletingSince !== undefined) return false;
    const untold = untoldScale(record, set);
    if (untold !== undefined) await tell(record, set, untold);
    // Before the scale set gets there by another way, and it looks as if it had been made.
    const unmade = unmadeScale(record, set);
    if (unmade !== undefined) await store.transaction((tx) => forgetScale(tx, record.id, unmade));
    const profile = chooseProfile(setting, clock.now());
    if (!setting.enabled || switchedOff(set) || profile === undefined) return false;

    const last = lastRuleScale(record, set);
    const snapshot = await takeAutoscaleSnapshot({ world, placements, metrics }, set, profile, last);
    const decision = decideAutoscale(snapshot, clock.now());
    await tellOfHindrance(record, set, decision, profile);
    if (decision.decision !== 'scale') refusals.delete(record.key);
    else if (decision.direction === 'in' || (refusals.get(record.key)?.retryAt ?? 0) <= clock.now())
      await scale(record, set, decision, profile);
    return profile.rules.some(({ trigger }) => isSessionMetric(trigger.metric));
  }

  async function scale(
    setting: ResourceRecord,
    set: ResourceRecord,
    decision: Change,
    profile: AutoscaleProfile,
  ): Promise<void> {
    const { direction, from, to, because, cooldownMilliseconds, intended = to } = decision;
    const note: ScaleNote = {
      ...{ at: clock.now(), direction, from, to, because, cooldownMilliseconds, profile: profile.name },
      ...{ intended, message: describeDecision(decision, profile) },
      ...{ createdAt: set.createdAt, generation: set.generation + 1, told: false },
    };
    if (!(await store.transaction((tx) => noteScale(tx, setting, set, note)))) return;
    try {
      if (await scaleAutomatically(world, set, to, 'autoscale')) {
        refusals.delete(setting.key);
        await tell(setting, set, note);
        return;
      }
      await store.transaction((tx) => forgetScale(tx, setting.id, note));
    } catch (error) {
      if (!(error instanceof PoolhouseError)) throw error;
      await refused(setting, set, note, error);
    }
  }

  /** The capacity is as it was. */
  async function refused(
    setting: ResourceRecord,
    set: ResourceRecord,
    note: ScaleNote,
    { code, message }: PoolhouseError,
  ): Promise<void> {
    const isNew = refusals.get(setting.key)?.message !== message;
    refusals.set(setting.key, { message, retryAt: clock.now() + retryDelay });
    await store.transaction(async (tx) => {
      await forgetScale(tx, setting.id, note);
      if (!isNew) return;
      const what = `Could not scale ${note.direction} from ${note.from} to ${note.to} instances, and tries again: ${message}`;
      await noteInLog(tx, setting, set, note, {
        operation: operationOf(note),
        status: 'Failed',
        level: 'Error',
        message: what,
      });
    });
    if (isNew)
      log.warn({ pool: set.key, setting: setting.key, code }, `autoscale could not change a capacity: ${message}`);
  }

  async function tell(setting: ResourceRecord, set: ResourceRecord, note: ScaleNote): Promise<void> {
    const { at, direction, from, to, intended, message } = note;
    await store.transaction(async (tx) => {
      await markTold(tx, setting.id, note);
      const about = { status: 'Succeeded', level: 'Informational', message } as const;
      if (intended !== to)
        await noteInLog(tx, setting, set, note, { ...about, operation: operations.flappingOccurred });
      await noteInLog(tx, setting, set, note, { ...about, operation: operationOf(note) });
    });
    log.info({ pool: set.key, setting: setting.key, from, to }, message);
    notify({
      operation: direction === 'out' ? 'Scale Out' : 'Scale In',
      ...{ settingId: setting.id, settingName: nameOf(setting.id), resourceId: set.id, at },
      ...{ oldCapacity: from, newCapacity: to, details: message },
      notifications: objects(setting.document, 'properties', 'notifications'),
    });
  }

  /** Flapping that is avoided, and metrics that cannot be read. */
  async function tellOfHindrance(
    setting: ResourceRecord,
    set: ResourceRecord,
    decision: AutoscaleDecision,
    profile: AutoscaleProfile,
  ): Promise<void> {
    const hindrance = hindranceOf(decision, profile);
    if (told.get(setting.key) === hindrance) return;
    if (hindrance === undefined) {
      told.delete(setting.key);
      return;
    }
    told.set(setting.key, hindrance);
    const about = { pool: set.key, setting: setting.key };
    if (decision.decision !== 'avoid flapping') {
      log.warn(about, 'metrics of an autoscale setting cannot be read: it does not scale in');
      return;
    }
    const message = describeDecision(decision, profile);
    const { from } = decision;
    const change = { from, to: from, profile: profile.name };
    const entry = { operation: operations.flapping, status: 'Succeeded', level: 'Informational', message } as const;
    await noteInLog(store.db, setting, set, change, entry);
    log.info({ ...about, from, intended: decision.intended }, message);
  }

  /** The properties have Azure's names: https://learn.microsoft.com/azure/azure-monitor/autoscale/autoscale-flapping#log-files */
  async function noteInLog(
    queries: Queries,
    setting: ResourceRecord,
    set: ResourceRecord,
    { from, to, profile }: Pick<ScaleNote, 'from' | 'to' | 'profile'>,
    about: Pick<Activity, 'operation' | 'status' | 'level' | 'message'>,
  ): Promise<void> {
    await noteActivity(queries, {
      ...about,
      ...{ id: world.newId(), at: clock.now(), resourceId: set.id, instanceId: undefined, caller: 'autoscale' },
      properties: {
        ...{ Description: about.message, ResourceName: set.id, AutoscaleSettingId: setting.id },
        ...{ OldInstancesCount: from, NewInstancesCount: to, ActiveAutoscaleProfile: profile },
      },
    });
  }

  return async function pass(): Promise<number> {
    // Who is where is not known yet: nothing could be decided that hurts nobody.
    if (!world.reports.isComplete(clock.now())) return promptDelay;
    const settings = await findAutoscaleSettings(store.db);
    let isPrompt = false;
    for (const stored of settings) if (await passOne(stored)) isPrompt = true;
    const known = new Set<string>(settings.map(({ record }) => record.key));
    for (const memory of [refusals, told]) for (const key of memory.keys()) if (!known.has(key)) memory.delete(key);
    return isPrompt ? promptDelay : usualDelay;
  };
}

/** As Azure names them: https://learn.microsoft.com/azure/role-based-access-control/permissions/monitor#microsoftinsights */
const operations = {
  out: 'Microsoft.Insights/AutoscaleSettings/Scaleup/Action',
  in: 'Microsoft.Insights/AutoscaleSettings/Scaledown/Action',
  flapping: 'Microsoft.Insights/AutoscaleSettings/Flapping/Action',
  flappingOccurred: 'Microsoft.Insights/AutoscaleSettings/FlappingOccurred/Action',
} as const;

const operationOf = ({ direction }: ScaleNote): string => operations[direction];

/** The same text as long as the same keeps a setting from acting; undefined where nothing does. */
function hindranceOf(decision: AutoscaleDecision, { name }: AutoscaleProfile): string | undefined {
  if (decision.decision === 'avoid flapping') return `${name}\n${decision.from}\n${decision.intended}`;
  return decision.decision === 'none' && decision.because === 'metrics missing' ? decision.because : undefined;
}
