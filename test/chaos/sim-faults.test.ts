/**
 * Control killed at random steps, on simulated instances: repeatable by seed. `POOLHOUSE_CHAOS_SEED=7` runs one round;
 * `POOLHOUSE_CHAOS_ROUNDS` says how many.
 */
import { describe, expect, it } from 'vitest';
import { runSimRound } from './sim-round.ts';

const one = process.env['POOLHOUSE_CHAOS_SEED'];
const rounds = Number(process.env['POOLHOUSE_CHAOS_ROUNDS'] ?? '60');
const seeds = one === undefined ? Array.from({ length: rounds }, (_, index) => index + 1) : [Number(one)];

describe('control that is killed at any step', () => {
  it.each(seeds)('finishes or undoes what was begun, and leaves nothing (seed %i)', async (seed) => {
    const { breaches, story } = await runSimRound(seed);
    expect(breaches, story.join('\n')).toEqual([]);
  });
});
