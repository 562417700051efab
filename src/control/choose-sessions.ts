/** Which sessions an operator means. Pure. */
import { PoolhouseError } from '../core/errors.ts';
import { choosePool } from './choose-pool.ts';

/** A session as an operator sees it. */
export interface SessionDocument {
  id: string;
  user: string;
  /** `resourcegroup/scaleset`, in lower case. */
  pool: string;
  /** The instance's host name. */
  instance: string;
  protocol: string;
  /** ISO 8601. */
  since: string;
  /** The address that the person came from. */
  from: string;
  /** When its instance goes, in ISO 8601; null where that does not drain. */
  drainsUntil: string | null;
}

/** What is named narrows down; nothing named means all. */
export interface SessionChoice {
  /** The session's id, or a beginning that no other has. */
  id?: string | undefined;
  user?: string | undefined;
  /** `NAME` or `GROUP/NAME` of the scale set. */
  pool?: string | undefined;
  instance?: string | undefined;
}

/**
 * Those that were named, in their order. `ResourceNotFound` where there is no such session, pool or instance, or none of an id;
 * `Conflict` where an id's beginning, or the name of a pool, is that of several. A user without a session gives none.
 *
 * @param places the pools and instances that there are
 */
export function chooseSessions(
  sessions: readonly SessionDocument[],
  places: { pools: readonly string[]; instances: readonly string[] },
  { id, user, pool, instance }: SessionChoice,
): SessionDocument[] {
  const poolName = pool === undefined ? undefined : choosePool(pool, places.pools);
  if (instance !== undefined && !places.instances.includes(instance))
    throw new PoolhouseError('ResourceNotFound', `There is no instance '${instance}'. 'poolhouse status' lists them.`);
  const found = sessions.filter(
    (one) =>
      (id === undefined || one.id.startsWith(id.toLowerCase())) &&
      (user === undefined || one.user === user) &&
      (poolName === undefined || one.pool === poolName) &&
      (instance === undefined || one.instance === instance),
  );
  if (id === undefined) return found;
  const exact = found.filter((one) => one.id === id.toLowerCase());
  if (exact.length === 1) return exact;
  if (found.length === 0)
    throw new PoolhouseError(
      'ResourceNotFound',
      `There is no session '${id}'${id === '' ? '' : ', and none begins so'}. 'poolhouse sessions list' shows those there are.`,
    );
  if (found.length > 1)
    throw new PoolhouseError(
      'Conflict',
      `More than one session begins with '${id}': ${shown(found)}. Give more of the one that you mean.`,
    );
  return found;
}

const mostShown = 5;
function shown(sessions: readonly SessionDocument[]): string {
  const some = sessions.slice(0, mostShown).map(({ id, user }) => `${id.slice(0, 12)}… of ${user}`);
  return `${some.join(', ')}${sessions.length > mostShown ? ` and ${String(sessions.length - mostShown)} more` : ''}`;
}
