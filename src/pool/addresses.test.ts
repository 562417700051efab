import { describe, expect, it } from 'vitest';
import { addressesOf, chooseServiceAddress, moveIntoNetwork, reassignAddresses, serviceAddress } from './addresses.ts';

describe('addressesOf', () => {
  it('leaves out the network, the host, the broadcast address, and the one for a service', () => {
    expect([...addressesOf({ subnet: '10.231.4.0/29', gateway: '10.231.4.1' })]).toEqual([
      '10.231.4.2',
      '10.231.4.3',
      '10.231.4.4',
      '10.231.4.5',
    ]);
    expect(serviceAddress({ subnet: '10.231.4.0/29' })).toBe('10.231.4.6');
    expect(serviceAddress({ subnet: '10.231.4.0/22' })).toBe('10.231.7.254');
  });
});

describe('chooseServiceAddress', () => {
  const loopback = ['127.77.1.10', '127.77.1.11'];
  const cases: [string, string[], string[], ReturnType<typeof chooseServiceAddress>][] = [
    ['a loopback address', [], [], { address: '127.77.1.10', isShared: false }],
    ['the next loopback address', ['127.77.1.10'], [], { address: '127.77.1.11', isShared: false }],
    ['none is left', loopback, [], undefined],
    ['the only one of the operator is shared', [], ['192.0.2.1'], { address: '192.0.2.1', isShared: true }],
    ['the last that is free', [], ['192.0.2.1', '192.0.2.2'], { address: '192.0.2.2', isShared: false }],
    ['pools have all', ['192.0.2.2'], ['192.0.2.1', '192.0.2.2'], { address: '192.0.2.1', isShared: true }],
  ];
  it.each(cases)('%s', (_what, taken, own, expected) => {
    expect(chooseServiceAddress(new Set(taken), own, loopback)).toEqual(expected);
  });
});

describe('reassignAddresses', () => {
  const loopback = ['127.77.1.10', '127.77.1.11'];
  const cases: [string, { assigned: Record<string, string>; own: string[]; expected: Record<string, string> }][] = [
    ['nothing changes without cause', { assigned: { a: '127.77.1.10' }, own: [], expected: {} }],
    [
      'an address of the operator is better',
      { assigned: { a: '127.77.1.10' }, own: ['192.0.2.1'], expected: { a: '192.0.2.1' } },
    ],
    [
      'who came first chooses first',
      { assigned: { a: '127.77.1.11', b: '127.77.1.10' }, own: ['192.0.2.1'], expected: { a: '192.0.2.1' } },
    ],
    [
      'nobody loses an address to another',
      { assigned: { a: '127.77.1.10', b: '192.0.2.1' }, own: ['192.0.2.1'], expected: {} },
    ],
    [
      'one that is no longer offered is given up',
      { assigned: { a: '192.0.2.1' }, own: [], expected: { a: '127.77.1.10' } },
    ],
    [
      'the operator moves to another address',
      { assigned: { a: '192.0.2.1', b: '127.77.1.10' }, own: ['192.0.2.9'], expected: { a: '192.0.2.9' } },
    ],
    [
      'what one gives up another may have',
      {
        assigned: { a: '127.77.1.10', b: '192.0.2.1' },
        own: ['192.0.2.9'],
        expected: { a: '192.0.2.9', b: '127.77.1.10' },
      },
    ],
    [
      'with none left it stays as it was',
      { assigned: { a: '192.0.2.1', b: '127.77.1.10', c: '127.77.1.11' }, own: [], expected: {} },
    ],
  ];

  it.each(cases)('%s', (_case, { assigned, own, expected }) => {
    const before = Object.entries(assigned).map(([owner, address]) => ({ owner, address }));
    const changes = reassignAddresses(before, own, loopback);
    expect(Object.fromEntries(changes.map(({ owner, address }) => [owner, address]))).toEqual(expected);
    const after = before.map((one) => changes.find(({ owner }) => owner === one.owner) ?? one);
    expect(reassignAddresses(after, own, loopback)).toEqual([]);
  });
});

describe('moveIntoNetwork', () => {
  const network = { subnet: '10.231.4.0/29', gateway: '10.231.4.1' };
  const at = (name: string, address: string) => ({ name, address });
  const cases: [string, ReturnType<typeof at>[], string[], ReturnType<typeof at>[]][] = [
    ['nobody who is in it', [at('a', '10.231.4.2'), at('b', '10.231.4.5')], [], []],
    ['who is elsewhere', [at('a', '10.9.0.2')], [], [at('a', '10.231.4.2')]],
    ['nobody who is there', [at('a', '10.9.0.2')], ['a'], []],
    [
      'past addresses that are taken',
      [at('a', '10.9.0.2'), at('b', '10.231.4.2'), at('c', '10.9.0.3')],
      ['b'],
      [at('a', '10.231.4.3'), at('c', '10.231.4.4')],
    ],
    [
      'as many as it has room for',
      ['a', 'b', 'c', 'd', 'e'].map((name) => at(name, '10.9.0.2')),
      [],
      ['a', 'b', 'c', 'd'].map((name, index) => at(name, `10.231.4.${index + 2}`)),
    ],
  ];
  it.each(cases)('moves %s', (_what, records, present, moved) => {
    expect(moveIntoNetwork(records, new Set(present), network)).toEqual(moved);
  });
});
