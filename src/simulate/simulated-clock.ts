/**
 * Time that passes only when somebody makes it pass: from one appointment to the next, with everything between them done at
 * once. What waits for this clock (the simulated engine, say) is the code that waits for the real one elsewhere.
 */
import { setImmediate } from 'node:timers/promises';
import type { Clock, EpochMillis } from '../core/time.ts';

export interface SimulatedClock extends Clock {
  /** Calls `what` at that time, or at once where it is over; of one time in the order in which they were asked for. */
  at(time: EpochMillis, what: () => void): void;
  /**
   * Lets time pass until `end`, with all that has appointments by then and what follows from them. Ends early with the
   * signal's reason when it aborts.
   */
  runUntil(end: EpochMillis, signal: AbortSignal): Promise<void>;
}

interface Appointment {
  time: EpochMillis;
  number: number;
  what: () => void;
}

export function createSimulatedClock(start: EpochMillis): SimulatedClock {
  let now = start;
  let made = 0;
  /** A heap: none is before its parent, which stands at half its place. */
  const heap: Appointment[] = [];
  const isBefore = (a: Appointment, b: Appointment) => a.time < b.time || (a.time === b.time && a.number < b.number);

  function push(appointment: Appointment): void {
    let place = heap.length;
    heap.push(appointment);
    while (place > 0) {
      const above = (place - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || !isBefore(appointment, parent)) break;
      heap[place] = parent;
      place = above;
    }
    heap[place] = appointment;
  }

  function pop(): Appointment | undefined {
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || last === first) return first;
    let place = 0;
    for (;;) {
      const [left, right] = [heap[2 * place + 1], heap[2 * place + 2]];
      const isRight = right !== undefined && left !== undefined && isBefore(right, left);
      const child = isRight ? right : left;
      if (child === undefined || !isBefore(child, last)) break;
      heap[place] = child;
      place = 2 * place + (isRight ? 2 : 1);
    }
    heap[place] = last;
    return first;
  }

  const at: SimulatedClock['at'] = (time, what) => {
    push({ time: Math.max(now, time), number: made, what });
    made += 1;
  };

  return {
    now: () => now,
    at,
    async sleep(ms, signal) {
      signal?.throwIfAborted();
      const { promise, resolve } = Promise.withResolvers<undefined>();
      at(now + ms, () => {
        resolve(undefined);
      });
      await promise;
      signal?.throwIfAborted();
    },
    async runUntil(end, signal) {
      for (let next = heap[0]; next !== undefined && next.time <= end; next = heap[0]) {
        signal.throwIfAborted();
        now = next.time;
        pop();
        next.what();
        // Nothing here waits for anything but this clock: after this, all that could go on has come as far as it can.
        await setImmediate();
      }
      now = Math.max(now, end);
    },
  };
}
