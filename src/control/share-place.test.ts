import { describe, expect, it } from 'vitest';
import { describePlace, parsePlacePath, parseShare } from './share-place.ts';

describe('places in shares', () => {
  it.each([
    ['team1/shared', { account: 'team1', share: 'shared' }],
    ['Team1/Shared', { account: 'team1', share: 'shared' }],
    ['shared', undefined],
    ['a/b/c', undefined],
    ['team1/../x', undefined],
  ])('%j', (text, expected) => {
    if (expected === undefined) expect(() => parseShare(text)).toThrow(/ACCOUNT\/SHARE/);
    else expect(parseShare(text)).toEqual(expected);
  });

  it.each<[string, string[] | undefined]>([
    ['', []],
    ['/', []],
    ['notebooks/alice/x.ipynb', ['notebooks', 'alice', 'x.ipynb']],
    ['/notebooks/alice/', ['notebooks', 'alice']],
    ['a//b', undefined],
    ['a/../b', undefined],
    ['./a', undefined],
    ['.snapshots/x/a', undefined],
    ['a'.repeat(256), undefined],
  ])('%j is a path', (text, expected) => {
    if (expected === undefined) expect(() => parsePlacePath(text)).toThrow();
    else expect(parsePlacePath(text)).toEqual(expected);
  });

  it('have words', () => {
    expect(describePlace({ account: 'a', share: 's', path: [] })).toBe('a/s');
    expect(describePlace({ account: 'a', share: 's', path: ['x', 'y'] })).toBe('x/y of a/s');
  });
});
