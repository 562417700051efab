/**
 * Control killed at random steps, on simulated instances: repeatable by seed. `POOLHOUSE_CHAOS_SEED=7` runs one round;
 * `POOLHOUSE_CHAOS_ROUNDS` says how many.
 */
import { describeSimRounds } from './sim-rounds-suite.ts';

describeSimRounds(40);
