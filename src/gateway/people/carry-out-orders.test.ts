import { describe, expect, it, vi } from 'vitest';
import { createOrderTaker } from './carry-out-orders.ts';
import { createSessionLedger } from './session-ledger.ts';

function prepare() {
  const ledger = createSessionLedger(
    () => 0,
    () => undefined,
  );
  const add = (user: string) => {
    const session = { tell: vi.fn(), end: vi.fn(), activity: { at: () => 0 } };
    ledger.add({ pool: '/pools/team', user, instance: 'one', protocol: 'ssh', client: '127.0.0.1', ...session });
    return { ...session, id: ledger.find((one) => one.user === user)[0]?.id ?? '' };
  };
  return { add, take: createOrderTaker(ledger) };
}

describe('orders of control', () => {
  it('reach the session they name, and no other', () => {
    const { add, take } = prepare();
    const [alice, bob] = [add('alice'), add('bob')];
    take({
      revision: '1',
      orders: [
        { id: 'a', session: alice.id, message: 'hello' },
        { id: 'b', session: bob.id, end: 'bye' },
      ],
    });
    expect(alice.tell.mock.calls).toEqual([['hello']]);
    expect(alice.end).not.toHaveBeenCalled();
    expect(bob.end.mock.calls).toEqual([['bye']]);
    expect(bob.tell).not.toHaveBeenCalled();
  });

  it('are carried out once, in their order, however often they come', () => {
    const { add, take } = prepare();
    const alice = add('alice');
    const first = { id: 'a', session: alice.id, message: 'one' };
    take({ revision: '1', orders: [first] });
    take({ revision: '2', orders: [first, { id: 'b', session: alice.id, message: 'two' }] });
    take({ revision: '3', orders: [{ id: 'b', session: alice.id, message: 'two' }] });
    take({ revision: '4', orders: [] });
    expect(alice.tell.mock.calls).toEqual([['one'], ['two']]);
  });

  it('about sessions of other gateways do nothing', () => {
    const { add, take } = prepare();
    const alice = add('alice');
    take({ revision: '1', orders: [{ id: 'a', session: 'elsewhere', end: 'bye' }] });
    expect(alice.end).not.toHaveBeenCalled();
  });
});
