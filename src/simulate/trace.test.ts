import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readTrace, writeTrace, type TraceSession } from './trace.ts';

const nine = Date.UTC(2026, 0, 5, 9);
const hour = 3_600_000;

describe('a trace of sessions', () => {
  it.each([
    ['lines', 'alice,2026-01-05T09:00:00Z,2026-01-05T10:00:00Z'],
    ['lines with a head', 'user,start,end\nalice,2026-01-05T09:00:00Z,2026-01-05T10:00:00Z'],
    ['seconds since 1970', `alice,${nine / 1_000},${nine / 1_000 + 3_600}`],
    ['another zone', 'alice,2026-01-05T10:00+01:00,2026-01-05T11:00+01:00'],
    ['no zone, which is UTC', 'alice,2026-01-05 09:00,2026-01-05 10:00'],
    ['JSON lines', `{"user":"alice","start":"2026-01-05T09:00:00Z","end":${nine / 1_000 + 3_600}}`],
    [
      'comments, empty lines, quotes and CRLF',
      '\uFEFF# mine\r\n\r\n"alice", 2026-01-05T09:00:00Z ,2026-01-05T10:00:00Z\r\n',
    ],
  ])('is read from %s', (_what, text) => {
    expect(readTrace(text, 'day.csv')).toEqual([
      { user: 'alice', start: nine, end: nine + hour, activeUntil: nine + hour },
    ]);
  });

  it('says until when somebody worked', () => {
    const [session] = readTrace('a,2026-01-05T09:00:00Z,2026-01-05T10:00:00Z,2026-01-05T09:30:00Z', 'day.csv');
    expect(session?.activeUntil).toBe(nine + hour / 2);
  });

  it.each([
    ['a\nb', 'line 1', 'columns'],
    ['user,start,end\na,1,2\n\na,5,4', 'line 4', 'not after the start'],
    ['a,1,2,3', 'line 1', 'between start and end'],
    ['a,monday,2', 'line 1', `'start' is no time`],
    ['a,2026-02-31T25:00:00Z,2', 'line 1', `'start' is no time`],
    ['a,1767603600000,1767603700000', 'line 1', 'too large for seconds'],
    [',1,2', 'line 1', 'no name'],
    ['a,1,', 'line 1', `'end' is missing`],
    ['{"user":"a","start":1,"end":2', 'line 1', 'no JSON object'],
    ['{"user":"a","start":1,"end":2,"ends":3}', 'line 1', `no 'ends'`],
    ['{"user":["a"],"start":1,"end":2}', 'line 1', `'user' must be`],
    ['a,1,2,3,4', 'line 1', 'not 5 columns'],
    ['# nothing\n', 'day.csv', 'holds no sessions'],
  ])('that is wrong (%j) is refused with its line', (text, where, why) => {
    expect(() => readTrace(text, 'day.csv')).toThrow(where);
    expect(() => readTrace(text, 'day.csv')).toThrow(why);
  });

  it('is what was written', () => {
    const session = fc
      .record({
        user: fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/),
        start: fc.integer({ min: 0, max: 4_000_000 }),
        works: fc.integer({ min: 0, max: 5_000 }),
        rests: fc.integer({ min: 1, max: 5_000 }),
      })
      .map(({ user, start, works, rests }): TraceSession => {
        return {
          user,
          start: start * 1_000,
          activeUntil: (start + works) * 1_000,
          end: (start + works + rests) * 1_000,
        };
      })
      .filter(({ user }) => user !== 'user');
    fc.assert(
      fc.property(fc.array(session, { minLength: 1, maxLength: 20 }), (sessions) => {
        const again = readTrace(writeTrace(sessions), 'trace');
        const keys = (some: readonly TraceSession[]) =>
          some.map((one) => JSON.stringify(Object.entries(one).sort())).sort();
        expect(keys(again)).toEqual(keys(sessions));
      }),
    );
  });
});
