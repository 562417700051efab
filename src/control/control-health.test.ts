import { describe, expect, it } from 'vitest';
import { judgeControl, type ControlFacts } from './control-health.ts';

const now = Date.UTC(2026, 0, 1, 12);
const loop = { name: 'scale sets', succeededAt: now - 1_000, dueAt: now + 4_000, failures: 0, failure: undefined };
const well: ControlFacts = {
  notServing: undefined,
  loops: [loop],
  storeFailure: undefined,
  engine: { answeredAt: now - 1_000, failure: undefined },
  apiListens: true,
  freeBytes: 10 ** 9,
  gatewaySeenAt: now - 5_000,
};
const daemon = "The engine's daemon does not answer at /x. 'poolhouse up' starts it.";

describe('the health of control', () => {
  it('is good while all of it works', () => {
    expect(judgeControl(well, now)).toEqual({
      process: 'control',
      healthy: true,
      reasons: [],
      notes: [],
      loops: [{ name: 'scale sets', succeededAt: '2026-01-01T11:59:59.000Z', failures: 0 }],
    });
  });

  const bad: [what: string, change: Partial<ControlFacts>, reasons: string[]][] = [
    ['it starts', { notServing: 'Control starts.', apiListens: false, loops: [] }, ['Control starts.']],
    [
      'it starts, and waits for the engine',
      { notServing: 'Control starts.', engine: { answeredAt: undefined, failure: daemon } },
      ['Control starts.', daemon],
    ],
    [
      'it stops, with its loops',
      { notServing: 'Control stops.', loops: [{ ...loop, failures: 9 }] },
      ['Control stops.'],
    ],
    [
      'the store does not answer',
      { storeFailure: 'database disk image is malformed' },
      ['The store does not answer: database disk image is malformed.'],
    ],
    [
      'the disk is full',
      { freeBytes: 4_096 },
      ['The file system of the installation is full: nothing can be written down. Make room on it.'],
    ],
    ['the engine does not answer', { engine: { answeredAt: now - 60_000, failure: daemon } }, [daemon]],
    ['the API does not listen', { apiListens: false }, ['The ARM API does not listen.']],
    [
      'a loop fails again and again',
      { loops: [{ ...loop, failures: 3, failure: 'no such table' }] },
      ["The loop 'scale sets' failed 3 times in a row: no such table"],
    ],
    [
      'a loop hangs',
      { loops: [{ ...loop, dueAt: now - 121_000 }] },
      ["The loop 'scale sets' has been due for 121 s: it hangs."],
    ],
  ];
  it.each(bad)('is bad when %s', (_what, change, reasons) => {
    expect(judgeControl({ ...well, ...change }, now)).toMatchObject({ healthy: false, reasons });
  });

  const good: [what: string, change: Partial<ControlFacts>, notes: string[]][] = [
    ['a loop failed twice: it is tried again', { loops: [{ ...loop, failures: 2, failure: 'x' }] }, []],
    ['a pass takes a minute', { loops: [{ ...loop, dueAt: now - 60_000 }] }, []],
    ['a file system does not say what it has', { freeBytes: undefined }, []],
    ['no gateway has come yet', { gatewaySeenAt: undefined }, ['No gateway has reported yet.']],
    ['the gateway is away', { gatewaySeenAt: now - 30_000 }, ['The gateway has not reported for 30 s.']],
    ['the file server is not', { trouble: 'It is away.' }, ['It is away.']],
  ];
  it.each(good)('is good when %s', (_what, change, notes) => {
    expect(judgeControl({ ...well, ...change }, now)).toMatchObject({ healthy: true, reasons: [], notes });
  });
});
