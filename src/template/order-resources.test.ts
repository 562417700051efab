import { describe, expect, it } from 'vitest';
import { orderResources, type Orderable } from './order-resources.ts';

const one = (key: string, explicit: string[] = [], implied: string[] = []): Orderable => ({
  key,
  name: key.toUpperCase(),
  explicit,
  implied,
});
const ordered = (...resources: Orderable[]) => Object.fromEntries(orderResources(resources));

describe('resources wait', () => {
  it('for what they say, and for what they speak of', () => {
    expect(ordered(one('a'), one('b', ['a']), one('c', ['b'], ['a', 'b']))).toEqual({
      a: [],
      b: ['a'],
      c: ['b', 'a'],
    });
  });

  it('but not for what they speak of, where that waits for them', () => {
    // A network names its security group, and the group (by a template of ours) the network.
    expect(ordered(one('net', ['group'], []), one('group', [], ['net']))).toEqual({ net: ['group'], group: [] });
    expect(ordered(one('a', [], ['b']), one('b', [], ['a']))).toEqual({ a: ['b'], b: [] });
  });

  it('for nobody where there is nobody', () => {
    expect(ordered()).toEqual({});
  });
});

describe('a circle is refused by the name of who is in it', () => {
  it.each<[string, Orderable[], string, string]>([
    ['of two', [one('a', ['b']), one('b', ['a'])], 'a', 'b'],
    ['of three', [one('a', ['c']), one('b', ['a']), one('c', ['b'])], 'a', 'c'],
    ['of one', [one('a', ['a'])], 'a', 'a'],
    ['beside what is in none', [one('x'), one('y', ['x']), one('a', ['x', 'b']), one('b', ['a', 'y'])], 'a', 'b'],
  ])('%s', (_what, resources, key, closing) => {
    expect(() => orderResources(resources)).toThrow(
      expect.objectContaining({
        code: 'InvalidTemplate',
        message: expect.stringMatching(
          new RegExp(`Circular dependency detected on resource: '${key}'.*'${closing}'`),
        ) as string,
      }) as Error,
    );
  });
});

it('orders 800 resources that wait for each other in a row', () => {
  const row = Array.from({ length: 800 }, (_, index) => one(`r${index}`, index === 0 ? [] : [`r${index - 1}`]));
  expect(orderResources(row).get('r799')).toEqual(['r798']);
});
