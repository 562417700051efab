import { describe, expect, it } from 'vitest';
import type { Session } from '../link/people.ts';
import type { Order } from '../link/orders.ts';
import { createDrainTeller } from './tell-of-draining.ts';

const session = (id: string, instance: string): Session => ({
  ...{ id, instance, pool: '/p', user: id, protocol: 'ssh', since: 0, client: '127.0.0.1' },
});
const minute = 60_000;
const draining = { draining: { since: 0, until: 30 * minute } };

function prepare() {
  const given: Omit<Order, 'id'>[] = [];
  const tell = createDrainTeller({ give: (orders) => void given.push(...orders) });
  return { tell, taken: () => given.splice(0).map(({ session: to, message, end }) => [to, message ?? end]) };
}

describe('people on an instance that drains', () => {
  it('are told, each once, and those elsewhere are not', () => {
    const { tell, taken } = prepare();
    const instances = new Map<string, Partial<typeof draining>>([
      ['one', draining],
      ['two', {}],
    ]);
    expect(tell([session('a', 'one'), session('b', 'two')], instances, 0)).toBe(20 * minute);
    expect(taken()).toEqual([['a', expect.stringContaining('30 minutes')]]);
    tell([session('a', 'one'), session('b', 'two'), session('c', 'one')], instances, minute);
    expect(taken()).toEqual([['c', expect.stringContaining('29 minutes')]]);
  });

  it('are ended at the end, or told that their machine stays', () => {
    const { tell, taken } = prepare();
    const here = [session('a', 'one')];
    tell(here, new Map([['one', draining]]), 29.5 * minute);
    expect(taken()).toEqual([['a', expect.stringContaining('a minute')]]);
    tell(here, new Map([['one', {}]]), 29.6 * minute);
    expect(taken()).toEqual([['a', 'This machine stays.']]);
    expect(tell(here, new Map([['one', draining]]), 30 * minute)).toBe(Number.POSITIVE_INFINITY);
    expect(taken()).toEqual([['a', expect.stringContaining('over')]]);
  });

  it('hear how to keep it where they are idle', () => {
    const { tell, taken } = prepare();
    tell([session('a', 'one'), session('b', 'one')], new Map([['one', draining]]), 0, ({ user }) => user === 'b');
    expect(taken()).toEqual([
      ['a', expect.not.stringContaining('keep 2h')],
      ['b', expect.stringContaining('keep 2h')],
    ]);
  });

  it('are told again by a control that begins anew', () => {
    const instances = new Map([['one', draining]]);
    for (const { tell, taken } of [prepare(), prepare()]) {
      tell([session('a', 'one')], instances, minute);
      expect(taken()).toHaveLength(1);
    }
  });
});
