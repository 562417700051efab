/**
 * Pools as people are given them: `resourcegroup/scaleset` in lower case. A name, not the id of a resource that is
 * there: a pool that is deployed later, or again, is the one that was meant.
 */
import { keyOf, shownName, tryParseResourceId } from '../../core/resource-id.ts';
import type { PoolAccess } from '../../identity/people.ts';
import { findResources } from '../../store/resource-records.ts';
import type { Queries } from '../../store/store.ts';
import { invalid } from '../read-body.ts';

const scaleSetType = 'microsoft.compute/virtualmachinescalesets';

/** The name of the pool that a scale set is, from its id or its key. */
export function poolNameOf(id: string): string {
  const path = tryParseResourceId(id);
  return `${path?.resourceGroup ?? ''}/${path?.names[0] ?? ''}`.toLowerCase();
}

/**
 * What a list of pools means. Each is `*` (every pool, and then alone), the name of a scale set that there is once,
 * `GROUP/NAME`, or a whole id; the last two also of pools that are not there yet. `InvalidParameter` says what is wrong.
 */
export async function readPoolAccess(queries: Queries, asked: readonly string[]): Promise<PoolAccess> {
  if (asked.includes('*')) {
    if (asked.length > 1) throw refuse(`'*' is every pool already: it stands alone.`);
    return 'all';
  }
  const existing = (await findResources(queries, { type: scaleSetType })).map((record) => poolNameOf(record.id));
  return [...new Set(asked.map((text) => poolOf(text, existing)))].toSorted();
}

function poolOf(text: string, existing: readonly string[]): string {
  const shown = shownName(text);
  if (text.startsWith('/')) {
    const path = tryParseResourceId(keyOf(text));
    if (path?.type !== scaleSetType || path.names.length !== 1 || path.resourceGroup === undefined)
      throw refuse(`'${shown}' is not the id of a scale set.`);
    return poolNameOf(keyOf(text));
  }
  const parts = text.toLowerCase().split('/');
  if (parts.length > 2 || parts.some((part) => !/^[\p{L}\p{N}_.()-]{1,90}$/u.test(part)))
    throw refuse(`'${shown}' is not the name of a pool: NAME, or RESOURCEGROUP/NAME, or the id of its scale set.`);
  if (parts.length === 2) return parts.join('/');
  const found = existing.filter((pool) => pool.endsWith(`/${parts[0] ?? ''}`));
  const [first] = found;
  if (first === undefined)
    throw refuse(
      `There is no scale set '${shown}'${existing.length === 0 ? '' : ` (there are ${existing.join(', ')})`}. One that will come later is named with its resource group: GROUP/${shown}`,
    );
  if (found.length > 1)
    throw refuse(`There is more than one scale set '${shown}'. Say which is meant: ${found.join(', ')}.`);
  return first;
}

const refuse = (why: string) => invalid('properties.pools', why);
