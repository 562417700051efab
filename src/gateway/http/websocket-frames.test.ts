import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createFrameReader } from './websocket-frames.ts';

const [text, binary, close, ping, pong] = [1, 2, 8, 9, 10];

function frame(opcode: number, length: number, isMasked: boolean): Buffer {
  const mark = isMasked ? 0x80 : 0;
  const head = [0x80 | opcode];
  if (length < 126) head.push(mark | length);
  else if (length < 65_536) head.push(mark | 126, length >> 8, length & 0xff);
  else head.push(mark | 127, 0, 0, 0, 0, length >>> 24, (length >> 16) & 0xff, (length >> 8) & 0xff, length & 0xff);
  // What it carries looks like heads of frames.
  return Buffer.concat([Buffer.from(head), Buffer.alloc(isMasked ? 4 : 0, 0x81), Buffer.alloc(length, 0x81)]);
}

describe('frames of a WebSocket', () => {
  it('count where they carry something, however they are cut into pieces', () => {
    const frames = fc.array(
      fc.record({
        opcode: fc.constantFrom(0, text, binary, close, ping, pong),
        length: fc.constantFrom(0, 1, 125, 126, 1_000, 70_000),
        isMasked: fc.boolean(),
      }),
      { maxLength: 5 },
    );
    fc.assert(
      fc.property(frames, fc.array(fc.integer({ min: 1, max: 9_000 }), { minLength: 1 }), (sent, cuts) => {
        let counted = 0;
        const read = createFrameReader(() => (counted += 1));
        const bytes = Buffer.concat(sent.map((one) => frame(one.opcode, one.length, one.isMasked)));
        for (let at = 0, cut = 0; at < bytes.length; cut += 1) {
          const length = cuts[cut % cuts.length] ?? 1;
          read(bytes.subarray(at, at + length));
          at += length;
        }
        expect(counted).toBe(sent.filter(({ opcode }) => opcode < 8).length);
      }),
      { numRuns: 200 },
    );
  });

  it('do not count where the two ends only say that they are there', () => {
    let counted = 0;
    const read = createFrameReader(() => (counted += 1));
    for (let round = 0; round < 10; round += 1) {
      read(frame(ping, 4, false));
      read(frame(pong, 4, true));
    }
    expect(counted).toBe(0);
  });
});
