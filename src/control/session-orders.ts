/**
 * Orders to the gateways about sessions. They are published as a whole, and again when one comes or goes: a gateway that
 * was away for a moment finds what it has missed, and one that was away for longer finds nothing that has become stale.
 */
import type { Clock, EpochMillis } from '../core/time.ts';
import type { Order, OrderList } from '../link/orders.ts';

export interface SessionOrders {
  /** Has the gateways do this, each once. */
  give(orders: readonly Omit<Order, 'id'>[]): void;
  /** Those that are to be carried out now. */
  list(): OrderList;
  /** Drops the old ones; to be called every few seconds. */
  forget(): void;
}

export interface SessionOrdersOptions {
  clock: Pick<Clock, 'now'>;
  newId: () => string;
  publish: (list: OrderList) => void;
  /** Kept at a time; the oldest go first, which gateways have had longest. */
  most?: number;
}

const keptFor = 60_000;

export function createSessionOrders({ clock, newId, publish, most = 20_000 }: SessionOrdersOptions): SessionOrders {
  /** Another control's orders are not taken for ours. */
  const run = newId();
  let kept: { at: EpochMillis; order: Order }[] = [];
  let changes = 0;

  const list = (): OrderList => ({ revision: `${run}-${String(changes)}`, orders: kept.map(({ order }) => order) });

  function keep(next: typeof kept): void {
    kept = next;
    changes += 1;
    publish(list());
  }
  const fresh = () => kept.filter(({ at }) => clock.now() - at < keptFor);

  return {
    give(orders) {
      if (orders.length === 0) return;
      const at = clock.now();
      keep([...fresh(), ...orders.map((order) => ({ at, order: { ...order, id: newId() } }))].slice(-most));
    },
    list,
    forget() {
      const left = fresh();
      if (left.length < kept.length) keep(left);
    },
  };
}
