/** For tests: a place to deploy to, and a template with just one value in it. */
import type { Json, JsonObject } from '../core/json.ts';
import { expandTemplate, type Expansion } from './expand.ts';
import type { ExpansionContext } from './template-scope.ts';

export const context: ExpansionContext = {
  subscription: {
    subscriptionId: '00000000-0000-4000-8000-000000000001',
    tenantId: '00000000-0000-4000-8000-000000000002',
    displayName: 'Test',
  },
  resourceGroup: {
    id: '/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/team',
    name: 'team',
    location: 'westeurope',
    tags: { owner: 'us' },
  },
  deploymentName: 'first',
  environment: { name: 'AzureCloud' },
  now: Date.UTC(2026, 0, 2, 3, 4, 5),
  secretValues: [],
  newGuid: () => '11111111-2222-4333-8444-555555555555',
};

/** A template of these parts. */
export function templateOf(parts: JsonObject): string {
  return JSON.stringify({
    $schema: 'https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#',
    contentVersion: '1.0.0.0',
    resources: [],
    ...parts,
  });
}

export function expandParts(parts: JsonObject, parameters: JsonObject = {}): Expansion {
  return expandTemplate(templateOf(parts), parameters, context);
}

/** What a template's output shows for an expression. */
export function evaluated(expression: string, parts: JsonObject = {}): Json | undefined {
  const outputs = expandParts({ ...parts, outputs: { it: { type: 'object', value: expression } } }).resolveOutputs(
    () => {
      throw new Error('nothing is deployed here');
    },
  );
  const { it } = outputs;
  return it === undefined ? undefined : (it as JsonObject)['value'];
}
