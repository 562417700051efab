import { describe, expect, it } from 'vitest';
import type { Session } from '../link/people.ts';
import { createBindings } from './bindings.ts';

const pool = '/pools/team';
const session = (id: string, user: string, instance: string, since = 1): Session => ({
  ...{ id, pool, user, instance, since },
  protocol: 'ssh',
  client: '127.0.0.1',
});

describe('bindings', () => {
  it('last as long as a session does', () => {
    const bindings = createBindings();
    bindings.see([session('1', 'ada', 'one'), session('2', 'ada', 'one'), session('3', 'bob', 'two')], [], 0);
    expect(bindings.of(pool, 'ada')).toMatchObject({ instance: 'one', sessions: 2 });
    expect([bindings.usersOn('one'), bindings.usersOn('two'), bindings.usersOn('three')]).toEqual([1, 1, 0]);
    bindings.see([session('3', 'bob', 'two')], [], 0);
    expect(bindings.of(pool, 'ada')).toBeUndefined();
    expect(bindings.usersOn('one')).toBe(0);
  });

  it('last as long as a process does', () => {
    const bindings = createBindings();
    bindings.see([], [{ pool, user: 'ada', instance: 'one', activeAt: 0 }], 0);
    expect(bindings.of(pool, 'ada')).toMatchObject({ instance: 'one', sessions: 0 });
  });

  it('are there from the moment that a place is given, until nobody came', () => {
    const bindings = createBindings();
    bindings.reserve({ pool, user: 'ada', instance: 'one', activeAt: 0 }, 30);
    bindings.see([], [], 20);
    expect(bindings.of(pool, 'ada')).toMatchObject({ instance: 'one', sessions: 0 });
    expect(bindings.usersOn('one')).toBe(1);
    bindings.see([], [], 40);
    expect(bindings.of(pool, 'ada')).toBeUndefined();
  });

  it('are where a person is, not where they were to go', () => {
    const bindings = createBindings();
    bindings.reserve({ pool, user: 'ada', instance: 'one', activeAt: 0 }, 30);
    bindings.see([session('2', 'ada', 'three', 8), session('1', 'ada', 'two', 7)], [], 20);
    expect(bindings.of(pool, 'ada')).toMatchObject({ instance: 'two', sessions: 2 });
    expect(bindings.usersOn('one')).toBe(0);
  });

  it('know when somebody was active last, by whatever showed it', () => {
    const bindings = createBindings();
    const sessions = [{ ...session('1', 'ada', 'one'), activeAt: 50 }];
    bindings.see(sessions, [{ pool, user: 'ada', instance: 'one', activeAt: 70 }], 100);
    expect(bindings.of(pool, 'ada')).toMatchObject({ activeAt: 70, kept: false });
    bindings.see(sessions, [{ pool, user: 'ada', instance: 'one', activeAt: 0, kept: true }], 100);
    expect(bindings.of(pool, 'ada')).toMatchObject({ activeAt: 50, kept: true });
  });

  it('take a session as active whose gateway says nothing of that', () => {
    const bindings = createBindings();
    bindings.see([session('1', 'ada', 'one')], [], 100);
    expect(bindings.of(pool, 'ada')).toMatchObject({ activeAt: 100 });
  });

  it('show what somebody has on another instance than that they are bound to', () => {
    const bindings = createBindings();
    bindings.see([session('1', 'ada', 'one')], [{ pool, user: 'ada', instance: 'two', activeAt: 70 }], 100);
    expect(bindings.of(pool, 'ada')).toMatchObject({ instance: 'one', activeAt: 100 });
    expect([...bindings.on('two')]).toMatchObject([{ user: 'ada', sessions: 0, activeAt: 70 }]);
    expect([...bindings.on('three')]).toEqual([]);
  });

  it('are of one pool', () => {
    const bindings = createBindings();
    bindings.see([session('1', 'ada', 'one')], [], 0);
    expect(bindings.of('/pools/other', 'ada')).toBeUndefined();
  });
});
