/**
 * How a process ends that could not start. systemd starts it again at once, however often that was in vain: so it lives
 * for a few seconds first, and a start that fails all day costs the machine nothing. What is killed or crashes later is
 * back at once.
 */
import { setTimeout as sleep } from 'node:timers/promises';

/** The environment variable that asks for it: seconds. */
export const shortestLife = 'POOLHOUSE_SHORTEST_LIFE';

export async function endFailed(exitCode: number): Promise<never> {
  const seconds = Number(process.env[shortestLife] ?? 0);
  await sleep(Math.max(0, seconds * 1_000 - performance.now())); // which counts from the start of the process
  process.exit(exitCode);
}
