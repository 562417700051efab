import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { createRefusedPackets, grown } from './refused-packets.ts';

describe('grown', () => {
  it.each([
    ['a first look', {}, { a: 3 }, { a: 3 }],
    ['nothing new', { a: 3 }, { a: 3 }, {}],
    ['more of one, the first of another', { a: 3 }, { a: 5, b: 1 }, { a: 2, b: 1 }],
    ['a table that was made anew', { a: 100 }, { a: 2 }, { a: 2 }],
    ['an address that is gone', { a: 1, b: 2 }, { b: 2 }, {}],
  ])('%s', (_, before, now, expected) => {
    const map = (counts: object) => new Map(Object.entries(counts) as [string, number][]);
    expect(grown(map(before), map(now))).toEqual(map(expected));
  });
});

describe('the look at refused packets', () => {
  it('names the instance in one warning, and says nothing while nothing is new', async () => {
    const lines: string[] = [];
    const log = pino({}, { write: (line: string) => lines.push(line) });
    let counts = new Map([['10.0.0.2', 7]]);
    const pass = createRefusedPackets({
      read: () => Promise.resolve(counts),
      names: () => Promise.resolve(new Map([['10.0.0.2', 'red-0']])),
      log,
    });
    await pass(AbortSignal.timeout(1_000));
    await pass(AbortSignal.timeout(1_000));
    expect(lines.map((line) => JSON.parse(line) as object)).toEqual([
      expect.objectContaining({ level: 40, instance: 'red-0', address: '10.0.0.2', packets: 7 }),
    ]);
    counts = new Map([['10.0.0.9', 1]]);
    await pass(AbortSignal.timeout(1_000));
    expect(lines[1]).toContain('"instance":"unknown"');
  });
});
