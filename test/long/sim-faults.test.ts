/** Hundreds of rounds on simulated instances; what the environment chooses, `test/chaos/sim-faults.test.ts` tells. */
import { describeSimRounds } from '../chaos/sim-rounds-suite.ts';

describeSimRounds(400);
