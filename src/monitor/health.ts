/** What a process says of itself: whether it does its work, and where it does not, why. */
export interface Health {
  process: 'control' | 'gateway';
  healthy: boolean;
  /** Why it is not healthy, for people. Empty exactly when it is. */
  reasons: readonly string[];
  /** What an operator should know although the process does its work. */
  notes: readonly string[];
}

/** Healthy is who has no reason not to be. */
export function healthOf(
  process: Health['process'],
  reasons: readonly string[],
  notes: readonly string[] = [],
): Health {
  return { process, healthy: reasons.length === 0, reasons, notes };
}
