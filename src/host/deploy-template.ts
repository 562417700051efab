/** Deploys a template as `az deployment group create` does, and tells how it goes. */
import { setTimeout as sleep } from 'node:timers/promises';
import { PoolhouseError } from '../core/errors.ts';
import { dig, isObject, textOf, type Json, type JsonObject } from '../core/json.ts';
import { errorOf, type ArmClient } from './arm-client.ts';
import type { Progress } from './progress.ts';

export interface DeploymentRequest {
  group: string;
  name: string;
  /** The template's own text, or where control is to fetch it. */
  template: { text: string } | { uri: string };
  parameters: JsonObject;
}

const pollDelay = 500;

/** Makes the resource group when it is not there. True when it was made. */
export async function ensureGroup(client: ArmClient, group: string, location: string): Promise<boolean> {
  const path = groupPath(client, group);
  const found = await client.send('GET', path).catch((error: unknown) => {
    if (error instanceof PoolhouseError && error.code === 'ResourceGroupNotFound') return undefined;
    throw error;
  });
  if (found !== undefined) return false;
  await client.send('PUT', path, { location });
  return true;
}

/** Validates, deploys, and waits for the end. Gives the deployment; fails with its error. */
export async function deployTemplate(
  client: ArmClient,
  request: DeploymentRequest,
  progress: Progress,
  signal: AbortSignal,
): Promise<JsonObject> {
  const path = `${groupPath(client, request.group)}/providers/Microsoft.Resources/deployments/${encodeURIComponent(request.name)}`;
  const parameters = JSON.stringify(request.parameters);
  // The template's text goes as it is, comments and all: errors then name its own lines.
  const body =
    'text' in request.template
      ? `{"properties": {"mode": "Incremental", "parameters": ${parameters}, "template": ${request.template.text.replace(/^\uFEFF/, '')}\n}}`
      : JSON.stringify({
          properties: {
            mode: 'Incremental',
            parameters: request.parameters,
            templateLink: { uri: request.template.uri },
          },
        });
  await progress.step('the template is validated', () => client.send('POST', `${path}/validate`, body));
  return progress.step(`deployment ${request.name}`, async (phase) => {
    const { operationUrl } = await client.send('PUT', path, body);
    const operation = operationUrl === undefined ? undefined : new URL(operationUrl);
    for (;;) {
      const state =
        operation === undefined
          ? 'Succeeded'
          : (await client.send('GET', `${operation.pathname}${operation.search}`)).body;
      const status = typeof state === 'string' ? state : textOf(state['status']);
      if (status === 'Succeeded') return (await client.send('GET', path)).body;
      if (status === 'Failed' || status === 'Canceled') throw errorOf(state);
      phase(await describeOperations(client, path));
      await sleep(pollDelay, undefined, { signal });
    }
  });
}

function groupPath(client: ArmClient, group: string): string {
  return `/subscriptions/${client.subscriptionId}/resourcegroups/${encodeURIComponent(group)}`;
}

/** `3 of 5 resources, waiting for teampool`. */
async function describeOperations(client: ArmClient, path: string): Promise<string> {
  const { body } = await client.send('GET', `${path}/operations`);
  const operations = Array.isArray(body['value']) ? body['value'].filter(isObject) : [];
  const stateOf = (operation: JsonObject): Json | undefined => dig(operation, 'properties', 'provisioningState');
  const running = operations
    .filter((operation) => stateOf(operation) === 'Running')
    .map((operation) => textOf(dig(operation, 'properties', 'targetResource', 'resourceName')));
  const done = operations.filter((operation) => stateOf(operation) === 'Succeeded').length;
  return `${done} done${running.length === 0 ? '' : `, waiting for ${running.slice(0, 3).join(', ')}`}`;
}
