/**
 * Keeps strangers from filling the log: a line that a connection causes is written once a period for each subject, and
 * the next one says how many were left out.
 */
import type { Clock } from '../core/time.ts';

/** How many lines about this subject were left out since the last one, or undefined when this one is to be left out too. */
export type LogLimit = (subject: string) => number | undefined;

const maxSubjects = 10_000;

export function createLogLimit(clock: Clock, everyMs = 1000): LogLimit {
  const subjects = new Map<string, { at: number; leftOut: number }>();
  return (subject) => {
    const now = clock.now();
    const known = subjects.get(subject);
    if (known !== undefined && now - known.at < everyMs) {
      known.leftOut++;
      return undefined;
    }
    if (subjects.size >= maxSubjects) subjects.clear();
    subjects.set(subject, { at: now, leftOut: 0 });
    return known?.leftOut ?? 0;
  };
}
