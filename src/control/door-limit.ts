/**
 * How often an instance may ask at its door, and how often in vain. What is under way counts as if it will fail, so that
 * many requests at once get no further than one after the other.
 */
import type { Clock } from '../core/time.ts';

const window = 60_000;
const requestsPerWindow = 120;
const failuresPerWindow = 20;

export interface DoorLimit {
  /** False: it has to wait. Otherwise the request is under way until `done`. */
  begin(): boolean;
  done(failed: boolean): void;
  /** A failure of something that was not even a request. */
  failed(): void;
  /** True once a window for each: the log is told once that somebody has to wait, and once that somebody talks nonsense. */
  worthTelling(what: 'waiting' | 'nonsense'): boolean;
}

export function createDoorLimit(clock: Clock): DoorLimit {
  let requests: number[] = [];
  let failures: number[] = [];
  let underWay = 0;
  const toldAt = { waiting: -Infinity, nonsense: -Infinity };
  const recent = (times: readonly number[]) => times.filter((at) => clock.now() - at < window);
  const fail = () => {
    failures = [...recent(failures), clock.now()].slice(-failuresPerWindow);
  };

  return {
    begin() {
      [requests, failures] = [recent(requests), recent(failures)];
      if (requests.length >= requestsPerWindow || failures.length + underWay >= failuresPerWindow) return false;
      requests.push(clock.now());
      underWay += 1;
      return true;
    },
    done(failed) {
      underWay -= 1;
      if (failed) fail();
    },
    failed: fail,
    worthTelling(what) {
      if (clock.now() - toldAt[what] < window) return false;
      toldAt[what] = clock.now();
      return true;
    },
  };
}
