/**
 * What autoscale does about a scale set at a moment. Pure: the same snapshot and time give the same decision, and a second
 * look right after a rule's change was made changes nothing.
 *
 * The rules are Azure's (https://learn.microsoft.com/azure/azure-monitor/autoscale/autoscale-understanding-settings#autoscale-evaluation,
 * https://learn.microsoft.com/azure/azure-monitor/autoscale/autoscale-best-practices): the bounds first, whatever the cooldown
 * says; out when any rule says so, to the highest count; in only when all rules say so, to the largest count that remains,
 * unless that would bring the pool out again at once. Beyond Azure, nobody is hurt: while people wait nothing shrinks,
 * and never below the instances on which somebody works, whatever the bounds say.
 */
import type { EpochMillis } from '../../core/time.ts';
import { evaluateRule, fires, isSessionMetric, projectValue, type RuleReading } from './evaluate-rule.ts';
import type { AutoscaleProfile, ScaleAction, ScaleRule } from './setting.ts';

export interface AutoscaleSnapshot {
  /** The one that is in force: see `chooseProfile`. */
  profile: AutoscaleProfile;
  /** As asked for now. */
  capacity: number;
  /** What was measured, for each of the profile's rules in their order. */
  readings: readonly RuleReading[];
  /**
   * Whether there is an instance that has run for long enough to have been measured. Where there is none, a metric of
   * instances that has no values is nothing out of order.
   */
  measurable: boolean;
  /** The last change that autoscale made for a rule. */
  lastScale: { at: EpochMillis; cooldownMilliseconds: number } | undefined;
  /** When people woke the pool, where its capacity comes from that. */
  wokenAt: EpochMillis | undefined;
  /** People who wait for a place. */
  waiting: number;
  /** Instances on which somebody works, without those that drain already. */
  activeInstances: number;
  /** How many people an instance takes; undefined: as many as come. */
  seatsPerInstance: number | undefined;
}

/** A rule whose metric fulfils its condition. */
export interface FiredRule {
  rule: ScaleRule;
  value: number;
}

export type Direction = 'out' | 'in';

export type AutoscaleDecision =
  | { decision: 'none'; because: 'nothing fires' | 'at the bound' | 'metrics missing' | 'people wait' | 'people work' }
  | {
      decision: 'scale';
      direction: Direction;
      from: number;
      to: number;
      /** `bounds`: the capacity was outside of them. `default`: a metric cannot be read. */
      because: 'bounds' | 'default' | 'rules';
      /** Those that fired; none unless it is because of `rules`. */
      fired: readonly FiredRule[];
      /** For so long it blocks other changes; 0 unless it is because of `rules`. */
      cooldownMilliseconds: number;
      /** The count that the rules ask for, where less is taken away because that would have brought the pool out again. */
      intended?: number;
    }
  /** Scaling in would bring the pool out again at once. */
  | { decision: 'avoid flapping'; from: number; intended: number; fired: readonly FiredRule[] }
  | { decision: 'cool down'; direction: Direction; from: number; intended: number; until: EpochMillis };

/** After a wake nothing shrinks for so long where no rule scales out. */
const usualCooldown = 5 * 60_000;

export function decideAutoscale(snapshot: AutoscaleSnapshot, now: EpochMillis): AutoscaleDecision {
  const { profile, capacity } = snapshot;
  const { minimum, maximum } = profile.capacity;
  if (capacity < minimum) return change('out', capacity, minimum, 'bounds');
  if (capacity > maximum) {
    if (snapshot.waiting > 0) return { decision: 'none', because: 'people wait' };
    const to = Math.max(maximum, snapshot.activeInstances);
    return to < capacity ? change('in', capacity, to, 'bounds') : { decision: 'none', because: 'people work' };
  }
  const judged = judgeRules(snapshot, now);
  return decideOut(snapshot, judged, now) ?? decideIn(snapshot, judged, now);
}

interface JudgedRule {
  rule: ScaleRule;
  value: number | undefined;
  readable: boolean;
}

function judgeRules({ profile, readings, capacity, measurable }: AutoscaleSnapshot, now: EpochMillis): JudgedRule[] {
  return profile.rules.flatMap((rule, index): JudgedRule[] => {
    if (rule.action.direction === 'None') return [];
    const reading = readings[index] ?? { grains: [], current: undefined };
    const { value, readable } = evaluateRule(rule, reading, capacity, now);
    const hasNothingToMeasure = !measurable && !isSessionMetric(rule.trigger.metric);
    return [{ rule, value, readable: readable || hasNothingToMeasure }];
  });
}

