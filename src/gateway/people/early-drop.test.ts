import { describe, expect, it } from 'vitest';
import { isDroppedEarly } from './early-drop.ts';

const limits = { from: 200, to: 1_000, few: 8 };

describe('a connection of somebody who has not signed in', () => {
  it.each([
    ['is taken while there are few', 199, 199, 0, false],
    ['is dropped by chance from a number on', 200, 200, 0.29, true],
    ['or taken', 200, 200, 0.31, false],
    ['the more are there the more likely', 600, 600, 0.64, true],
    ['and still not for sure', 600, 600, 0.66, false],
    ['is dropped where all places are taken', 1_000, 1_000, 1, true],
    ['is taken from where few come, whatever the others do', 999, 7, 0, false],
    ['from the places that are kept for such', 1_249, 7, 0, false],
    ['until those are taken too', 1_250, 0, 1, true],
    ['and is one of many from where many come', 600, 8, 0.1, true],
  ])('%s (%i, %i there)', (_, all, fromThere, chance, dropped) => {
    expect(isDroppedEarly({ all, fromThere }, limits, chance)).toBe(dropped);
  });
});
