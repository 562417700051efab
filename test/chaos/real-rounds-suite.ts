/** Rounds on the real engine as a suite: a few in CI, many in `npm run test:long`. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { missingForSystemTests } from '../e2e/installation.ts';
import { chosenFaults, chosenSeeds } from './chosen.ts';
import { daemonFaults, faultNames, type FaultName } from './real-faults.ts';
import { fillStorage, makeRoom } from './full-storage.ts';
import {
  deleteGroups,
  deployPool,
  leftovers,
  prepareGround,
  settle,
  whyNotReached,
  type Ground,
} from './real-ground.ts';
import { runRealRound } from './real-round.ts';

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
      let ground: Ground;
      beforeAll(async () => {
        ground = await prepareGround();
      });
      afterAll(async () => {
        await ground.close();
      });

      it.each(chosenSeeds(rounds))('leave nothing half-made (seed %i)', { timeout: 900_000 }, async (seed) => {
        const { faults, putBack } = kindOf(seed);
        const { breaches, story } = await runRealRound(ground, seed, { faults: chosenFaults(faults), putBack });
        expect(breaches, story.join('\n')).toEqual([]);
      });

      it('a full storage fails a deployment in words or not at all, and hinders nobody when there is room again', async () => {
        const history = { wasPutBack: false };
        expect(await deployPool(ground, 'a', 1)).toMatchObject({ state: 'Succeeded' });
        const filler = (await ground.engine.instances())[0]?.name ?? '';
        expect(await fillStorage(ground.engine, filler)).toBe(0);
        const { state, error } = await deployPool(ground, 'b', 2);
        if (state !== 'Succeeded') expect(error).toMatch(/full|no space|quota/i);
        expect(await makeRoom(ground.engine, filler)).toBe(0);
        const { state: after, address } = await deployPool(ground, 'b', 2);
        expect(after).toBe('Succeeded');
        expect(await whyNotReached(address)).toBeUndefined();
        expect(await settle(ground, history)).toEqual([]);
        await deleteGroups(ground);
        expect(await settle(ground, history, () => leftovers(ground, history))).toEqual([]);
      });
    },
  );
}
