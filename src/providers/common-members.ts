/** What is the same in the documents of all resources: the members that ARM itself knows, and how a PATCH changes them. */
import { PoolhouseError } from '../core/errors.ts';
import { isObject, setMember, without, type Json, type JsonObject } from '../core/json.ts';
import type { ResourceRecord } from '../store/resource-records.ts';
import type { StoredType } from './resource-type.ts';

/** The members that ARM keeps for every resource, checked; what a GET adds is left out. */
export function commonMembers(body: JsonObject, type: StoredType, existing: ResourceRecord | undefined): JsonObject {
  // Names of JSON members ignore case in ARM; the ones that matter here are stored in Azure's spelling.
  const spelling = new Map(
    ['location', 'tags', 'properties', 'sku', 'plan', 'kind', 'zones', 'identity'].map((name) => [name, name]),
  );
  const dropped = new Set([
    'id',
    'name',
    'type',
    'etag',
    'apiversion',
    'dependson',
    'systemdata',
    'managedby',
    'comments',
    'scope',
    'condition',
    'copy',
    'resources',
  ]);
  const result: JsonObject = {};
  for (const [name, value] of Object.entries(body)) {
    const lower = name.toLowerCase();
    if (dropped.has(lower) || name.startsWith('$')) continue;
    setMember(result, spelling.get(lower) ?? name, value);
  }
  const bad = (target: string, message: string) => new PoolhouseError('InvalidRequestContent', message, { target });
  const { location, tags, properties } = result;
  if (properties === undefined || properties === null) result['properties'] = {};
  else if (!isObject(properties)) throw bad('properties', `The value of 'properties' must be an object.`);
  else {
    const { provisioningState: _found, ...asked } = properties;
    result['properties'] = asked;
  }
  if (tags !== undefined && tags !== null) {
    if (!isObject(tags)) throw bad('tags', `The value of 'tags' must be an object of strings.`);
    for (const [name, value] of Object.entries(tags)) {
      if (typeof value !== 'string') throw bad(`tags.${name}`, `The value of the tag '${name}' must be a string.`);
    }
  }
  if (location === undefined || location === null || location === '') {
    const inherited: Json | undefined = existing?.document['location'];
    if (inherited !== undefined) result['location'] = inherited;
    else if (type.needsLocation) {
      throw new PoolhouseError('LocationRequired', `The location property is required for this definition.`, {
        target: 'location',
      });
    } else delete result['location'];
  } else if (typeof location !== 'string') {
    throw bad('location', `The value of 'location' must be a string.`);
  } else {
    const before = existing?.document['location'];
    if (typeof before === 'string' && normalLocation(before) !== normalLocation(location)) {
      throw new PoolhouseError(
        'InvalidResourceLocation',
        `The resource already exists in location '${before}'. A resource with the same name cannot be created in location '${location}'. Please select a new resource name.`,
        { target: 'location' },
      );
    }
  }
  return result;
}

function normalLocation(location: string): string {
  return location.replaceAll(' ', '').toLowerCase();
}

/** JSON merge patch (RFC 7396), with tags replaced as a whole as ARM does. */
export function mergePatch(target: JsonObject, patch: JsonObject): JsonObject {
  const merge = (before: Json | undefined, change: Json): Json => {
    if (!isObject(change)) return change;
    const result: JsonObject = isObject(before) ? { ...before } : {};
    const removed = new Set<string>();
    for (const [name, value] of Object.entries(change)) {
      const key = Object.keys(result).find((existing) => existing.toLowerCase() === name.toLowerCase()) ?? name;
      if (value === null) removed.add(key);
      else setMember(result, key, merge(Object.hasOwn(result, key) ? result[key] : undefined, value));
    }
    return without(result, ...removed);
  };
  const { tags, ...rest } = patch;
  const result = merge(target, rest) as JsonObject; // merging objects gives an object
  return tags === undefined ? result : { ...result, tags };
}
