import { describe, expect, it } from 'vitest';
import { describeLogLine, isAtLeast, logDocument, mergeLogs } from './log-lines.ts';

const time = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
const line = (fields: object) =>
  JSON.stringify({ level: 30, time, pid: 7, hostname: 'h', process: 'control', ...fields });

describe('a line of a log in plain words', () => {
  it.each([
    [
      'says when, how grave, who and what',
      line({ msg: 'control serves' }),
      '2026-01-02 03:04:05.678 info  control control serves',
    ],
    [
      'names its fields',
      line({ level: 40, msg: 'late', pool: 'team', seconds: 3, more: { a: 1 } }),
      '2026-01-02 03:04:05.678 warn  control late pool=team seconds=3 more={"a":1}',
    ],
    [
      'names the error, without its stack',
      line({ level: 50, msg: 'it failed', err: { message: 'no disk: full', stack: 'at x' } }),
      '2026-01-02 03:04:05.678 error control it failed | no disk: full',
    ],
    ['may lack everything', '{}', 'info'.padEnd(5) + ' '.repeat(8).trimEnd()],
    ['may be odd', '{"time": "x", "level": null, "process": 5, "err": null, "msg": {"a": 1}}', 'info  5       {"a":1}'],
    ['may have no time that there is', '{"time": 1e300, "msg": "m"}', 'info          m'],
    ['may be no JSON', 'node:internal/process: crash', 'node:internal/process: crash'],
    ['may be a list', '[1]', '[1]'],
    ['does not command the terminal', line({ msg: 'a\u001b[2Jb' }), '2026-01-02 03:04:05.678 info  control a\\x1b[2Jb'],
  ])('%s', (_what, text, words) => {
    expect(describeLogLine(text).trimEnd()).toBe(words.trimEnd());
  });

  it('is a document, whatever it is', () => {
    expect(logDocument('{"msg": "a"}')).toEqual({ msg: 'a' });
    expect(logDocument('crash')).toEqual({ msg: 'crash' });
    expect(logDocument('[1]')).toEqual({ msg: '[1]' });
  });
});

describe('lines by how grave they are', () => {
  it.each([
    [20, 'info', false],
    [30, 'info', true],
    [30, 'warn', false],
    [40, 'warn', true],
    [50, 'warn', true],
    [60, 'error', true],
    [10, 'trace', true],
  ] as const)('level %i is at least %s: %s', (level, least, shown) => {
    expect(isAtLeast(line({ level, msg: 'm' }), least)).toBe(shown);
  });

  it('are shown where they say no level: a crash is grave', () => {
    expect(isAtLeast('node:internal/process: crash', 'error')).toBe(true);
    expect(isAtLeast('{"level": "x"}', 'error')).toBe(true);
  });
});

describe('several logs', () => {
  const at = (when: number, msg: string) => JSON.stringify({ time: when, msg });

  it('are one, in the order of time', () => {
    const one = [at(1, 'a'), at(4, 'd')];
    const other = [at(2, 'b'), at(3, 'c')];
    expect(mergeLogs([one, other])).toEqual([one[0], other[0], other[1], one[1]]);
  });

  it('keep a line without a time behind the one before it', () => {
    const one = [at(1, 'a'), 'Error: crash', '    at x', at(9, 'z')];
    const other = [at(5, 'm')];
    expect(mergeLogs([one, other])).toEqual([...one.slice(0, 3), ...other, one[3]]);
  });

  it('may be empty', () => {
    expect(mergeLogs([[], []])).toEqual([]);
  });
});
