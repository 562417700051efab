import { describe, expect, it } from 'vitest';
import { createStrangers } from './strangers.ts';

const limits = { from: 4, to: 8, few: 2 };

describe('connections of which nobody has signed in', () => {
  it('count until they are settled, each once', () => {
    const strangers = createStrangers(limits, () => 1);
    const [first, second] = [strangers.take('a'), strangers.take('a')];
    expect(strangers.size).toBe(2);
    first?.();
    first?.();
    expect(strangers.size).toBe(1);
    second?.();
    expect(strangers.size).toBe(0);
  });

  it.each<[what: string, held: string, chance: number, comes: string, taken: boolean]>([
    ['are all taken while they are few', 'aaa', 0, 'a', true],
    ['are dropped by chance then', 'aaaa', 0.29, 'a', false],
    ['or taken', 'aaaa', 0.31, 'a', true],
    ['are taken from where few come', 'aaaaaaaa', 0, 'b', true],
    ['are dropped from where many come', 'aaaaaabb', 1, 'b', false],
    ['are dropped where no place is left', 'aaaaaaaabb', 1, 'c', false],
  ])('%s', (_what, held, chance, comes, taken) => {
    let luck = 1;
    const strangers = createStrangers(limits, () => luck);
    for (const address of held) expect(strangers.take(address)).toBeDefined();
    luck = chance;
    expect(strangers.take(comes) !== undefined).toBe(taken);
    expect(strangers.size).toBe(held.length + (taken ? 1 : 0));
  });

  it('of an address are forgotten when they are settled', () => {
    const strangers = createStrangers(limits, () => 0);
    const held = ['a', 'b', 'c', 'd'].map((address) => strangers.take(address));
    const more = strangers.take('a');
    expect(strangers.take('a')).toBeUndefined();
    more?.();
    expect(strangers.take('a')).toBeDefined();
    for (const settle of held) settle?.();
    expect(strangers.size).toBe(1);
  });
});
