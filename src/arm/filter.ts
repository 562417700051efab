/** The `$filter` of lists, as az and the SDKs send it: `resourceType eq 'T' and name eq 'N'`. */
import { PoolhouseError } from '../core/errors.ts';
import { dig, isObject, textOf, type Json, type JsonObject } from '../core/json.ts';
import { keyOf } from '../core/resource-id.ts';

const fields = new Map<string, (resource: JsonObject, value: string) => boolean>(
  Object.entries({
    resourcetype: (resource, value) => same(resource['type'], value),
    name: (resource, value) => same(resource['name'], value),
    location: (resource, value) => same(resource['location'], value.replaceAll(' ', '')),
    kind: (resource, value) => same(resource['kind'], value),
    resourcegroup: (resource, value) => same(keyOf(textOf(resource['id'])).split('/')[4], value),
    provisioningstate: (resource, value) => same(dig(resource, 'properties', 'provisioningState'), value),
    tagname: (resource, value) => Object.keys(tagsOf(resource)).some((tag) => same(tag, value)),
    tagvalue: (resource, value) => Object.values(tagsOf(resource)).some((tag) => same(tag, value)),
  } satisfies Record<string, (resource: JsonObject, value: string) => boolean>),
);

/** Those that fit. `InvalidFilterInQueryString` for a filter that is not understood: showing all would be a lie. */
export function filterResources(resources: JsonObject[], filter: string | undefined): JsonObject[] {
  if (filter === undefined || filter.trim() === '') return resources;
  const tests: ((resource: JsonObject) => boolean)[] = [];
  const clause = /\s*(\w+)\s+eq\s+'((?:[^']|'')*)'\s*(and\s|$)/iy;
  do {
    const [, field, quoted = ''] = clause.exec(filter) ?? [];
    const test = fields.get(field?.toLowerCase() ?? '');
    if (test === undefined) {
      throw new PoolhouseError(
        'InvalidFilterInQueryString',
        `Invalid $filter '${filter.slice(0, 200)}' specified in the query string: ${[...fields.keys()].join(', ')} with eq and a text in quotes, joined by and, are understood.`,
      );
    }
    tests.push((resource) => test(resource, quoted.replaceAll("''", "'")));
  } while (clause.lastIndex < filter.length);
  return resources.filter((resource) => tests.every((test) => test(resource)));
}

function same(own: Json | undefined, value: string): boolean {
  return typeof own === 'string' && own.toLowerCase() === value.toLowerCase();
}

function tagsOf(resource: JsonObject): JsonObject {
  return isObject(resource['tags']) ? resource['tags'] : {};
}
