/**
 * Tells the log which instance tries to reach what it may not: the kernel refuses and counts, and here somebody looks.
 * One line an instance and look at most, however much it tries.
 */
import type { Logger } from 'pino';

const lookEvery = 10_000;

export interface RefusedPacketsParts {
  /** Packets refused so far, by address. The counts begin anew when the kernel's table is made anew. */
  read(signal: AbortSignal): Promise<ReadonlyMap<string, number>>;
  /** Names of instances by their addresses. */
  names(): Promise<ReadonlyMap<string, string>>;
  log: Logger;
}

/** A pass for `runLoop`; gives the milliseconds to the next look. */
export function createRefusedPackets(parts: RefusedPacketsParts) {
  let before: ReadonlyMap<string, number> = new Map();

  return async function pass(signal: AbortSignal): Promise<number> {
    const now = await parts.read(signal);
    const more = grown(before, now);
    before = now;
    const known: ReadonlyMap<string, string> = more.size === 0 ? new Map() : await parts.names();
    for (const [address, packets] of more)
      parts.log.warn(
        { instance: known.get(address) ?? 'unknown', address, packets },
        'an instance tried to reach what it may not; its packets were dropped',
      );
    return lookEvery;
  };
}

/** What came since the look before. Pure. A count that is smaller than before began anew. */
export function grown(before: ReadonlyMap<string, number>, now: ReadonlyMap<string, number>): Map<string, number> {
  const result = new Map<string, number>();
  for (const [address, count] of now) {
    const earlier = before.get(address) ?? 0;
    const more = count < earlier ? count : count - earlier;
    if (more > 0) result.set(address, more);
  }
  return result;
}
