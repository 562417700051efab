/** Every resource type that this installation knows. */
import { loadBalancerChildren, loadBalancers } from './network/load-balancers.ts';
import { networkSecurityGroups, securityRules } from './network/network-security-groups.ts';
import { publicIpAddresses, type PublicAddresses } from './network/public-ip-addresses.ts';
import { subnets, virtualNetworks } from './network/virtual-networks.ts';
import { rollingUpgrades } from './compute/rolling-upgrades.ts';
import { scaleSetExtensions } from './compute/scale-set-extensions.ts';
import { scaleSetInstances } from './compute/scale-set-instances.ts';
import { scaleSets } from './compute/scale-sets.ts';
import { autoscaleSettings } from './insights/autoscale-settings.ts';
import type { LiveFacts } from './live-facts.ts';
import { resourceGroups } from './resources/resource-groups.ts';
import { deployments, type DeploymentParts } from './resources/deployments.ts';
import type { ResourceType } from './resource-type.ts';
import { fileServices } from './storage/file-service.ts';
import { fileShares } from './storage/file-shares.ts';
import { storageAccounts } from './storage/storage-accounts.ts';

export interface TypeParts {
  live: LiveFacts;
  addresses: PublicAddresses;
  deployments: DeploymentParts;
}

export function allTypes(parts: TypeParts): ResourceType[] {
  return [
    resourceGroups,
    deployments(parts.deployments),
    virtualNetworks,
    subnets,
    publicIpAddresses(parts.addresses),
    loadBalancers,
    ...loadBalancerChildren,
    networkSecurityGroups,
    securityRules,
    scaleSets(),
    scaleSetInstances(parts.live),
    scaleSetExtensions,
    rollingUpgrades(parts.live),
    storageAccounts,
    fileServices,
    fileShares,
    autoscaleSettings,
  ];
}
