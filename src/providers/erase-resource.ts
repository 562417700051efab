import { findResources, type ResourceRecord } from '../store/resource-records.ts';
import type { Queries } from '../store/store.ts';
import type { Registry, TypeContext } from './resource-type.ts';

/** Removes a resource's row with all that belongs to it, its descendants included. */
export async function eraseResource(
  tx: Queries,
  record: ResourceRecord,
  registry: Registry,
  context: TypeContext,
): Promise<void> {
  const descendants = (await findResources(tx, { groupKey: record.groupKey })).filter((one) =>
    one.key.startsWith(`${record.key}/`),
  );
  for (const gone of [...descendants.reverse(), record]) {
    const type = registry.find(gone.typeKey);
    if (type?.kind === 'stored') await type.cleanUp?.(gone, { ...context, queries: tx });
    await tx.deleteFrom('secrets').where('owner_key', '=', gone.key).execute();
    await tx.deleteFrom('resources').where('key', '=', gone.key).execute();
  }
}
