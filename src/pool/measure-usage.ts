/** What an instance used between two looks at the engine, as Azure's metrics say it. Pure. */
import type { EpochMillis } from '../core/time.ts';
import type { InstanceMetricName } from './metrics.ts';

/** An instance as the engine measured it; what is counted begins anew when the instance starts. */
export interface UsageReading {
  at: EpochMillis;
  cpuSeconds: number;
  memoryBytes: number;
  memoryLimitBytes: number;
  networkInBytes: number;
  networkOutBytes: number;
  diskReadBytes: number;
  diskWriteBytes: number;
}

type Counted = Exclude<keyof UsageReading, 'at' | 'memoryBytes' | 'memoryLimitBytes'>;

/** Two readings that lie farther apart say nothing of the minute in which the later one was made. */
const longestGap = 120_000;

/**
 * CPU in percent of all `cpus` of the instance, memory in bytes and in percent of its limit, and the bytes that went through
 * network and disk since the reading before. Without one before, or with one from too long ago, only what needs none.
 */
export function measureUsage(
  before: UsageReading | undefined,
  now: UsageReading,
  cpus: number,
): Partial<Record<InstanceMetricName, number>> {
  const memory = {
    'Available Memory Bytes': Math.max(0, now.memoryLimitBytes - now.memoryBytes),
    ...(now.memoryLimitBytes > 0 ? { 'Percentage Memory': percent(now.memoryBytes / now.memoryLimitBytes) } : {}),
  };
  const milliseconds = before === undefined ? 0 : now.at - before.at;
  if (before === undefined || milliseconds <= 0 || milliseconds > longestGap) return memory;
  // A smaller number than before: it has started again, and all of it is new.
  const since = (what: Counted) => (now[what] < before[what] ? now[what] : now[what] - before[what]);
  return {
    ...memory,
    'Percentage CPU': percent(since('cpuSeconds') / (milliseconds / 1_000) / Math.max(1, cpus)),
    'Network In Total': since('networkInBytes'),
    'Network Out Total': since('networkOutBytes'),
    'Disk Read Bytes': since('diskReadBytes'),
    'Disk Write Bytes': since('diskWriteBytes'),
  };
}

/** Measurements of two things are not of the same moment: a little more than all is all. */
const percent = (part: number) => Math.min(100, Math.max(0, part * 100));
