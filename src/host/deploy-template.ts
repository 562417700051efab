/** Deploys a template as `az deployment group create` does, and tells how it goes. */
import { setTimeout as sleep } from 'node:timers/promises';
import { PoolhouseError } from '../core/errors.ts';
import { dig, isObject, textOf, type Json, type JsonObject } from '../core/json.ts';
import { errorOf, type ArmClient } from './arm-client.ts';
import type { Progress } from './progress.ts';

export interface DeploymentRequest {
  group: string;
  /** Where the group is made when it is not there. */
  location: string;
  name: string;
  /** The template's own text, or where control is to fetch it. */
  template: { text: string } | { uri: string };
  parameters: JsonObject;
}

const pollDelay = 500;
/** An empty group is gone at once; nobody waits for one that is not. */
const removalLimit = 5_000;

/**
 * Validates, deploys, and waits for the end; makes the resource group when it is not there. Gives the deployment; fails
 * with its error. Of what is refused nothing stays, the group included; what was begun goes on when the signal aborts.
 */
export async function deployTemplate(
  client: ArmClient,
  request: DeploymentRequest,
  progress: Progress,
  signal: AbortSignal,
): Promise<JsonObject> {
  const path = `${groupPath(client, request.group)}/providers/Microsoft.Resources/deployments/${encodeURIComponent(request.name)}`;
  const body = bodyOf(request);
  const madeGroup = await ensureGroup(client, request);
  try {
    await progress.step('the template is validated', () => client.send('POST', `${path}/validate`, body));
  } catch (error) {
    if (madeGroup) await removeEmptyGroup(client, request.group);
    throw error;
  }
  if (madeGroup) progress.note(`The resource group '${request.group}' was made.`);
  return progress.step(`deployment ${request.name}`, async (phase) => {
    const { operationUrl } = await client.send('PUT', path, body);
    const goesOn = () => {
      progress.note(
        `The deployment goes on without this command. To end it: az deployment group cancel -g ${request.group} -n ${request.name}`,
      );
    };
    signal.addEventListener('abort', goesOn, { once: true });
    try {
      return await watch(client, path, operationUrl, phase, signal);
    } finally {
      signal.removeEventListener('abort', goesOn);
    }
  });
}

/** True when it was made. */
async function ensureGroup(client: ArmClient, { group, location }: DeploymentRequest): Promise<boolean> {
  const path = groupPath(client, group);
  if (await groupExists(client, path)) return false;
  await client.send('PUT', path, { location });
  return true;
}

/** What somebody else has put into it meanwhile keeps it. */
async function removeEmptyGroup(client: ArmClient, group: string): Promise<void> {
  const path = groupPath(client, group);
  for (const list of ['resources', 'providers/Microsoft.Resources/deployments']) {
    const { body } = await client.send('GET', `${path}/${list}`);
    if (!Array.isArray(body['value']) || body['value'].length > 0) return;
  }
  await client.send('DELETE', path);
  const deadline = Date.now() + removalLimit;
  while (Date.now() < deadline && (await groupExists(client, path))) await sleep(pollDelay);
}

async function groupExists(client: ArmClient, path: string): Promise<boolean> {
  return client.send('GET', path).then(
    () => true,
    (error: unknown) => {
      if (error instanceof PoolhouseError && error.code === 'ResourceGroupNotFound') return false;
      throw error;
    },
  );
}

/** The template's text goes as it is, comments and all: errors then name its own lines. */
function bodyOf({ template, parameters }: DeploymentRequest): string {
  if ('uri' in template)
    return JSON.stringify({ properties: { mode: 'Incremental', parameters, templateLink: { uri: template.uri } } });
  return `{"properties": {"mode": "Incremental", "parameters": ${JSON.stringify(parameters)}, "template": ${template.text.replace(/^\uFEFF/, '')}\n}}`;
}

async function watch(
  client: ArmClient,
  path: string,
  operationUrl: string | undefined,
  phase: (words: string) => void,
  signal: AbortSignal,
): Promise<JsonObject> {
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
