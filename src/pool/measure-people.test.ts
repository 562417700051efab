import { describe, expect, it } from 'vitest';
import { measurePeople, type PeopleSnapshot } from './measure-people.ts';

type Instance = PeopleSnapshot['instances'][number];
const on = (instance: string, users: string[], changes: Partial<Instance> = {}): Instance => ({
  ...{ instance, reachable: true, inRotation: true, sessions: users.length },
  ...{ connected: new Set(users), bound: users.length, ...changes },
});
const pool = (instances: Instance[], changes: Partial<PeopleSnapshot> = {}): PeopleSnapshot => ({
  ...{ instances, waiting: 0, usersPerInstance: undefined, ...changes },
});

describe('metrics of people', () => {
  it('count sessions and people by instance; one that does not run says nothing', () => {
    const snapshot = pool([
      on('a', ['x', 'y'], { sessions: 5 }),
      on('b', []),
      on('c', [], { reachable: false, inRotation: false }),
    ]);
    expect(measurePeople(snapshot, 'Active Sessions')).toEqual(new Map([['a', 5], ['b', 0]])); // prettier-ignore
    expect(measurePeople(snapshot, 'Connected Users')).toEqual(new Map([['a', 2], ['b', 0]])); // prettier-ignore
  });

  it.each([
    ['two instances', [on('a', ['x', 'y']), on('b', ['z'])], 1.5],
    ['somebody on one that leaves', [on('a', ['x']), on('b', ['y'], { inRotation: false })], 2],
    ['somebody on both', [on('a', ['x']), on('b', ['x'])], 0.5],
    ['none in rotation', [on('a', ['x'], { inRotation: false })], 0],
    ['no instance', [], 0],
  ])('divide people by the instances in rotation: %s', (_what, instances, expected) => {
    expect(measurePeople(pool(instances), 'Users Per Instance')).toEqual(new Map([['', expected]]));
  });

  it('tell who waits', () => {
    expect(measurePeople(pool([], { waiting: 3 }), 'Waiting Users')).toEqual(new Map([['', 3]]));
  });

  it.each([
    ['what is free on those in rotation', [on('a', ['x']), on('b', [], { inRotation: false })], 2, 1],
    ['not less than none', [on('a', ['x', 'y', 'z'])], 2, 0],
    ['those who are bound, also without a session', [on('a', [], { bound: 2 })], 3, 1],
  ])('seats are %s', (_what, instances, usersPerInstance, expected) => {
    expect(measurePeople(pool(instances, { usersPerInstance }), 'Available Seats')).toEqual(new Map([['', expected]]));
  });

  it('seats are not known without a limit, or before anybody has looked', () => {
    expect(measurePeople(pool([on('a', [])]), 'Available Seats')).toBeUndefined();
    const unseen = pool([on('a', [], { bound: undefined })], { usersPerInstance: 2 });
    expect(measurePeople(unseen, 'Available Seats')).toBeUndefined();
  });
});
