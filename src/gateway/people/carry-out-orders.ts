/** Does with the sessions of this gateway what control orders. */
import type { Order, OrderList } from '../../link/orders.ts';
import type { SessionLedger } from './session-ledger.ts';

/** Takes each list that control publishes. An order is carried out once, and only where this gateway has the session. */
export function createOrderTaker(sessions: Pick<SessionLedger, 'find'>): (list: OrderList) => void {
  /** Of the last list: what has left the list never comes back. */
  let done: ReadonlySet<string> = new Set();
  return ({ orders }) => {
    const news = Map.groupBy(
      orders.filter(({ id }) => !done.has(id)),
      (order) => order.session,
    );
    done = new Set(orders.map(({ id }) => id));
    if (news.size === 0) return;
    for (const session of sessions.find(({ id }) => news.has(id)))
      for (const order of news.get(session.id) ?? []) carryOut(order, session);
  };
}

function carryOut({ message, end }: Order, session: ReturnType<SessionLedger['find']>[number]): void {
  if (message !== undefined) session.tell(message);
  if (end !== undefined) session.end(end);
}
