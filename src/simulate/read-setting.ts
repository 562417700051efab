/**
 * Finds an autoscale setting in a document as people have it: the resource as in a template, a template that has one, or what
 * `az monitor autoscale show` prints, which has the properties on top. What it scales does not matter here.
 */
import { PoolhouseError } from '../core/errors.ts';
import { dig, isObject, member, setMember, textOf, type Json, type JsonObject } from '../core/json.ts';
import type { AutoscaleSetting } from '../pool/autoscale/setting.ts';
import { readAutoscaleSetting } from '../providers/insights/autoscale-setting-model.ts';

const type = 'microsoft.insights/autoscalesettings';
/** In place of the setting's own, which is an expression in templates. */
const target =
  '/subscriptions/0/resourceGroups/simulated/providers/Microsoft.Compute/virtualMachineScaleSets/simulated';

/** @throws PoolhouseError `InvalidParameter` that says what is wrong with it */
export function readSetting(document: Json): AutoscaleSetting {
  const resource = findResource(document);
  const properties = member(resource, 'properties') ?? resource;
  const profiles = normalized(member(properties, 'profiles') ?? null);
  return readAutoscaleSetting({ properties: { enabled: true, targetResourceUri: target, profiles } });
}

function findResource(document: Json): JsonObject {
  if (!isObject(document)) throw wrong('it is no JSON object.');
  const resources = member(document, 'resources');
  if (resources === undefined) return document;
  const all = isObject(resources) ? Object.values(resources) : Array.isArray(resources) ? resources : [];
  const settings = all.filter(isObject).filter((one) => textOf(dig(one, 'type')).toLowerCase() === type);
  const [first] = settings;
  if (first === undefined || settings.length > 1)
    throw wrong(`the template has ${settings.length} resources of the type 'Microsoft.Insights/autoscaleSettings'.`);
  return first;
}

/** Without what names the scale set; durations as older az prints them (`0:05:00`) as ISO 8601. */
function normalized(value: Json): Json {
  if (Array.isArray(value)) return value.map(normalized);
  if (typeof value === 'string') {
    const match = /^(?:(\d+) days?, )?(\d{1,2}):(\d\d):(\d\d)$/.exec(value);
    if (match === null) return value;
    const [days = '0', hours = '0', minutes = '0', seconds = '0'] = match
      .slice(1)
      .map((part: string | undefined) => part ?? '0');
    return `P${days}DT${hours}H${minutes}M${seconds}S`;
  }
  if (!isObject(value)) return value;
  const result: JsonObject = {};
  for (const [name, inner] of Object.entries(value))
    if (!name.toLowerCase().startsWith('metricresource')) setMember(result, name, normalized(inner));
  return result;
}

const wrong = (message: string) =>
  new PoolhouseError('InvalidParameter', `This is no autoscale setting: ${message}`, { target: 'setting' });
