/**
 * How metrics name a front end or a probe: by the names in its resource id. The ports of a NAT pool are one front end
 * here, so that there are as many as there are rules, however many instances a pool has. Pure.
 */

export interface FrontEndLabels {
  resource_group: string;
  load_balancer: string;
  rule: string;
}

export interface ProbeLabels {
  resource_group: string;
  load_balancer: string;
  probe: string;
}

export function frontEndLabels(routeId: string): FrontEndLabels {
  const [resource_group, load_balancer, rule] = namesIn(routeId);
  return { resource_group, load_balancer, rule };
}

export function probeLabels(probeId: string): ProbeLabels {
  const [resource_group, load_balancer, probe] = namesIn(probeId);
  return { resource_group, load_balancer, probe };
}

/** `/subscriptions/S/resourceGroups/G/providers/Microsoft.Network/loadBalancers/B/KIND/NAME[/PORT]` → G, B, NAME. */
function namesIn(id: string): [string, string, string] {
  const parts = id.split('/');
  const after = (word: string) => parts[parts.findIndex((part) => part.toLowerCase() === word) + 1] ?? '';
  if (!id.startsWith('/')) return ['', '', id];
  return [after('resourcegroups'), after('loadbalancers'), parts[10] ?? ''];
}
