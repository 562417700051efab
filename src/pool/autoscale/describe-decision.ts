/** What autoscale did, or did not do, in one sentence for people. Pure. */
import type { AutoscaleDecision, FiredRule } from './decide-autoscale.ts';
import type { AutoscaleProfile, Operator } from './setting.ts';

const signs: Readonly<Record<Operator, string>> = {
  Equals: '=',
  NotEquals: '≠',
  GreaterThan: '>',
  GreaterThanOrEqual: '≥',
  LessThan: '<',
  LessThanOrEqual: '≤',
};

/** Of a decision that is told. */
export function describeDecision(
  decision: Extract<AutoscaleDecision, { decision: 'scale' | 'avoid flapping' }>,
  { name, capacity }: AutoscaleProfile,
): string {
  const { from } = decision;
  if (decision.decision === 'avoid flapping')
    return `Did not scale in from ${from} to ${decision.intended} instances, which would have scaled out again at once: ${rulesOf(decision.fired)} (profile '${name}').`;
  const change = `Scaled ${decision.direction} from ${from} to ${decision.to} instances`;
  switch (decision.because) {
    case 'bounds':
      return `${change}: the profile '${name}' allows ${capacity.minimum} to ${capacity.maximum}.`;
    case 'default':
      return `${change}: a metric cannot be read, and the default of the profile '${name}' is ${capacity.default}.`;
    case 'rules': {
      const less =
        decision.intended === undefined
          ? ''
          : ` and not to ${decision.intended}, which would have scaled out again at once`;
      return `${change}${less}: ${rulesOf(decision.fired)} (profile '${name}').`;
    }
  }
}

function rulesOf(fired: readonly FiredRule[]): string {
  return fired
    .map(({ rule: { trigger }, value }) => {
      const shown = Number(value.toPrecision(6));
      return `${trigger.metric} was ${shown} (${signs[trigger.operator]} ${trigger.threshold})`;
    })
    .join(' and ');
}
