import { describe, expect, it } from 'vitest';
import { listAfter, poolsAfter, quotaAfter, segmentOf, type PoolOptions } from './people-options.ts';

describe('the pools from now on', () => {
  it.each<[what: string, options: PoolOptions, before: string[], after: string[] | undefined]>([
    ['as before without a word', {}, ['a/one'], undefined],
    ['those that are named', { pool: ['two'] }, [], ['two']],
    ['one more', { pool: ['a/two'] }, ['a/one'], ['a/one', 'a/two']],
    ['the same where it is there', { pool: ['a/one'] }, ['a/one'], ['a/one']],
    ['only the named ones of who had every pool', { pool: ['a/one'] }, ['*'], ['a/one']],
    ['every pool', { everyPool: true }, ['a/one'], ['*']],
    ['none', { pool: false }, ['a/one'], []],
    ['one less', { removePool: ['A/One'] }, ['a/one', 'a/two'], ['a/two']],
    ['one less by its name alone', { removePool: ['one'] }, ['a/one', 'a/two'], ['a/two']],
    ['one in place of another', { pool: ['b/two'], removePool: ['a/one'] }, ['a/one'], ['b/two']],
  ])('are %s', (_what, options, before, after) => {
    expect(poolsAfter(options, before)).toEqual(after);
  });

  it.each<[what: string, options: PoolOptions, before: string[], message: RegExp]>([
    ['every pool and one', { everyPool: true, pool: ['a'] }, [], /leaves nothing to name/],
    ['every pool and none', { everyPool: true, pool: false }, [], /leaves nothing to name/],
    ['one less than every pool', { removePool: ['a'] }, ['*'], /Of every pool none can be taken away/],
    ['one less that is not there', { removePool: ['two'] }, ['a/one'], /'two' cannot be taken away.*There are: a\/one/],
    ['one less of none', { removePool: ['two'] }, [], /There is no pool/],
  ])('are not %s', (_what, options, before, message) => {
    expect(() => poolsAfter(options, before)).toThrow(message);
  });
});

describe('a list from now on', () => {
  it('is as before without a word', () => {
    expect(listAfter(['a'], [], undefined, 'group')).toBeUndefined();
  });
  it('has what comes, once, and not what goes', () => {
    expect(listAfter(['a', 'b'], ['b', 'c'], ['a'], 'group')).toEqual(['b', 'c']);
  });
  it('cannot lose what is not there', () => {
    expect(() => listAfter(['a'], [], ['b'], 'group')).toThrow(
      /'b' cannot be taken away: it is not there\. There are: a/,
    );
  });
});

describe('a quota from now on', () => {
  it.each<[text: string | undefined, usual: boolean, quota: number | 'none' | null | undefined]>([
    [undefined, true, undefined],
    ['10GiB', false, 10 * 2 ** 30],
    ['none', false, 'none'],
    ['default', true, null],
  ])('of %s is read', (text, usual, quota) => {
    expect(quotaAfter(text, usual)).toBe(quota);
  });
  it.each([
    ['much', true],
    ['default', false],
    ['0', true],
    ['', true],
  ])('cannot be %j', (text, usual) => {
    expect(() => quotaAfter(text, usual)).toThrow(/is no size such as 10GiB/);
  });
  it('wants its unit', () => {
    expect(() => quotaAfter('10', true)).toThrow(/'10' is 10 B, with which nothing can be written\. Name the unit/);
    expect(quotaAfter('1MiB', true)).toBe(2 ** 20);
  });
});

describe('a name in a path', () => {
  it.each(['alice', 'a/../b', 'ünïcode', '...'])('is one step of it: %s', (name) => {
    expect(new URL(`https://control/users/${segmentOf('user', name)}`).pathname.split('/')).toHaveLength(3);
  });

  it.each(['', '.', '..'])("is none where it leads elsewhere: '%s'", (name) => {
    expect(() => segmentOf('group', name)).toThrow(`'${name}' is no name of a group.`);
  });
});
