/** Settings of a storage account beyond Azure's: tags `poolhouse-…` on it. */
import { parseByteSize } from '../../core/byte-size.ts';
import { dig, type JsonObject } from '../../core/json.ts';
import { invalid } from '../read-body.ts';

export interface AccountTags {
  /** What a person's workspace may hold on each of its shares, unless something else is said of them; undefined: no limit. */
  userQuotaBytes: number | undefined;
}

/** `InvalidParameter` names the tag whose value is none. */
export function readAccountTags(document: JsonObject): AccountTags {
  const name = 'poolhouse-user-quota';
  const value = dig(document, 'tags', name);
  if (value === undefined || value === null || value === 'none') return { userQuotaBytes: undefined };
  const bytes = typeof value === 'string' ? parseByteSize(value) : undefined;
  if (bytes === undefined)
    throw invalid(
      `tags.${name}`,
      `The value ${JSON.stringify(value)} of the tag '${name}' is not valid: a size such as '10GiB' or 'none' is expected.`,
    );
  return { userQuotaBytes: bytes };
}
