/**
 * A deployment's template and parameters, made into resources. Everything that decides the result is in the input, so
 * that a restarted process gets the same resources again.
 */
import { createHash } from 'node:crypto';
import type { JsonObject } from '../../core/json.ts';
import type { EpochMillis } from '../../core/time.ts';
import { expandTemplate, type ExpandedResource, type Runtime } from '../../template/expand.ts';

/** Kept sealed with the deployment: parameters hold secrets. */
export interface DeploymentInput {
  templateText: string;
  parameters: JsonObject;
  /** What the deployment around it knows as secret. */
  secretValues?: readonly string[];
  now: EpochMillis;
  seed: string;
}

export interface DeploymentScope {
  subscription: { subscriptionId: string; tenantId: string; displayName: string };
  resourceGroup: { id: string; name: string; location: string; tags: JsonObject };
  deploymentName: string;
  mode: 'Incremental' | 'Complete';
}

export interface DeploymentPlan {
  resources: ExpandedResource[];
  /** As a GET shows the parameters: secure ones without their value. */
  shownParameters: JsonObject;
  /** Nothing that is stored in the clear may contain these. */
  secretValues: string[];
  resolveOutputs(runtime: Runtime): JsonObject;
}

/** The same input and scope give the same plan. Throws `InvalidTemplate`. */
export function planDeployment(input: DeploymentInput, scope: DeploymentScope): DeploymentPlan {
  let guids = 0;
  const expansion = expandTemplate(input.templateText, input.parameters, {
    subscription: scope.subscription,
    resourceGroup: scope.resourceGroup,
    deploymentName: scope.deploymentName,
    environment: {
      name: 'AzureCloud',
      suffixes: { storage: 'core.windows.net', keyvaultDns: '.vault.azure.net' },
      resourceManager: 'https://management.azure.com/',
    },
    secretValues: input.secretValues ?? [],
    now: input.now,
    newGuid: () => guidOf(`${input.seed} ${(guids += 1)}`),
  });
  return {
    resources: expansion.resources,
    shownParameters: expansion.parameters.shown,
    secretValues: [...(input.secretValues ?? []), ...expansion.parameters.secretValues],
    resolveOutputs: (runtime) => expansion.resolveOutputs(runtime),
  };
}

function guidOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
