/** What one instance needs next. Pure, a part of `plan`. */
import type { EpochMillis } from '../core/time.ts';
import { drainCause, failureOf, type Draining } from './instance-state.ts';
import {
  isEmpty,
  isPrepared,
  isReady,
  mayHoldWork,
  type AskedExtension,
  type InstanceSnapshot,
  type ScaleSetSnapshot,
} from './scale-set-snapshot.ts';
import type { Power } from './power.ts';
import type { Step } from './steps.ts';

/** How long an instance drains at least, so that the gateway has heard of it and told of connections. */
const drainAtLeast = 500;
/** Who is still there at the end is told so by the gateway, and has so long to read it. */
const goodbye = 3_000;

export function planInstance(
  snapshot: ScaleSetSnapshot,
  instance: InstanceSnapshot,
  now: EpochMillis,
): Step | undefined {
  const { instanceId, state, power } = instance;
  const failure = failureOf(state, snapshot.generation);
  const retryAt = failure?.retryAt ?? 0;

  if (snapshot.deleting || state.removal !== undefined) {
    if (instance.busy || (failure?.step === 'remove' && now < retryAt)) return undefined;
    return { step: 'remove', instanceId, reason: state.removal?.reason ?? 'the scale set is being deleted' };
  }
  if (instance.busy || now < retryAt) return undefined;

  if (state.remake !== undefined) return { step: 'remake', instanceId, model: 'own', reason: state.remake.reason };
  if (state.restart !== undefined && power !== 'absent')
    return { step: 'restart', instanceId, reason: 'it was to be restarted' };
  if (state.draining !== undefined) {
    const ending = planEnd(snapshot, instance, state.draining, now);
    if (ending !== undefined) return ending;
    // One that drains stays as it is otherwise; who may no longer enter is ended there too.
    if (power === state.power || drainCause(state) === 'scale-in') {
      const changed = state.provisioned !== undefined && power === 'running' && hasOtherPeople(instance);
      return changed ? { step: 'provision', instanceId } : undefined;
    }
  }
  if (power === 'absent') return snapshot.imageReady ? { step: 'create', instanceId } : undefined;
  const wanted = wantedPower(instance, now);
  if (power !== wanted) return { step: 'setPower', instanceId, power: wanted };
  if (power !== 'running') return undefined;
  if (state.provisioned !== instance.provision || hasOtherPeople(instance)) return { step: 'provision', instanceId };
  const extension = nextExtension(snapshot.generation, instance);
  return extension === undefined ? undefined : { step: 'runExtension', instanceId, extension: extension.name };
}

/** What ends a draining: what people have on its disk is brought away first. Undefined while it goes on. */
function planEnd(
  snapshot: ScaleSetSnapshot,
  instance: InstanceSnapshot,
  draining: Draining,
  now: EpochMillis,
): Step | undefined {
  const { instanceId, state } = instance;
  const cause = drainCause(state);
  if (cause === 'operator' || cause === undefined) return undefined; // it is the operator's to say what comes
  const notice = cause === 'scale-in' || cause === 'delete' ? snapshot.noticeMilliseconds : 0;
  const isEarly = now - draining.since < Math.max(drainAtLeast, notice);
  const isNobodyThere = isEmpty(instance);
  const isOver = draining.until !== undefined && now >= draining.until + (isNobodyThere ? 0 : goodbye);
  if (!isOver && (isEarly || !isNobodyThere)) return undefined;
  // Nothing is lost by these.
  if (cause === 'repair' && snapshot.repairs?.action === 'Restart')
    return { step: 'restart', instanceId, reason: 'its probes or its mounts fail: it is repaired' };
  if (cause === 'eviction' && snapshot.evictionPolicy === 'Deallocate')
    return { step: 'evict', instanceId, policy: 'Deallocate' };
  if (cause !== 'delete' && mayHoldWork(instance)) return { step: 'rescue', instanceId };
  if (cause === 'upgrade') return { step: 'remake', instanceId, model: 'latest', reason: 'it gets the latest model' };
  if (cause === 'repair' && snapshot.repairs?.action === 'Reimage')
    return { step: 'remake', instanceId, model: 'own', reason: 'its probes or its mounts fail: it is repaired' };
  if (cause === 'eviction') return { step: 'evict', instanceId, policy: snapshot.evictionPolicy };
  return { step: 'remove', instanceId, reason: endReasons[cause](isNobodyThere) };
}

const drained = (isNobodyThere: boolean) =>
  isNobodyThere ? 'it drained and nobody is there' : 'its time to drain is over';
const endReasons = {
  'scale-in': drained,
  upgrade: drained,
  repair: () => 'its probes or its mounts fail: it is replaced',
  delete: () => 'it was deleted by its id',
} as const;

/** A standby is brought to rest once it serves: what is frozen too early answers late. */
function wantedPower(instance: InstanceSnapshot, now: EpochMillis): Power {
  const { state } = instance;
  if (state.standby === undefined) return state.power;
  const isAtRest = instance.power === state.standby.as && isPrepared(instance);
  return isAtRest || isReady(instance, now) ? state.standby.as : 'running';
}

/** The accounts of people in it are not those that there should be. It serves meanwhile: they are no part of being prepared. */
const hasOtherPeople = ({ state, people }: InstanceSnapshot) => (state.people ?? '') !== people;

/** The first extension that has to run now: those it comes after have succeeded, and none failed before it. */
function nextExtension(generation: number, instance: InstanceSnapshot): AskedExtension | undefined {
  const done = (extension: AskedExtension) => {
    const ran = instance.state.extensions[extension.name];
    return ran?.version === extension.version && ran.status === 'succeeded';
  };
  for (const extension of instance.extensions) {
    if (done(extension)) continue;
    const ran = instance.state.extensions[extension.name];
    if (ran?.version === extension.version && ran.status === 'failed' && ran.generation >= generation) continue;
    const before = instance.extensions.filter((other) => extension.provisionAfter.includes(other.name));
    if (before.every(done)) return extension;
  }
  return undefined;
}
