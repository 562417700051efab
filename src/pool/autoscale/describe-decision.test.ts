import { describe, expect, it } from 'vitest';
import { describeDecision } from './describe-decision.ts';
import type { AutoscaleProfile, ScaleRule } from './setting.ts';

const profile: AutoscaleProfile = {
  ...{ name: 'day', capacity: { minimum: 2, maximum: 30, default: 4 }, rules: [] },
  ...{ fixedDate: undefined, recurrence: undefined },
};
const rule: ScaleRule = {
  trigger: {
    ...{
      metric: 'Percentage CPU',
      statistic: 'Average',
      timeGrainMilliseconds: 60_000,
      timeWindowMilliseconds: 300_000,
    },
    ...{ timeAggregation: 'Average', operator: 'LessThanOrEqual', threshold: 60, dividePerInstance: false },
  },
  action: { direction: 'Decrease', type: 'ChangeCount', value: 10, cooldownMilliseconds: 300_000 },
};
const fired = [
  { rule, value: 100 / 3 },
  { rule: { ...rule, trigger: { ...rule.trigger, metric: 'Waiting Users' } }, value: 0 },
] as const;
const scale = { decision: 'scale', fired: [], cooldownMilliseconds: 0 } as const;

describe('what autoscale does, in words', () => {
  it.each([
    [
      { ...scale, direction: 'in', from: 40, to: 30, because: 'bounds' },
      "Scaled in from 40 to 30 instances: the profile 'day' allows 2 to 30.",
    ],
    [
      { ...scale, direction: 'out', from: 2, to: 4, because: 'default' },
      "Scaled out from 2 to 4 instances: a metric cannot be read, and the default of the profile 'day' is 4.",
    ],
    [
      { ...scale, direction: 'in', from: 9, to: 8, because: 'rules', fired },
      "Scaled in from 9 to 8 instances: Percentage CPU was 33.3333 (≤ 60) and Waiting Users was 0 (≤ 60) (profile 'day').",
    ],
    [
      { ...scale, direction: 'in', from: 30, to: 28, because: 'rules', fired: fired.slice(0, 1), intended: 20 },
      "Scaled in from 30 to 28 instances and not to 20, which would have scaled out again at once: Percentage CPU was 33.3333 (≤ 60) (profile 'day').",
    ],
    [
      { decision: 'avoid flapping', from: 3, intended: 2, fired: fired.slice(0, 1) },
      "Did not scale in from 3 to 2 instances, which would have scaled out again at once: Percentage CPU was 33.3333 (≤ 60) (profile 'day').",
    ],
  ] as const)('%j', (decision, expected) => {
    expect(describeDecision(decision, profile)).toBe(expected);
  });
});
