import { createHash } from 'node:crypto';
import { dig, isObject, type Json, type JsonObject } from '../../core/json.ts';
import { objectAt } from '../read-body.ts';

/** The digest of what instances are made of: two documents with the same digest make the same instances. */
export function modelVersion(document: JsonObject): string {
  const made: Json = {
    profile: objectAt(document, 'properties', 'virtualMachineProfile'),
    size: dig(document, 'sku', 'name') ?? null,
  };
  return createHash('sha256').update(stableText(made)).digest('hex').slice(0, 16);
}

function stableText(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(stableText).join(',')}]`;
  if (!isObject(value)) return JSON.stringify(value);
  return `{${Object.keys(value)
    .sort()
    .map((name) => `${JSON.stringify(name)}:${stableText(value[name] ?? null)}`)
    .join(',')}}`;
}
