/**
 * Tells frames of a WebSocket that carry something from those that only say that somebody is there: both ends of a notebook
 * that nobody looks at ping each other for ever. It reads heads (https://www.rfc-editor.org/rfc/rfc6455#section-5.2), and
 * passes over what the frames carry.
 */

/** Opcodes from here on are close, ping and pong. */
const firstControl = 8;
const longestHead = 14;

/**
 * Takes the bytes of one direction as they come.
 *
 * @param onData called for each frame that carries something, when it begins
 */
export function createFrameReader(onData: () => void): (piece: Buffer) => void {
  /** Of what the present frame carries: so many bytes are still to come. */
  let left = 0;
  const head = Buffer.alloc(longestHead);
  let headBytes = 0;

  return function read(piece) {
    let at = 0;
    while (at < piece.length) {
      if (left > 0) {
        const passed = Math.min(left, piece.length - at);
        left -= passed;
        at += passed;
        continue;
      }
      head[headBytes] = piece[at] ?? 0;
      headBytes += 1;
      at += 1;
      if (headBytes < 2 || headBytes < lengthOfHead(head)) continue;
      headBytes = 0;
      left = lengthOfPayload(head);
      if (((head[0] ?? 0) & 0x0f) < firstControl) onData();
    }
  };
}

function lengthOfHead(head: Buffer): number {
  const second = head[1] ?? 0;
  const length = second & 0x7f;
  return 2 + (length === 126 ? 2 : length === 127 ? 8 : 0) + ((second & 0x80) === 0 ? 0 : 4);
}

function lengthOfPayload(head: Buffer): number {
  const length = (head[1] ?? 0) & 0x7f;
  if (length < 126) return length;
  return length === 126 ? head.readUInt16BE(2) : Number(head.readBigUInt64BE(2));
}
