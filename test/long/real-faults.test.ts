/** Tens of rounds on the real engine; what the environment chooses, `test/e2e/real-faults.test.ts` tells. */
import { describeRealRounds } from '../chaos/real-rounds-suite.ts';

await describeRealRounds(24);
