import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { signInLasts, type EndedSignIn } from '../../link/ended-sign-ins.ts';
import type { Directory, DirectoryUser } from '../../link/people.ts';
import { createDirectoryView } from '../people/directory-view.ts';
import { issueToken, readToken, seal, type SignInToken } from './sign-in-token.ts';
import { createSignIns, type SignIns } from './sign-ins.ts';

const key = randomBytes(32);
const begin = 1_000_000;
const alice: DirectoryUser = { name: 'alice', pools: ['/pools/team', '/pools/other'], keys: [], passwordHash: 'hash' };

function tokenOf(user: DirectoryUser, pool: string, issued: number): SignInToken {
  const token = readToken(key, pool, issueToken(key, pool, user, issued), issued);
  if (token === undefined) throw new Error('a token of ours is not read');
  return token;
}

function prepare(users: DirectoryUser[] = [alice]) {
  const told: EndedSignIn[] = [];
  const view = createDirectoryView();
  const directory: Directory = {
    ...{ revision: '1', users, hostKeys: [], userAuthority: '', userAuthorities: [], instanceKeys: {} },
  };
  view.take(directory);
  const time = { now: begin };
  const signIns = createSignIns({
    directory: view,
    clock: { now: () => time.now },
    onEnded: (ended) => told.push(ended),
  });
  const hear = (...endedSignIns: EndedSignIn[]): void => {
    view.take({ ...directory, ...(endedSignIns.length === 0 ? {} : { endedSignIns }) });
  };
  return { time, told, hear, signIns };
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
        signIns.end(later);
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

  it('that has ended is told, with what it takes to know it and nothing that would make a cookie', () => {
    const { signIns, told } = prepare();
    signIns.end(mine);
    signIns.endAll('/pools/team', 'alice', 'x'.repeat(3_000));
    const who = { pool: '/pools/team', user: 'alice', issued: begin, expires: begin + signInLasts };
    expect(told).toEqual([
      { ...who, id: mine.id },
      { ...who, words: 'x'.repeat(2_000) },
    ]);
    const known = Buffer.from(JSON.stringify({ ...told[0], password: mine.password })).toString('base64url');
    for (const mark of [
      '',
      mine.id,
      seal(Buffer.alloc(32), 'sign-in', known),
      seal(Buffer.from(mine.id), 'sign-in', known),
    ])
      expect(readToken(key, '/pools/team', `${known}.${mark}`, begin)).toBeUndefined();
  });

  it('ends where another gateway has said so by itself, and is told no further', () => {
    const { signIns, told } = prepare();
    signIns.know([{ pool: '/pools/team', user: 'alice', id: mine.id, issued: begin, expires: begin + signInLasts }]);
    expect([signIns.counts(mine, key), signIns.counts(later, key)?.name, told]).toEqual([undefined, 'alice', []]);
  });

  const { pool, user, id, issued, expires } = mine;
  it.each<[what: string, heard: EndedSignIn, counts: boolean, farewell?: string]>([
    ['ends', { pool, user, id, issued, expires }, false],
    ['ends with all of its person', { pool, user, issued, expires, words: 'Bye.' }, false, 'Bye.'],
    ['counts where another has ended', { pool, user, id: later.id, issued: later.issued, expires }, true],
    ['counts where all from before have ended', { pool, user, issued: issued - 1, expires, words: 'Bye.' }, true],
  ])('%s where another gateway has said so', (_what, heard, counts, farewell) => {
    const { signIns, hear, told } = prepare();
    expect(signIns.counts(mine, key)?.name).toBe('alice');
    hear(heard);
    expect([signIns.counts(mine, key)?.name, signIns.farewellTo(mine)]).toEqual([
      counts ? 'alice' : undefined,
      farewell,
    ]);
    expect(told).toEqual([]); // control knows
    hear();
    expect(signIns.counts(mine, key)?.name).toBe(counts ? 'alice' : undefined);
  });
});
