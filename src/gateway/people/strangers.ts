/** Counts the connections of which nobody has signed in yet, and takes no more than fit. Each protocol has its own. */
import { isDroppedEarly, type StrangerLimits } from './early-drop.ts';

export interface Strangers {
  readonly size: number;
  /** Counts one more until the returned function is called, once or more often; undefined where it is to be dropped. */
  take(address: string): (() => void) | undefined;
}

/** @param chance 0 to 1: chooses who is dropped */
export function createStrangers(limits: StrangerLimits, chance: () => number): Strangers {
  let size = 0;
  const byAddress = new Map<string, number>();
  return {
    get size() {
      return size;
    },
    take(address) {
      const fromThere = byAddress.get(address) ?? 0;
      if (isDroppedEarly({ all: size, fromThere }, limits, chance())) return undefined;
      size += 1;
      byAddress.set(address, fromThere + 1);
      let isOver = false;
      return () => {
        if (isOver) return;
        isOver = true;
        size -= 1;
        const left = (byAddress.get(address) ?? 1) - 1;
        if (left > 0) byAddress.set(address, left);
        else byAddress.delete(address);
      };
    },
  };
}
