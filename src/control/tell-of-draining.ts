/** Has the people of instances that drain told so, and ends their sessions when the time is over. */
import type { EpochMillis } from '../core/time.ts';
import type { Session } from '../link/people.ts';
import { drainNotice, nextDrainNotice, type Told } from '../pool/drain-notices.ts';
import type { InstanceState } from '../pool/instance-state.ts';
import type { SessionOrders } from './session-orders.ts';

type Leaving = Pick<InstanceState, 'draining' | 'removal'>;

/**
 * Tells once what `pool/drain-notices` decides. When control begins anew it says once more how long there is.
 *
 * @param mayKeep whether the person of a session is idle, on a machine that goes for that
 * @returns after how many milliseconds there is something to say again, as far as can be seen now
 */
export function createDrainTeller(orders: Pick<SessionOrders, 'give'>) {
  /** By session. */
  let told = new Map<string, Told>();

  return function tellOfDraining(
    sessions: readonly Session[],
    instances: ReadonlyMap<string, Leaving>,
    now: EpochMillis,
    mayKeep: (session: Session) => boolean = () => false,
  ): number {
    const remembered = new Map<string, Told>();
    const given: Parameters<SessionOrders['give']>[0][number][] = [];
    for (const session of sessions) {
      const { id, instance } = session;
      const before = told.get(id);
      const notice = drainNotice(instances.get(instance) ?? {}, before, now, mayKeep(session));
      const after = notice === undefined ? before : notice.told;
      if (after !== undefined) remembered.set(id, after);
      if (notice === undefined) continue;
      const { message, end } = notice;
      given.push({ session: id, ...(message === undefined ? {} : { message }), ...(end === undefined ? {} : { end }) });
    }
    told = remembered;
    orders.give(given);
    const next = [...instances.values()].flatMap(({ draining }) => {
      const at = draining?.until === undefined ? undefined : nextDrainNotice(draining.until, now);
      return at === undefined ? [] : [at - now];
    });
    return Math.min(Number.POSITIVE_INFINITY, ...next);
  };
}
