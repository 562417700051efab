import { describe, expect, it } from 'vitest';
import { checkOwnPassword } from './own-password.ts';

describe('a password that somebody chooses', () => {
  it.each(['correct horse', 'Tr0ub4dor&3', 'пароль-дня', 'abcde123'])('may be %j', (chosen) => {
    expect(() => {
      checkOwnPassword('alice', 'Old-Horse-7', chosen);
    }).not.toThrow();
  });

  it.each([
    ['short77', 'at least 8 characters'],
    ['Old-Horse-7', 'is the old one'],
    ['my name is Alice', 'does not hold the name'],
    ['abababAB', 'different characters'],
    ['x'.repeat(2_000), 'at most 1024 bytes'],
    ['NUL is in here\0', 'no NUL'],
  ])('may not be %j', (chosen, why) => {
    expect(() => {
      checkOwnPassword('alice', 'Old-Horse-7', chosen);
    }).toThrow(why);
  });
});
