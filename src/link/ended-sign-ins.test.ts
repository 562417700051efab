import { describe, expect, it } from 'vitest';
import { endedKey, findEnded, keepEnded, type EndedSignIn } from './ended-sign-ins.ts';

const one = (id: string, issued: number, user = 'alice', pool = 'team'): EndedSignIn => ({
  ...{ pool, user, id, issued, expires: issued + 100 },
});
const all = (issued: number, words?: string, user = 'alice', pool = 'team'): EndedSignIn => ({
  ...{ pool, user, issued, expires: issued + 100 },
  ...(words === undefined ? {} : { words }),
});

describe('of the sign-ins that have ended', () => {
  it.each<[what: string, ended: EndedSignIn[], kept: EndedSignIn[]]>([
    ['nothing is kept of none', [], []],
    ['each is kept once', [one('a', 1), one('b', 2), one('a', 1)], [one('b', 2), one('a', 1)]],
    ['none is kept that would have ended by now', [one('a', -40), all(-51), one('b', -50)], [one('a', -40)]],
    ['the last end of all is kept', [all(3, 'later'), all(2, 'before')], [all(3, 'later')]],
    ['those are not that ended with all', [one('a', 3), all(3), one('b', 4)], [all(3), one('b', 4)]],
    [
      'each person has their own, in each pool',
      [one('a', 1), all(2, 'Bye.', 'bob'), all(2, 'Bye.', 'alice', 'other')],
      [one('a', 1), all(2, 'Bye.', 'bob'), all(2, 'Bye.', 'alice', 'other')],
    ],
    [
      'too many of one person become an end of all that began before',
      [one('a', 1), one('b', 2), one('c', 3), one('d', 4), one('e', 5, 'bob')],
      [all(2), one('d', 4), one('c', 3), one('e', 5, 'bob')],
    ],
    [
      'what was said of all before is said of more then',
      [all(0, 'Bye.'), one('a', 1), one('b', 2), one('c', 3)],
      [all(1, 'Bye.'), one('c', 3), one('b', 2)],
    ],
    [
      'of each person less is told apart where there are too many in all',
      ['alice', 'bob', 'carol'].flatMap((user) => [one('a', 1, user), one('b', 2, user)]).concat(one('a', 1, 'dave')),
      [all(2), all(2, undefined, 'bob'), all(2, undefined, 'carol'), all(1, undefined, 'dave')],
    ],
    [
      'nobody loses theirs to one who signs out again and again',
      [one('mine', 1, 'bob'), ...Array.from({ length: 1_000 }, (_, index) => one(`x${String(index)}`, index - 50))],
      [one('mine', 1, 'bob'), all(947), one('x999', 949), one('x998', 948)],
    ],
    [
      'those that end soonest are left out only where too many people have one',
      Array.from({ length: 8 }, (_, index) => one('a', index, `user-${String(index)}`)),
      [7, 6, 5, 4, 3, 2].map((issued) => all(issued, undefined, `user-${String(issued)}`)),
    ],
  ])('%s', (_what, ended, kept) => {
    expect(keepEnded(ended, 50, { most: 6, mostOfOne: 2 })).toEqual(kept);
  });

  it('what was kept is kept as it is', () => {
    const kept = keepEnded([one('a', 1), all(0, 'Bye.'), one('b', 2, 'bob')], 50);
    expect(new Set(keepEnded([...kept, one('a', 1)], 50))).toEqual(new Set(kept));
    expect(keepEnded(kept, 50).every((each) => kept.includes(each))).toBe(true);
  });

  it.each([
    ['by its id', { user: 'alice', pool: 'team', id: 'a', issued: 7 }, one('a', 7)],
    ['by when it began', { user: 'alice', pool: 'team', id: 'c', issued: 5 }, all(5, 'Bye.')],
    ['not one that began later', { user: 'alice', pool: 'team', id: 'c', issued: 6 }, undefined],
    ['not one of another person', { user: 'bob', pool: 'team', id: 'a', issued: 5 }, undefined],
    ['not one of another pool', { user: 'alice', pool: 'other', id: 'a', issued: 5 }, undefined],
  ])('one is found %s', (_what, asked, found) => {
    const ended = new Map([one('a', 7), all(5, 'Bye.')].map((each) => [endedKey(each), each]));
    expect(findEnded(ended, asked)).toEqual(found);
  });
});
