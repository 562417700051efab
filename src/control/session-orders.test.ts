import { describe, expect, it } from 'vitest';
import type { OrderList } from '../link/orders.ts';
import { createSessionOrders } from './session-orders.ts';

function prepare(most?: number) {
  let now = 0;
  let ids = 0;
  const published: OrderList[] = [];
  const orders = createSessionOrders({
    clock: { now: () => now },
    newId: () => `id${String(++ids)}`,
    publish: (list) => void published.push(list),
    ...(most === undefined ? {} : { most }),
  });
  return {
    orders,
    published,
    pass: (milliseconds: number) => {
      now += milliseconds;
    },
  };
}

describe('orders about sessions', () => {
  it('are published with ids of their own, together with those of the last minute', () => {
    const { orders, published, pass } = prepare();
    orders.give([{ session: 'a', message: 'hello' }]);
    pass(59_000);
    orders.give([{ session: 'b', end: 'bye' }]);
    expect(published.map((list) => list.orders.map((order) => order.session))).toEqual([['a'], ['a', 'b']]);
    expect(new Set(published.at(-1)?.orders.map((order) => order.id)).size).toBe(2);
    expect(published[0]?.revision).not.toBe(published[1]?.revision);
  });

  it('are forgotten after a minute, so that nothing stale reaches a gateway that comes back', () => {
    const { orders, published, pass } = prepare();
    orders.give([{ session: 'a', message: 'hello' }]);
    orders.forget();
    expect(published).toHaveLength(1);
    pass(60_000);
    orders.forget();
    expect(orders.list().orders).toEqual([]);
    expect(published).toHaveLength(2);
    orders.forget();
    expect(published).toHaveLength(2);
  });

  it('are bounded: the oldest go', () => {
    const { orders } = prepare(2);
    orders.give(['a', 'b', 'c'].map((session) => ({ session, message: 'hello' })));
    expect(orders.list().orders.map((order) => order.session)).toEqual(['b', 'c']);
  });

  it('publishes nothing for nobody', () => {
    const { orders, published } = prepare();
    orders.give([]);
    expect(published).toEqual([]);
  });
});
