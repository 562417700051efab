/**
 * Lines that somebody types at a terminal and nobody sees: the client's terminal is raw, so not to echo is not to send
 * anything back. Pure. The keys that correct a line do what they do at a prompt of Linux.
 */

export interface HiddenLines {
  /** What the bytes have completed. After an interruption nothing more comes. */
  take(chunk: Buffer): readonly ({ line: string } | 'interrupted')[];
}

const key = { interrupt: 0x03, end: 0x04, backspace: 0x08, newLine: 0x0a, enter: 0x0d, eraseLine: 0x15, erase: 0x7f };

/** @param mostBytes of a line; what is more is left out, and the line is wrong then */
export function createHiddenLines(mostBytes = 4_096): HiddenLines {
  let bytes: number[] = [];
  let isAfterEnter = false;
  let isOver = false;

  return {
    take(chunk) {
      const found: ({ line: string } | 'interrupted')[] = [];
      for (const byte of chunk) {
        if (isOver) break;
        const wasAfterEnter = isAfterEnter;
        isAfterEnter = byte === key.enter;
        if (byte === key.enter || (byte === key.newLine && !wasAfterEnter)) {
          found.push({ line: Buffer.from(bytes).toString('utf8') });
          bytes = [];
        } else if (byte === key.interrupt || (byte === key.end && bytes.length === 0)) {
          isOver = true;
          found.push('interrupted');
        } else if (byte === key.eraseLine) bytes = [];
        else if (byte === key.erase || byte === key.backspace) eraseLast(bytes);
        else if (byte >= 0x20 && bytes.length < mostBytes) bytes.push(byte);
      }
      return found;
    },
  };
}

/** A character of UTF-8 is one byte, or one that begins it and those that follow (10xxxxxx). */
function eraseLast(bytes: number[]): void {
  while (((bytes.pop() ?? 0) & 0xc0) === 0x80);
}
