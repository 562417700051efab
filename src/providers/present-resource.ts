import { isObject, type JsonObject } from '../core/json.ts';
import { nameOf, type ResourceRecord } from '../store/resource-records.ts';
import type { StoredType, TypeContext } from './resource-type.ts';

/** The whole document as a GET shows it. */
export async function presentResource(
  record: ResourceRecord,
  type: StoredType,
  context: TypeContext,
  expand?: string,
): Promise<JsonObject> {
  const { properties, ...members } = record.document;
  // Members that begin with `$` are our own notes in the document.
  const rest = Object.fromEntries(Object.entries(members).filter(([name]) => !name.startsWith('$')));
  const own =
    type.properties === undefined
      ? isObject(properties)
        ? properties
        : {}
      : await type.properties(record, context, expand);
  return {
    id: record.id,
    name: nameOf(record.id),
    type: type.type,
    ...rest,
    etag: `W/"${record.etag}"`,
    ...(await type.extra?.(record, context)),
    properties: { ...own, provisioningState: record.provisioningState },
  };
}
