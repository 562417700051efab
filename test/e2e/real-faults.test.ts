/**
 * The real processes on the real engine, killed at moments that a seed chooses. `POOLHOUSE_CHAOS_SEED=7` runs one round;
 * `POOLHOUSE_CHAOS_FAULTS=control,gateway` says what may happen: who shares the engine's daemon with others leaves it out.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { daemonFaults, faultNames } from '../chaos/real-faults.ts';
import { chosenFaults, chosenSeeds } from '../chaos/chosen.ts';
import { prepareRealRounds, type RealRounds } from '../chaos/real-round.ts';
import { missingForSystemTests } from './installation.ts';

const missing = await missingForSystemTests(['nft', 'mmdebstrap', 'curl', 'ip']);

describe.skipIf(missing !== undefined)(
  `faults on the real engine${missing === undefined ? '' : ` (left out: ${missing})`}`,
  () => {
    let rounds: RealRounds;
    beforeAll(async () => {
      rounds = await prepareRealRounds();
    });
    afterAll(async () => {
      await rounds.close();
    });

    it.each(chosenSeeds(2))('leave nothing half-made (seed %i)', async (seed) => {
      const { breaches, story } = await rounds.run(seed, chosenFaults(seed % 2 === 0 ? daemonFaults : faultNames));
      expect(breaches, story.join('\n')).toEqual([]);
    });
  },
);
