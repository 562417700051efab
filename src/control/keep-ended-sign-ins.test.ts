import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { signInLasts, type EndedSignIn } from '../link/ended-sign-ins.ts';
import type { Directory } from '../link/people.ts';
import type { Secrets } from '../secrets/secrets.ts';
import { openStore, type Store } from '../store/store.ts';
import { createDirectoryLoop } from './directory-loop.ts';
import { createKeepEndedSignIns, isPlausible } from './keep-ended-sign-ins.ts';

const minute = 60_000;
const start = 1_000_000_000;

describe('a sign-in of which a gateway says that it has ended', () => {
  it.each([
    ['has begun and would end in time', start, start + signInLasts, true],
    ['may be of a clock that is ahead a little', start + minute, start + minute + signInLasts, true],
    ['cannot have begun in the future', start + minute + 1, start + minute + 1 + signInLasts, false],
    ['cannot last longer than any does', start, start + signInLasts + 1, false],
  ])('%s', (_what, issued, expires, plausible) => {
    expect(isPlausible({ issued, expires }, start)).toBe(plausible);
  });
});

describe('sign-ins that have ended', () => {
  let store: Store;
  let now: number;
  let published: Directory[];
  let changes: number;
  beforeEach(async () => {
    store = await openStore(':memory:');
    [now, published, changes] = [start, [], 0];
  });
  afterEach(() => store.close());

  const clock = { now: () => now, sleep: () => Promise.resolve() };
  const keep = (...ended: EndedSignIn[]) =>
    createKeepEndedSignIns({ store, clock, changed: () => (changes += 1) })(ended);
  const control = () =>
    createDirectoryLoop(
      { store, secrets: {} as Secrets, clock }, // nobody has a password here
      {
        ssh: { hostKeys: [], userAuthority: '', userAuthorityLine: '' },
        web: { assertionPublicKey: '', identity: () => Promise.resolve(undefined) },
        ...{ userAuthorities: [], hostCertificates: () => Promise.resolve([]) },
      },
      (directory) => published.push(directory),
    );
  const ended = { pool: '/pools/team', user: 'ada', id: 'token', issued: start, expires: start + signInLasts };

  it('are in the directory from then on, also of another control, until they would have ended anyway', async () => {
    const first = control();
    await first.pass();
    expect(published[0]).not.toHaveProperty('endedSignIns');
    await keep(ended);
    expect(changes).toBe(1);
    await first.pass();
    await first.pass();
    await control().pass();
    expect(published.slice(1).map(({ endedSignIns }) => endedSignIns)).toEqual([[ended], [ended]]);
    now = ended.expires;
    await first.pass();
    expect(published.at(-1)).toEqual(published[0]);
  });

  it('are left out where they cannot be, and the others kept', async () => {
    await keep({ ...ended, id: 'forged', expires: start + 2 * signInLasts });
    expect(changes).toBe(0);
    await keep({ ...ended, id: 'forged', issued: start + 2 * minute }, ended);
    await control().pass();
    expect(published[0]?.endedSignIns).toEqual([ended]);
  });
});
