/**
 * Memory to read into. A large buffer halves the cost of a byte, and a thousand idle connections must not hold a
 * thousand large ones: each direction begins small, grows while its reads fill it, and shrinks when they no longer do.
 * What is large altogether is bounded; beyond it connections go on with what they have.
 */

const sizes = [8 * 1024, 64 * 1024, 256 * 1024] as const;
/** Reads in a row that would have fitted the next smaller size, before it is taken again. */
const smallReadsBeforeShrinking = 32;

export interface ReadBufferPool {
  /** A buffer for one direction of one connection. */
  take(): ReadBuffer;
}

export interface ReadBuffer {
  /** Where to read into next, perhaps another memory than before: only when what was read is written. */
  current(): Buffer;
  /** The memory of the last read, while it still waits to be written. */
  kept(): Buffer;
  /** Says how much the last read brought. */
  filled(bytes: number): void;
  release(): void;
}

/** `budget`: bytes that all buffers above the smallest size may have together. */
export function createReadBufferPool(budget = 64 * 1024 * 1024): ReadBufferPool {
  const free = new Map<number, Buffer[]>(sizes.map((size) => [size, []]));
  let large = 0;

  function obtain(level: number): Buffer | undefined {
    const size = sizes[level] ?? sizes[0];
    if (level > 0) {
      if (large + size > budget) return undefined;
      large += size;
    }
    return free.get(size)?.pop() ?? Buffer.allocUnsafeSlow(size);
  }

  function giveBack(buffer: Buffer): void {
    if (buffer.length > sizes[0]) large -= buffer.length;
    const list = free.get(buffer.length);
    // Enough for what comes and goes; the rest is the collector's.
    if (list !== undefined && list.length < 32) list.push(buffer);
  }

  return {
    take() {
      let level = 0;
      let buffer = obtain(0) ?? Buffer.allocUnsafeSlow(sizes[0]);
      let smallReads = 0;
      let wanted = 0;
      let released = false;
      return {
        current() {
          if (wanted !== level && !released) {
            const next = obtain(wanted);
            if (next === undefined) wanted = level;
            else {
              giveBack(buffer);
              buffer = next;
              level = wanted;
            }
          }
          return buffer;
        },
        kept: () => buffer,
        filled(bytes) {
          if (bytes === buffer.length) {
            smallReads = 0;
            wanted = Math.min(level + 1, sizes.length - 1);
          } else if (level > 0 && bytes <= (sizes[level - 1] ?? 0)) {
            if (++smallReads >= smallReadsBeforeShrinking) {
              smallReads = 0;
              wanted = level - 1;
            }
          } else {
            smallReads = 0;
          }
        },
        release() {
          if (released) return;
          released = true;
          giveBack(buffer);
        },
      };
    },
  };
}
