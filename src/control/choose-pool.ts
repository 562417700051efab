/** Which pool an operator means. Pure. */
import { PoolhouseError } from '../core/errors.ts';

/**
 * The one of `pools` (`group/name`, in lower case) that `NAME` or `GROUP/NAME` names. `ResourceNotFound` where there is none,
 * `Conflict` where there are several.
 */
export function choosePool(asked: string, pools: readonly string[]): string {
  const name = asked.toLowerCase();
  const found = pools.filter((pool) => pool === name || (!name.includes('/') && pool.endsWith(`/${name}`)));
  const [first] = found;
  if (first === undefined)
    throw new PoolhouseError(
      'ResourceNotFound',
      `There is no pool '${asked}'${pools.length === 0 ? '' : ` (there are ${pools.join(', ')})`}. 'poolhouse status' shows the pools.`,
    );
  if (found.length > 1)
    throw new PoolhouseError('Conflict', `There is more than one pool '${asked}': say which, ${found.join(' or ')}.`);
  return first;
}
