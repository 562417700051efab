import { describe, expect, it } from 'vitest';
import { chooseSessions, type SessionChoice, type SessionDocument } from './choose-sessions.ts';

const session = (id: string, user: string, pool: string, instance: string): SessionDocument => ({
  ...{ id, user, pool, instance, protocol: 'ssh', from: '127.0.0.1' },
  ...{ since: '2026-01-01T00:00:00.000Z', drainsUntil: null },
});
const all = [
  session('aa11', 'alice', 'team/one', 'one-0'),
  session('aa22', 'alice', 'team/two', 'two-0'),
  session('bb33', 'bob', 'team/one', 'one-1'),
  session('aa', 'carol', 'lab/two', 'two-9'),
];
const places = { pools: ['lab/two', 'team/one', 'team/two'], instances: ['one-0', 'one-1', 'two-0', 'two-9', 'idle'] };

describe('the sessions that somebody means', () => {
  it.each<[string, SessionChoice, string[]]>([
    ['are all where nothing is named', {}, ['aa11', 'aa22', 'bb33', 'aa']],
    ['are one by its id', { id: 'bb33' }, ['bb33']],
    ['are one by a beginning that no other has, in any case', { id: 'AA1' }, ['aa11']],
    ['are the one of this very id, where others begin with it', { id: 'aa' }, ['aa']],
    ['are those of a user', { user: 'alice' }, ['aa11', 'aa22']],
    ['are none of a user who has none', { user: 'dave' }, []],
    ['are those in a pool by its name', { pool: 'One' }, ['aa11', 'bb33']],
    ['are those in a pool by its group and name', { pool: 'lab/two' }, ['aa']],
    ['are those on an instance', { instance: 'one-1' }, ['bb33']],
    ['are none on an instance where nobody is', { instance: 'idle' }, []],
    ['are what all that is named leaves', { user: 'alice', pool: 'one' }, ['aa11']],
  ])('%s', (_, choice, ids) => {
    expect(chooseSessions(all, places, choice).map(({ id }) => id)).toEqual(ids);
  });

  it.each<[string, SessionChoice, string, RegExp]>([
    ['an id that is none', { id: 'zz' }, 'ResourceNotFound', /no session 'zz'.*sessions list/],
    ['a beginning of several', { id: 'a' }, 'Conflict', /aa11… of alice, aa22… of alice, aa… of carol/],
    ['an unknown pool', { pool: 'three' }, 'ResourceNotFound', /no pool 'three' \(there are lab\/two/],
    ['a name of several pools', { pool: 'two' }, 'Conflict', /lab\/two or team\/two/],
    ['an unknown instance', { instance: 'x' }, 'ResourceNotFound', /no instance 'x'/],
  ])('are not guessed from %s', (_, choice, code, message) => {
    expect(() => chooseSessions(all, places, choice)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) as unknown }),
    );
  });
});
