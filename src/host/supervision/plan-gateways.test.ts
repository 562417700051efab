import { describe, expect, it } from 'vitest';
import { planGateways, type GatewayPlan, type GatewayRun } from './plan-gateways.ts';

const run = (serial: number, changes: Partial<GatewayRun> = {}): GatewayRun => ({
  ...{ serial, kept: true, pid: 1_000 + serial, mark: 'now' },
  ...changes,
});
const dead = { pid: undefined };
const left = { kept: false };
const wanted = { mark: 'now', count: 1, anew: false };
const plan = (changes: Partial<GatewayPlan>): GatewayPlan => ({
  ...{ stay: [], begin: [], leave: [], forget: [] },
  ...changes,
});

describe('which gateways begin and leave', () => {
  const cases: [what: string, runs: GatewayRun[], changes: Partial<typeof wanted>, plan: GatewayPlan][] = [
    ['the first start', [], {}, plan({ begin: [1] })],
    ['the first start of several', [], { count: 3 }, plan({ begin: [1, 2, 3] })],
    ['nothing changed', [run(4)], {}, plan({ stay: [4] })],
    ['one that was killed and is about to be begun again', [run(4, dead)], {}, plan({ stay: [4] })],
    ['an upgrade', [run(4, { mark: 'old' })], {}, plan({ begin: [5], leave: [4] })],
    ['an upgrade of one that does not run', [run(4, { mark: 'old', ...dead })], {}, plan({ begin: [5], forget: [4] })],
    ['a restart', [run(4)], { anew: true }, plan({ begin: [5], leave: [4] })],
    [
      'a second restart, while the first one leaves',
      [run(4, left), run(5)],
      { anew: true },
      plan({ begin: [6], leave: [5, 4] }),
    ],
    ['a restart of several', [run(7), run(8)], { anew: true, count: 2 }, plan({ begin: [9, 10], leave: [8, 7] })],
    ['one more is wanted', [run(1)], { count: 2 }, plan({ stay: [1], begin: [2] })],
    ['one less is wanted', [run(1), run(2)], {}, plan({ stay: [2], leave: [1] })],
    [
      'a hand-over that was cut off when both served',
      [run(1, { mark: 'old' }), run(2)],
      {},
      plan({ stay: [2], leave: [1] }),
    ],
    ['one that was cut off before the old one was told', [run(1, left), run(2)], {}, plan({ stay: [2], leave: [1] })],
    ['one that has left', [run(1, { ...left, ...dead }), run(2)], {}, plan({ stay: [2], forget: [1] })],
    [
      'the serial of one that has left is not given again',
      [run(3, { ...left, ...dead })],
      {},
      plan({ begin: [4], forget: [3] }),
    ],
    ['one of a release without marks', [run(1, { mark: undefined })], {}, plan({ begin: [2], leave: [1] })],
  ];
  it.each(cases)('%s', (_what, runs, changes, expected) => {
    expect(planGateways(runs, { ...wanted, ...changes })).toEqual(expected);
  });

  it('changes nothing when it is asked again', () => {
    for (const [, runs, changes] of cases) {
      const first = planGateways(runs, { ...wanted, ...changes });
      const after = [...first.stay, ...first.begin].map((serial) => run(serial));
      const again = planGateways(after, { ...wanted, ...changes, anew: false });
      expect(again).toEqual(plan({ stay: after.map(({ serial }) => serial).toSorted((a, b) => b - a) }));
    }
  });
});
