/** Rounds on simulated instances as a suite: some with the unit tests, hundreds in `npm run test:long`. */
import { describe, expect, it } from 'vitest';
import { chosenSeeds } from './chosen.ts';
import { runSimRound } from './sim-round.ts';

/** @param rounds how many, unless the environment says otherwise */
export function describeSimRounds(rounds: number): void {
  describe('control that is killed at any step', () => {
    it.each(chosenSeeds(rounds))('finishes or undoes what was begun, and leaves nothing (seed %i)', async (seed) => {
      const { breaches, story } = await runSimRound(seed);
      expect(breaches, story.join('\n')).toEqual([]);
    });
  });
}
