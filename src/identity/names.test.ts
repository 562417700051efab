import { describe, expect, it } from 'vitest';
import { checkAccountName } from './names.ts';

const refused: [what: string, name: string, message: RegExp][] = [
  ['an empty name', '', /1 to 32/],
  ['capitals', 'Alice', /in lower case/],
  ['a digit at the beginning', '1st', /beginning with a letter/],
  ['a hyphen at the beginning', '-rf', /beginning with a letter/],
  ['a name of 33', 'a'.repeat(33), /1 to 32/],
  ['a colon', 'a:b', /1 to 32/],
  ['a line break', 'a\n', /'a�'/],
  ['a path', '../a', /1 to 32/],
  ['a period', 'a.b', /1 to 32/],
  ['an umlaut', 'jürgen', /a-z/],
  ['root', 'root', /the system of the instances uses it/],
  ["a group of Debian's", 'sudo', /the system of the instances uses it/],
  ['an account of systemd', 'systemd-network', /the system of the instances uses it/],
  ['one of ours', 'poolhouse-sudo', /Poolhouse's own/],
  ['ours', 'poolhouse', /Poolhouse's own/],
];

describe('a name', () => {
  it.each(['alice', '_alice', 'a', 'a-b_c9', 'a'.repeat(32), 'rooted', 'pool'])('may be %s', (name) => {
    expect(() => {
      checkAccountName(name, 'user');
    }).not.toThrow();
  });
  it.each(refused)('may not be %s', (_what, name, message) => {
    expect(() => {
      checkAccountName(name, 'group');
    }).toThrow(message);
    expect(() => {
      checkAccountName(name, 'group');
    }).toThrow(/is no name for a group/);
  });
});
