/**
 * The real processes on the real engine, killed at moments that a seed chooses. `POOLHOUSE_CHAOS_SEED=7` runs one round;
 * `POOLHOUSE_CHAOS_FAULTS=control,gateway` says what may happen: who shares the engine's daemon with others leaves it out.
 */
import { describeRealRounds } from '../chaos/real-rounds-suite.ts';

await describeRealRounds(2);
