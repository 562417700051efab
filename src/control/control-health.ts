/**
 * Whether control does its work: its loops make passes, its store answers, its engine answers, its API listens. That the
 * process is there says nothing. Pure.
 */
import type { EpochMillis } from '../core/time.ts';
import { healthOf, type Health } from '../monitor/health.ts';
import type { LoopFacts } from './loop-watch.ts';
import type { EngineFacts } from './observe-engine.ts';

export interface ControlFacts {
  /** What it does instead of serving: it starts, or it stops. */
  notServing: string | undefined;
  loops: readonly LoopFacts[];
  /** Why the store does not answer. */
  storeFailure: string | undefined;
  engine: EngineFacts;
  apiListens: boolean;
  /** Bytes that the home's file system has left; undefined where it does not say. */
  freeBytes: number | undefined;
  /** When a gateway reported last. */
  gatewaySeenAt: EpochMillis | undefined;
  /** What is not as it should be while control does its work. */
  trouble?: string | undefined;
}

export interface ControlHealth extends Health {
  loops: { name: string; succeededAt: string | null; failures: number }[];
}

/** A pass takes seconds; one that waits for the engine may take longer. */
const latePass = 120_000;
/** One failure is nothing: what it was is tried again at once. */
const failuresThatCount = 3;
/** A store that cannot grow by so much cannot take a deployment any more. */
const leastFreeBytes = 2 ** 20;
/** It reports every five seconds. */
const lateReport = 12_000;
const storeWords = 'The store does not answer';

export function judgeControl(facts: ControlFacts, now: EpochMillis): ControlHealth {
  const { notServing, loops, storeFailure, engine, apiListens, freeBytes, gatewaySeenAt } = facts;
  const whole = notServing === undefined;
  const reasons = [
    ...(notServing === undefined ? [] : [notServing]),
    ...(storeFailure === undefined ? [] : [`${storeWords}: ${storeFailure}.`]),
    ...(freeBytes !== undefined && freeBytes < leastFreeBytes
      ? ['The file system of the installation is full: nothing can be written down. Make room on it.']
      : []),
    ...(engine.failure === undefined ? [] : [engine.failure]),
    ...(whole && !apiListens ? ['The ARM API does not listen.'] : []),
    ...(whole ? loops.flatMap((loop) => reasonOf(loop, now)) : []),
  ];
  const notes = [
    ...(whole && (gatewaySeenAt === undefined || now - gatewaySeenAt > lateReport)
      ? [
          gatewaySeenAt === undefined
            ? 'No gateway has reported yet.'
            : `The gateway has not reported for ${Math.round((now - gatewaySeenAt) / 1_000)} s.`,
        ]
      : []),
    ...(whole && facts.trouble !== undefined ? [facts.trouble] : []),
  ];
  return {
    ...healthOf('control', reasons, notes),
    loops: loops.map(({ name, succeededAt, failures }) => ({
      name,
      succeededAt: succeededAt === undefined ? null : new Date(succeededAt).toISOString(),
      failures,
    })),
  };
}

function reasonOf({ name, dueAt, failures, failure }: LoopFacts, now: EpochMillis): string[] {
  if (failures >= failuresThatCount)
    return [`The loop '${name}' failed ${failures} times in a row: ${failure ?? 'the log tells why'}`];
  if (now - dueAt > latePass)
    return [`The loop '${name}' has been due for ${Math.round((now - dueAt) / 1_000)} s: it hangs.`];
  return [];
}
