/** A file share by the names that mounts use: those of its account and its own. */
import { findResource, findResources, nameOf } from '../../store/resource-records.ts';
import type { Queries } from '../../store/store.ts';
import { readAccountTags } from './account-tags.ts';

export interface FoundShare {
  /** Another one for a share that was made anew under the same name. */
  incarnation: string;
  /** What a person's workspace may hold, unless something else is said of them. */
  userQuotaBytes: number | undefined;
}

/** Undefined where there is none, or it is being deleted. */
export async function findShare(
  queries: Queries,
  { account, share }: { account: string; share: string },
): Promise<FoundShare | undefined> {
  const found = (await findResources(queries, { type: 'Microsoft.Storage/storageAccounts' })).find(
    ({ id, deletingSince }) => nameOf(id).toLowerCase() === account && deletingSince === undefined,
  );
  if (found === undefined) return undefined;
  const id = `${found.id}/fileServices/default/shares/${share}`;
  const record = await findResource(queries, id);
  if (record === undefined || record.deletingSince !== undefined) return undefined;
  return {
    incarnation: `${account}/${share} ${record.createdAt}`,
    userQuotaBytes: readAccountTags(found.document).userQuotaBytes,
  };
}
