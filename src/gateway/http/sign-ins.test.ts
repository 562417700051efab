import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { DirectoryUser } from '../../link/people.ts';
import { createDirectoryView } from '../people/directory-view.ts';
import { issueToken, readToken, signInLasts, type SignInToken } from './sign-in-token.ts';
import { createSignIns, type SignIns } from './sign-ins.ts';

const key = randomBytes(32);
const begin = 1_000_000;
const alice: DirectoryUser = { name: 'alice', pools: ['/pools/team', '/pools/other'], keys: [], passwordHash: 'hash' };

function tokenOf(user: DirectoryUser, pool: string, issued: number): SignInToken {
  const token = readToken(key, pool, issueToken(key, pool, user, issued), issued);
  if (token === undefined) throw new Error('a token of ours is not read');
  return token;
}

function prepare(users: DirectoryUser[] = [alice], most?: number) {
  const directory = createDirectoryView();
  directory.take({
    ...{ revision: '1', users, hostKeys: [], userAuthority: '', userAuthorities: [], instanceKeys: {} },
  });
  const clock = { now: () => time.now };
  const time = { now: begin };
  return { time, signIns: createSignIns({ directory, clock, ...(most === undefined ? {} : { most }) }) };
}

describe('a sign-in', () => {
  const mine = tokenOf(alice, '/pools/team', begin);
  const later = tokenOf(alice, '/pools/team', begin + 10);

  it.each<[what: string, then: (signIns: SignIns, time: { now: number }) => void, counts: boolean, farewell?: string]>([
    ['counts', () => undefined, true],
    ['counts until its time is over', (_, time) => (time.now = begin + signInLasts - 1), true],
    ['counts no more then', (_, time) => (time.now = begin + signInLasts), false],
    ['ends when it is signed out of', (signIns) => signIns.end(mine), false],
    ['ends in its own browser only', (signIns) => signIns.end(later), true],
    ['ends with all of its person', (signIns) => signIns.endAll('/pools/team', 'alice', 'Bye.'), false, 'Bye.'],
    ['does not end with those of another pool', (signIns) => signIns.endAll('/pools/other', 'alice', 'Bye.'), true],
    ['does not end with those of another person', (signIns) => signIns.endAll('/pools/team', 'bob', 'Bye.'), true],
    [
      'stays ended as long as it would have lasted',
      (signIns, time) => {
        signIns.end(mine);
        signIns.endAll('/pools/team', 'alice', 'Bye.');
        time.now = begin + signInLasts - 1;
        signIns.sweep();
      },
      false,
      'Bye.',
    ],
  ])('%s', (_what, then, counts, farewell) => {
    const { signIns, time } = prepare();
    then(signIns, time);
    expect(signIns.counts(mine, key)?.name).toBe(counts ? 'alice' : undefined);
    expect(signIns.farewellTo(mine)).toBe(farewell);
  });

  it('that begins after all were ended counts', () => {
    const { signIns, time } = prepare();
    signIns.endAll('/pools/team', 'alice', 'Bye.');
    time.now = begin + 10;
    expect([signIns.counts(later, key)?.name, signIns.farewellTo(later)]).toEqual(['alice', undefined]);
  });

  it.each<[what: string, users: DirectoryUser[]]>([
    ['has another password', [{ ...alice, passwordHash: 'another' }]],
    ['has none any more', [{ name: 'alice', pools: 'all', keys: [] }]],
    ['may not enter the pool', [{ ...alice, pools: ['/pools/other'] }]],
    ['is not there', []],
  ])('of who %s does not count', (_what, users) => {
    expect(prepare(users).signIns.counts(mine, key)).toBeUndefined();
  });

  it('that was ended is forgotten when there are too many, the oldest first', () => {
    const { signIns } = prepare([alice], 1);
    signIns.end(mine);
    signIns.end(later);
    expect([signIns.counts(mine, key)?.name, signIns.counts(later, key)]).toEqual(['alice', undefined]);
  });
});