/** Undefined where nothing asks for more. */
function decideOut(
  snapshot: AutoscaleSnapshot,
  judged: readonly JudgedRule[],
  now: EpochMillis,
): AutoscaleDecision | undefined {
  const { capacity, profile } = snapshot;
  const outRules = firedOf(judged, 'Increase');
  const isBlind = judged.some(({ readable }) => !readable);
  const safe = isBlind ? profile.capacity.default : 0;
  const asked = outRules.map((one) => ({
    one,
    target: Math.min(profile.capacity.maximum, targetOf(one.rule.action, capacity)),
  }));
  const to = Math.max(safe, ...asked.map(({ target }) => target));
  if (to <= capacity) return outRules.length > 0 ? { decision: 'none', because: 'at the bound' } : undefined;
  const until = cooldownEnd(snapshot, now);
  if (until !== undefined) return { decision: 'cool down', direction: 'out', from: capacity, intended: to, until };
  const deciding = asked.flatMap(({ one, target }) => (target === to ? [one] : []));
  return deciding.length === 0
    ? change('out', capacity, to, 'default')
    : change('out', capacity, to, 'rules', deciding);
}

function decideIn(snapshot: AutoscaleSnapshot, judged: readonly JudgedRule[], now: EpochMillis): AutoscaleDecision {
  const { capacity, profile, waiting, activeInstances } = snapshot;
  if (judged.some(({ readable }) => !readable)) return { decision: 'none', because: 'metrics missing' };
  const inRules = judged.filter(({ rule }) => rule.action.direction === 'Decrease');
  const fired = firedOf(judged, 'Decrease');
  if (fired.length === 0 || fired.length < inRules.length) return { decision: 'none', because: 'nothing fires' };
  const asked = Math.max(profile.capacity.minimum, ...fired.map(({ rule }) => targetOf(rule.action, capacity)));
  if (asked >= capacity) return { decision: 'none', because: 'at the bound' };
  if (waiting > 0) return { decision: 'none', because: 'people wait' };
  const intended = Math.max(asked, activeInstances);
  if (intended >= capacity) return { decision: 'none', because: 'people work' };
  const until = cooldownEnd(snapshot, now) ?? wakeEnd(snapshot, now);
  if (until !== undefined) return { decision: 'cool down', direction: 'in', from: capacity, intended, until };
  for (let to = intended; to < capacity; to += 1) {
    if (wouldScaleOut(snapshot, judged, to)) continue;
    const step = change('in', capacity, to, 'rules', fired);
    return to === intended ? step : { ...step, intended };
  }
  return { decision: 'avoid flapping', from: capacity, intended, fired };
}

/** Whether a rule would scale out at once if there were only so many instances. */
function wouldScaleOut(
  { capacity, seatsPerInstance }: AutoscaleSnapshot,
  judged: readonly JudgedRule[],
  to: number,
): boolean {
  return judged.some(
    ({ rule: { trigger, action }, value }) =>
      action.direction === 'Increase' &&
      value !== undefined &&
      fires(trigger, projectValue(trigger, value, capacity, to, seatsPerInstance)),
  );
}

function firedOf(judged: readonly JudgedRule[], direction: ScaleAction['direction']): FiredRule[] {
  return judged.flatMap(({ rule, value }) =>
    value !== undefined && rule.action.direction === direction && fires(rule.trigger, value) ? [{ rule, value }] : [],
  );
}

/**
 * The count that an action leads to, without regard to bounds. A percentage of the instances is rounded to the side of more
 * instances (Azure does not say how it rounds), and is one instance at least: a rule that fires does something.
 */
function targetOf({ direction, type, value }: ScaleAction, capacity: number): number {
  if (type === 'ExactCount') return value;
  const sign = direction === 'Increase' ? 1 : -1;
  if (type !== 'PercentChangeCount') return capacity + sign * value;
  const part = (capacity * value) / 100;
  return capacity + sign * Math.max(1, direction === 'Increase' ? Math.ceil(part) : Math.floor(part));
}

/** The rule that fired last blocks both directions for its cooldown. Undefined where nothing blocks. */
function cooldownEnd({ lastScale }: AutoscaleSnapshot, now: EpochMillis): EpochMillis | undefined {
  if (lastScale === undefined) return undefined;
  const until = lastScale.at + lastScale.cooldownMilliseconds;
  return until > now ? until : undefined;
}

/** A wake counts as a scale-out, as far as scaling in is concerned: more people may come, and more is made for them. */
function wakeEnd({ wokenAt, profile }: AutoscaleSnapshot, now: EpochMillis): EpochMillis | undefined {
  if (wokenAt === undefined) return undefined;
  const cooldowns = profile.rules.flatMap(({ action }) =>
    action.direction === 'Increase' ? [action.cooldownMilliseconds] : [],
  );
  const until = wokenAt + (cooldowns.length === 0 ? usualCooldown : Math.max(...cooldowns));
  return until > now ? until : undefined;
}

function change(
  direction: Direction,
  from: number,
  to: number,
  because: 'bounds' | 'default' | 'rules',
  fired: readonly FiredRule[] = [],
): Extract<AutoscaleDecision, { decision: 'scale' }> {
  const cooldownMilliseconds = Math.max(0, ...fired.map(({ rule }) => rule.action.cooldownMilliseconds));
  return { decision: 'scale', direction, from, to, because, fired, cooldownMilliseconds };
}
