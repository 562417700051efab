/**
 * Azure's documented usual rules, as a peer: one more instance when the CPU was above 75 % for five minutes, one less when it was
 * below 25 %, and five minutes between two changes.
 * https://learn.microsoft.com/azure/azure-monitor/autoscale/autoscale-best-practices
 * https://learn.microsoft.com/azure/virtual-machine-scale-sets/tutorial-autoscale-cli
 */
import type { AutoscaleSetting, Operator, ScaleAction, ScaleRule } from '../pool/autoscale/setting.ts';

const minute = 60_000;

/** @param maximum of instances; the minimum is one, for a CPU that is not there says nothing */
export function usualRules({ target }: Pick<AutoscaleSetting, 'target'>, maximum: number): AutoscaleSetting {
  return {
    enabled: true,
    target,
    profiles: [
      {
        name: 'CPU',
        capacity: { minimum: 1, maximum: Math.max(1, maximum), default: 1 },
        rules: [rule('GreaterThan', 75, 'Increase'), rule('LessThan', 25, 'Decrease')],
        fixedDate: undefined,
        recurrence: undefined,
      },
    ],
  };
}

function rule(operator: Operator, threshold: number, direction: ScaleAction['direction']): ScaleRule {
  return {
    trigger: {
      ...{ metric: 'Percentage CPU', statistic: 'Average', timeAggregation: 'Average', dividePerInstance: false },
      ...{ timeGrainMilliseconds: minute, timeWindowMilliseconds: 5 * minute, operator, threshold },
    },
    action: { direction, type: 'ChangeCount', value: 1, cooldownMilliseconds: 5 * minute },
  };
}
