import { describe, expect, it } from 'vitest';
import { frontEndLabels, probeLabels } from './front-end-labels.ts';

const balancer = '/subscriptions/s/resourceGroups/Team/providers/Microsoft.Network/loadBalancers/lb';

describe('the labels of a front end', () => {
  it.each([
    ['a rule', `${balancer}/loadBalancingRules/ssh`, { resource_group: 'Team', load_balancer: 'lb', rule: 'ssh' }],
    [
      'a port of a NAT pool',
      `${balancer}/inboundNatPools/nat/50001`,
      { resource_group: 'Team', load_balancer: 'lb', rule: 'nat' },
    ],
    ['any other name', 'route-7', { resource_group: '', load_balancer: '', rule: 'route-7' }],
  ])('of %s', (_what, id, labels) => {
    expect(frontEndLabels(id)).toEqual(labels);
  });

  it('of a probe', () => {
    expect(probeLabels(`${balancer.toUpperCase()}/PROBES/UP`)).toEqual({
      resource_group: 'TEAM',
      load_balancer: 'LB',
      probe: 'UP',
    });
  });
});
