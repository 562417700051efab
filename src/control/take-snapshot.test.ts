import { describe, expect, it } from 'vitest';
import type { ResourceRecord } from '../store/resource-records.ts';
import { roomOf } from './take-snapshot.ts';

const GiB = 2 ** 30;
/** A scale set of instances with one GiB each. */
const set = (key: string, capacity: number, standby: number, more: object = {}) =>
  ({
    key,
    document: {
      sku: { name: 'Standard_B1s', capacity },
      tags: { 'poolhouse-standby': String(standby) },
      properties: {
        virtualMachineProfile: {
          storageProfile: { imageReference: { publisher: 'p', offer: 'o', sku: 's' } },
          osProfile: { computerNamePrefix: 'team', adminUsername: 'azure', adminPassword: 'Correct-Horse-7' },
          networkProfile: {
            networkInterfaceConfigurations: [
              { name: 'n', properties: { ipConfigurations: [{ name: 'i', properties: { subnet: { id: '/s' } } }] } },
            ],
          },
          ...more,
        },
      },
    },
  }) as unknown as ResourceRecord; // what is read of it
const rooms = (sets: ResourceRecord[], host: number) =>
  Object.fromEntries(
    [...roomOf(sets, new Map(), host * GiB)].map(([key, { standbyRoom, evictions }]) => [
      key,
      [standbyRoom, evictions],
    ]),
  );

describe('what the memory of the host means for scale sets', () => {
  it('is as many standby instances as are asked for, where they fit', () => {
    expect(rooms([set('a', 2, 1), set('b', 1, 2)], 10)).toEqual({ a: [1, 0], b: [2, 0] });
  });
  it('is no room that two of them could take', () => {
    expect(rooms([set('b', 1, 1), set('a', 2, 1)], 4)).toEqual({ a: [1, 0], b: [0, 0] });
  });
  it('has capacities before standby, and regular sets before preemptible ones', () => {
    expect(rooms([set('a', 3, 1), set('spot', 2, 0, { priority: 'Spot' })], 4)).toEqual({ a: [0, 0], spot: [0, 1] });
  });
  it('counts nothing of what is being deleted', () => {
    const gone = { ...set('gone', 9, 1), deletingSince: 1 };
    expect(rooms([gone, set('spot', 2, 1, { priority: 'Spot' })], 3)).toEqual({ spot: [1, 0] });
  });
});
