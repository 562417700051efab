/**
 * When somebody is idle. A person on an instance is active at a time when a session of theirs moves bytes, a process of
 * theirs works, or a kernel of theirs is busy; idle is who has not been so for as long as the pool's operator says. Idleness
 * does nothing by itself: an automatic scale-in may take an instance where everybody is idle. Pure. See docs/adr/033-idle.md.
 */
import type { EpochMillis } from '../core/time.ts';

/**
 * Whether somebody who was active last at `activeAt` is idle.
 *
 * @param idleMilliseconds as the tag `poolhouse-idle-minutes` says; undefined: nobody is ever idle
 */
export function isIdle(activeAt: EpochMillis, now: EpochMillis, idleMilliseconds: number | undefined): boolean {
  return idleMilliseconds !== undefined && now - activeAt >= idleMilliseconds;
}

/** What somebody's processes used over a span. */
export interface Use {
  cpuMilliseconds: number;
  /** Read and written, wherever: files, pipes, sockets. */
  bytes: number;
}

/** Of one CPU. An idle kernel or editor wakes now and then, and stays below. */
const leastCpuShare = 0.02;
/** An average over the span. Whoever waits for nothing but a timer moves none at all. */
const leastBytesPerSecond = 1;

/**
 * Whether that is work. A job that waits (`sleep 3600` in tmux) is none; a slow download is one, and so is a loop that does
 * something every minute, in the span in which it does it.
 */
export function isWorking({ cpuMilliseconds, bytes }: Use, spanMilliseconds: number): boolean {
  if (spanMilliseconds <= 0) return cpuMilliseconds > 0 || bytes > 0;
  return (
    cpuMilliseconds >= leastCpuShare * spanMilliseconds || bytes >= (leastBytesPerSecond * spanMilliseconds) / 1_000
  );
}
