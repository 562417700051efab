import { PoolhouseError } from '../core/errors.ts';
import type { ResourcePath } from '../core/resource-id.ts';
import type { ResourceRecord } from '../store/resource-records.ts';
import type { WriteConditions } from './resource-service.ts';

/** `PreconditionFailed` where `If-Match` or `If-None-Match` do not hold. */
export function checkConditions(
  existing: Pick<ResourceRecord, 'etag'> | undefined,
  conditions: WriteConditions,
  path: Pick<ResourcePath, 'names'>,
): void {
  const bare = (etag: string) => etag.replace(/^W\//, '').replace(/^"|"$/g, '');
  if (conditions.mustNotExist === true && existing !== undefined) {
    throw new PoolhouseError(
      'PreconditionFailed',
      `'${path.names.join('/')}' exists already, and the request says that it must not (If-None-Match: *).`,
    );
  }
  const wanted = conditions.ifMatch;
  if (wanted === undefined || (wanted === '*' && existing !== undefined)) return;
  if (existing === undefined || bare(wanted) !== existing.etag) {
    throw new PoolhouseError(
      'PreconditionFailed',
      `Precondition failed: '${path.names.join('/')}' has changed since the etag '${wanted}' was read. Read it again and repeat the change.`,
    );
  }
}
