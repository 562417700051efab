/** Rounds on the real engine as a suite: a few in CI, many in `npm run test:long`. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { missingForSystemTests } from '../e2e/installation.ts';
import { chosenFaults, chosenSeeds } from './chosen.ts';
import { daemonFaults, faultNames, type FaultName } from './real-faults.ts';
import { prepareRealRounds, type RealRounds } from './real-round.ts';

/** The kind of round that a seed stands for. */
function kindOf(seed: number): { faults: readonly FaultName[]; putBack: boolean } {
  return { faults: seed % 2 === 0 ? daemonFaults : faultNames, putBack: seed % 5 === 0 };
}

/** @param rounds how many, unless the environment says otherwise */
export async function describeRealRounds(rounds: number): Promise<void> {
  const missing = await missingForSystemTests(['nft', 'mmdebstrap', 'curl', 'ip']);
  describe.skipIf(missing !== undefined)(
    `faults on the real engine${missing === undefined ? '' : ` (left out: ${missing})`}`,
    () => {
      let ground: RealRounds | undefined;
      beforeAll(async () => {
        ground = await prepareRealRounds();
      });
      afterAll(async () => {
        await ground?.close();
      });

      it.each(chosenSeeds(rounds))('leave nothing half-made (seed %i)', { timeout: 900_000 }, async (seed) => {
        const { faults, putBack } = kindOf(seed);
        const result = await ground?.run(seed, chosenFaults(faults), { putBack });
        expect(result?.breaches, result?.story.join('\n')).toEqual([]);
      });
    },
  );
}
