/**
 * An autoscale setting's document as typed values. Lenient as Azure is (numbers may be text, words in any case), and clear
 * about what it does not take; what the document says beyond this stays in it and comes back.
 * https://learn.microsoft.com/azure/templates/microsoft.insights/autoscalesettings
 */
import { dig, type JsonObject } from '../../core/json.ts';
import { keyOf, parseResourceId } from '../../core/resource-id.ts';
import {
  changeTypes,
  directions,
  operators,
  statistics,
  timeAggregations,
  type AutoscaleProfile,
  type AutoscaleSetting,
  type CapacityBounds,
  type MetricTrigger,
  type ScaleAction,
  type ScaleRule,
} from '../../pool/autoscale/setting.ts';
import { instanceMetrics, sessionMetrics, type MetricName } from '../../pool/metrics.ts';
import {
  invalid,
  nameOfPath,
  objects,
  optionalBoolean,
  optionalInteger,
  optionalString,
  requiredChoice,
  requiredInteger,
  requiredNumber,
  requiredString,
} from '../read-body.ts';
import { requiredDuration, type DurationRange } from './read-duration.ts';
import { readFixedDate, readRecurrence } from './read-profile-times.ts';

type Path = readonly (string | number)[];

const minute = 60_000;
const hour = 60 * minute;
/** https://learn.microsoft.com/azure/azure-monitor/service-limits#autoscale, and the setting's own page. */
const mostProfiles = 20;
const mostRules = 10;
const timeGrains: DurationRange = { minimum: minute, maximum: 12 * hour, words: '1 minute to 12 hours' };
const timeWindows: DurationRange = { minimum: 5 * minute, maximum: 12 * hour, words: '5 minutes to 12 hours' };
const cooldowns: DurationRange = { minimum: minute, maximum: 7 * 24 * hour, words: '1 minute to 1 week' };
const counts = { minimum: 0, maximum: 1_000 };
const metricNames: readonly MetricName[] = [...instanceMetrics, ...sessionMetrics];
const scaleSetType = 'Microsoft.Compute/virtualMachineScaleSets';

/** `InvalidParameter` names the property that is wrong, and what is expected there. */
export function readAutoscaleSetting(body: JsonObject): AutoscaleSetting {
  const target = requiredString(body, 'properties', 'targetResourceUri');
  requireScaleSet(target, 'properties.targetResourceUri', 'An autoscale setting scales');
  objects(body, 'properties', 'notifications');
  const profiles = objects(body, 'properties', 'profiles');
  if (profiles.length === 0 || profiles.length > mostProfiles)
    throw invalid(
      'properties.profiles',
      `An autoscale setting has 1 to ${mostProfiles} profiles; this one has ${profiles.length}.`,
    );
  return {
    // As in Azure: https://learn.microsoft.com/rest/api/monitor/autoscale-settings/create-or-update
    enabled: optionalBoolean(body, 'properties', 'enabled') ?? false,
    target,
    profiles: profiles.map((_profile, index) => readProfile(body, ['properties', 'profiles', index], target)),
  };
}

function requireScaleSet(id: string, property: string, what: string): void {
  const { type, names } = parseResourceId(id);
  if (type.toLowerCase() === scaleSetType.toLowerCase() && names.length === 1) return;
  throw invalid(property, `${what} a scale set ('${scaleSetType}') here, and '${id}' is none.`);
}

function readProfile(body: JsonObject, at: Path, target: string): AutoscaleProfile {
  const rules = objects(body, ...at, 'rules');
  const name = requiredString(body, ...at, 'name');
  if (rules.length > mostRules)
    throw invalid(
      `${nameOfPath(at)}.rules`,
      `A profile has at most ${mostRules} rules; '${name.slice(0, 80)}' has ${rules.length}.`,
    );
  return {
    name,
    capacity: readCapacity(body, [...at, 'capacity']),
    rules: rules.map((_rule, index): ScaleRule => {
      const path = [...at, 'rules', index];
      return {
        trigger: readTrigger(body, [...path, 'metricTrigger'], target),
        action: readAction(body, [...path, 'scaleAction']),
      };
    }),
    fixedDate: has(body, [...at, 'fixedDate']) ? readFixedDate(body, [...at, 'fixedDate']) : undefined,
    recurrence: has(body, [...at, 'recurrence']) ? readRecurrence(body, [...at, 'recurrence']) : undefined,
  };
}

function readCapacity(body: JsonObject, at: Path): CapacityBounds {
  const [minimum, maximum, usual] = ['minimum', 'maximum', 'default'].map((name) =>
    requiredInteger(body, counts, ...at, name),
  ) as [number, number, number]; // three names, three numbers
  if (minimum > usual || usual > maximum)
    throw invalid(
      nameOfPath(at),
      `The capacity is not valid: the minimum (${minimum}) must not be above the default (${usual}), nor that above the maximum (${maximum}).`,
    );
  return { minimum, maximum, default: usual };
}

function readTrigger(body: JsonObject, at: Path, target: string): MetricTrigger {
  const source = optionalString(body, ...at, 'metricResourceUri');
  if (source !== undefined && source !== '' && keyOf(source) !== keyOf(target))
    throw invalid(
      `${nameOfPath(at)}.metricResourceUri`,
      `Metrics of the scale set itself ('${target}') can be read here, and none of '${source}'.`,
    );
  const dimensions = dig(body, ...at, 'dimensions');
  if (Array.isArray(dimensions) && dimensions.length > 0)
    throw invalid(`${nameOfPath(at)}.dimensions`, `Metrics have no dimensions here: leave out 'dimensions'.`);
  const timeGrainMilliseconds = requiredDuration(body, timeGrains, ...at, 'timeGrain');
  if (timeGrainMilliseconds % minute !== 0)
    throw invalid(
      `${nameOfPath(at)}.timeGrain`,
      `The value of '${nameOfPath(at)}.timeGrain' must be a whole number of minutes.`,
    );
  const timeWindowMilliseconds = requiredDuration(body, timeWindows, ...at, 'timeWindow');
  if (timeWindowMilliseconds < timeGrainMilliseconds)
    throw invalid(
      `${nameOfPath(at)}.timeWindow`,
      `'${nameOfPath(at)}.timeWindow' must not be shorter than its 'timeGrain'.`,
    );
  return {
    metric: requiredChoice(body, metricNames, ...at, 'metricName'),
    statistic: requiredChoice(body, statistics, ...at, 'statistic'),
    timeGrainMilliseconds,
    timeWindowMilliseconds,
    timeAggregation: requiredChoice(body, timeAggregations, ...at, 'timeAggregation'),
    operator: requiredChoice(body, operators, ...at, 'operator'),
    threshold: requiredNumber(body, ...at, 'threshold'),
    dividePerInstance: optionalBoolean(body, ...at, 'dividePerInstance') ?? false,
  };
}

function readAction(body: JsonObject, at: Path): ScaleAction {
  const type = requiredChoice(body, changeTypes, ...at, 'type');
  const values = type === 'ExactCount' ? counts : { ...counts, minimum: 1 };
  return {
    direction: requiredChoice(body, directions, ...at, 'direction'),
    type,
    value: optionalInteger(body, values, ...at, 'value') ?? 1,
    cooldownMilliseconds: requiredDuration(body, cooldowns, ...at, 'cooldown'),
  };
}

const has = (body: JsonObject, at: Path): boolean => (dig(body, ...at) ?? null) !== null;
