/** What the environment asks of a run of the fault suites. */
import { faultNames, type FaultName } from './real-faults.ts';

/** `POOLHOUSE_CHAOS_SEED=7`: that round; else 1 to `POOLHOUSE_CHAOS_ROUNDS`, or to the usual number. */
export function chosenSeeds(usual: number): number[] {
  const one = process.env['POOLHOUSE_CHAOS_SEED'];
  if (one !== undefined) return [Number(one)];
  const rounds = Number(process.env['POOLHOUSE_CHAOS_ROUNDS'] ?? usual);
  return Array.from({ length: rounds }, (_, index) => index + 1);
}

/** `POOLHOUSE_CHAOS_FAULTS=control,gateway`: only those, or all that is usual. */
export function chosenFaults(usual: readonly FaultName[]): [FaultName, ...FaultName[]] {
  const asked = process.env['POOLHOUSE_CHAOS_FAULTS']?.split(',');
  const [first, ...others] = asked === undefined ? usual : faultNames.filter((name) => asked.includes(name));
  if (first === undefined) throw new Error(`POOLHOUSE_CHAOS_FAULTS names none of: ${faultNames.join(', ')}`);
  return [first, ...others];
}
