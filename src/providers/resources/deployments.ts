import { PoolhouseError, type ErrorBody } from '../../core/errors.ts';
import { dig, isObject, textOf, type Json, type JsonObject } from '../../core/json.ts';
import { redactError, redactJson } from '../../core/redact.ts';
import { keyOf, tryParseResourceId, type ResourcePath } from '../../core/resource-id.ts';
import { findResource, nameOf, type ResourceRecord } from '../../store/resource-records.ts';
import type { Queries } from '../../store/store.ts';
import { parseLenient } from '../../template/parse-lenient.ts';
import { objectAt, optionalChoice, optionalString } from '../read-body.ts';
import type { PlannedBody, StoredType, TypeContext } from '../resource-type.ts';
import { planDeployment, type DeploymentInput, type DeploymentPlan, type DeploymentScope } from './deployment-plan.ts';

const type = 'Microsoft.Resources/deployments';

export interface DeploymentParts {
  /** Fetches a template or parameter file by its URI, as Trust says. */
  fetch(url: string): Promise<Uint8Array>;
  subscription: { subscriptionId: string; tenantId: string; displayName: string };
  /** Checks one resource's body as its own type would, beside the others of its template. Throws. */
  check(
    queries: Queries,
    id: string,
    body: JsonObject | undefined,
    known: JsonObject,
    planned: readonly PlannedBody[],
  ): Promise<void>;
}

/** A deployment: a template with parameters, carried out by a loop, kept with its history. */
export function deployments(parts: DeploymentParts): StoredType {
  return {
    kind: 'stored',
    type,
    reconciled: true,
    removedByLoop: false,
    needsLocation: false,
    workingState: 'Accepted',
    check(_body, _surroundings, path) {
      const name = path.names[0] ?? '';
      if (!/^[-\w._()]{1,64}$/.test(name)) {
        throw new PoolhouseError(
          'InvalidDeploymentName',
          `The provided deployment name '${name.slice(0, 80)}' is not valid: 1 to 64 letters, digits, '-', '_', '.', '(' and ')'.`,
          { target: 'name' },
        );
      }
    },

    /** Puts the texts of template and parameters into the body, wherever they came from. */
    async prepare(body) {
      const properties = objectAt(body, 'properties');
      const uri = optionalString(properties, 'templateLink', 'uri');
      const inline = dig(properties, 'template');
      if (uri === undefined && !isObject(inline) && typeof inline !== 'string') {
        throw new PoolhouseError(
          'InvalidRequestContent',
          `The deployment has neither 'template' nor 'templateLink.uri'.`,
          { target: 'properties.template' },
        );
      }
      const text = uri === undefined ? textOf(inline) : await linked(uri, 'properties.templateLink.uri');
      const parametersUri = optionalString(properties, 'parametersLink', 'uri');
      const parameters =
        parametersUri === undefined
          ? objectAt(properties, 'parameters')
          : parametersOf(await linked(parametersUri, 'properties.parametersLink.uri'));
      return { ...body, properties: { ...properties, $templateText: text, parameters } };
    },

    async accept(body, context) {
      const { queries: tx, existing, secrets, id, now } = context;
      if (existing !== undefined && ['Accepted', 'Running'].includes(existing.provisioningState)) {
        throw new PoolhouseError(
          'DeploymentActive',
          `Unable to edit or replace deployment '${nameOf(id)}': previous deployment from '${new Date(existing.changedAt).toISOString()}' is still active. Please see https://aka.ms/arm-deploy for usage details. Wait for it, or cancel it: az deployment group cancel.`,
        );
      }
      const { input, scope } = await read(body, context.path, context, context.secretValues);
      const plan = planDeployment(input, scope);
      await preflight(tx, plan, scope);

      const properties = objectAt(body, 'properties');
      const sealed = await secrets.hide(tx, keyOf(id), JSON.stringify(input), now);
      await tx.deleteFrom('deployment_steps').where('deployment_key', '=', keyOf(id)).execute();
      for (const [position, resource] of plan.resources.entries()) {
        await tx
          .insertInto('deployment_steps')
          .values({
            deployment_key: keyOf(id),
            resource_key: resource.key,
            resource_id: resource.id,
            position,
            status: 'pending',
            operation_id: null,
            error_json: null,
            started_at: null,
            ended_at: null,
          })
          .execute();
      }
      const { $templateText: _text, template: _template, ...kept } = properties;
      // A link may be signed: what stands behind its question mark is a secret then.
      const bareLink = (name: string): JsonObject => {
        const { queryString: _signature, ...link } = objectAt(properties, name);
        return Object.keys(link).length === 0
          ? {}
          : { [name]: { ...link, uri: withoutQuery(optionalString(link, 'uri') ?? '') } };
      };
      return {
        ...(body['tags'] === undefined ? {} : { tags: body['tags'] }),
        $input: sealed,
        properties: {
          ...kept,
          mode: scope.mode,
          ...bareLink('templateLink'),
          ...bareLink('parametersLink'),
          parameters: plan.shownParameters,
          correlationId: context.newId(),
          timestamp: new Date(now).toISOString(),
        },
      };
    },

    properties(record) {
      const { $templateText: _text, ...properties } = objectAt(record.document, 'properties');
      return Promise.resolve({
        ...properties,
        ...record.found,
        ...(record.error === undefined ? {} : { error: bodyAsJson(record.error) }),
      });
    },

    cancel: (record, { queries }) => cancel(record, queries),

    cleanUp: async (record, { queries }) => {
      await queries.deleteFrom('deployment_steps').where('deployment_key', '=', record.key).execute();
    },

    checkRemoval(record) {
      if (['Accepted', 'Running'].includes(record.provisioningState)) {
        return Promise.reject(
          new PoolhouseError(
            'DeploymentActive',
            `The deployment '${nameOf(record.id)}' is still running. Wait for it, or cancel it first: az deployment group cancel.`,
          ),
        );
      }
      return Promise.resolve();
    },

    actions: {
      async validate(record, body, context) {
        const path = pathOf(record);
        const { input, scope } = await read(body, path, context, []);
        const plan = planDeployment(input, scope);
        await preflight(context.queries, plan, scope);
        return {
          body: {
            id: record.id,
            name: nameOf(record.id),
            type,
            properties: {
              mode: scope.mode,
              provisioningState: 'Succeeded',
              parameters: plan.shownParameters,
              timestamp: new Date(context.now).toISOString(),
              validatedResources: plan.resources.map((resource) => ({ id: resource.id })),
            },
          },
        };
      },
      async cancel(record, _body, context) {
        if (!['Accepted', 'Running'].includes(record.provisioningState)) {
          throw new PoolhouseError(
            'DeploymentCannotBeCancelled',
            `The deployment '${nameOf(record.id)}' cannot be cancelled: it has ended (${record.provisioningState}).`,
          );
        }
        await cancel(record, context.queries);
        return {};
      },
      async exporttemplate(record, _body, context) {
        const sealed = record.document['$input'];
        const input = JSON.parse(
          await context.secrets.reveal(context.queries, record.key, typeof sealed === 'string' ? sealed : '{}'),
        ) as DeploymentInput;
        const scope = await scopeOf(context, pathOf(record), 'Incremental', parts.subscription);
        const { secretValues } = planDeployment(input, scope);
        // Of a nested one the deployment around has put the values in already.
        return { body: { template: redactJson(parseLenient(input.templateText).value, secretValues) } };
      },
      async operations(record, _body, context) {
        const rows = await context.queries
          .selectFrom('deployment_steps')
          .selectAll()
          .where('deployment_key', '=', record.key)
          .orderBy('position')
          .execute();
        return {
          body: {
            value: rows
              .filter((row) => row.status !== 'pending')
              .map((row): JsonObject => {
                const path = pathOfId(row.resource_id);
                const error: Json = row.error_json === null ? null : (JSON.parse(row.error_json) as Json);
                const state =
                  row.status === 'succeeded'
                    ? 'Succeeded'
                    : row.status === 'running'
                      ? 'Running'
                      : row.status === 'canceled'
                        ? 'Canceled'
                        : 'Failed';
                const operationId = Buffer.from(row.resource_key).toString('base64url').slice(-16);
                return {
                  id: `${record.id}/operations/${operationId}`,
                  operationId,
                  properties: {
                    provisioningOperation: 'Create',
                    provisioningState: state,
                    timestamp: new Date(row.ended_at ?? row.started_at ?? 0).toISOString(),
                    duration: duration((row.ended_at ?? context.now) - (row.started_at ?? context.now)),
                    statusCode: state === 'Succeeded' ? 'OK' : state === 'Running' ? 'Accepted' : 'Conflict',
                    ...(error === null ? {} : { statusMessage: { status: 'Failed', error } }),
                    targetResource: {
                      id: row.resource_id,
                      resourceType: path.type,
                      resourceName: path.names.join('/'),
                    },
                  },
                };
              }),
          },
        };
      },
    },
  };

  /** Checks every resource before any is made: what can be refused is refused while nothing has happened. */
  async function preflight(
    queries: Queries,
    { resources, secretValues }: DeploymentPlan,
    scope: DeploymentScope,
  ): Promise<void> {
    const planned = resources.flatMap(({ id, body }): PlannedBody[] => (body === undefined ? [] : [{ id, body }]));
    const details: ErrorBody[] = [];
    for (const { id, body, known } of resources) {
      try {
        await parts.check(queries, id, body, known, planned);
      } catch (thrown) {
        const error = redactError(thrown, secretValues);
        if (!(error instanceof PoolhouseError)) throw error;
        details.push({ ...error.toBody(), target: error.target ?? id });
      }
    }
    if (details.length === 0) return;
    throw new PoolhouseError(
      'InvalidTemplateDeployment',
      `The template deployment '${scope.deploymentName}' is not valid according to the validation procedure. See inner errors for details.`,
      { details },
    );
  }

  /** The text behind a link, or `InvalidContentLink` that says why there is none. */
  async function linked(uri: string, target: string): Promise<string> {
    try {
      return decode(await parts.fetch(uri));
    } catch (error) {
      if (!(error instanceof PoolhouseError)) throw error;
      throw new PoolhouseError('InvalidContentLink', `Unable to download deployment content: ${error.message}`, {
        target,
        cause: error,
      });
    }
  }

  /** The loop sees it at its next pass. */
  async function cancel(record: ResourceRecord, queries: Queries): Promise<void> {
    await queries
      .updateTable('resources')
      .set({ found_json: JSON.stringify({ ...record.found, $canceled: true }) })
      .where('key', '=', record.key)
      .execute();
  }

  async function read(
    body: JsonObject,
    path: ResourcePath,
    context: TypeContext,
    secretValues: readonly string[],
  ): Promise<{ input: DeploymentInput; scope: DeploymentScope }> {
    const properties = objectAt(body, 'properties');
    const mode = optionalChoice(properties, ['Incremental', 'Complete'], 'mode') ?? 'Incremental';
    const text = optionalString(properties, '$templateText') ?? '{}';
    return {
      input: {
        templateText: text,
        parameters: objectAt(properties, 'parameters'),
        secretValues,
        now: context.now,
        seed: context.newId(),
      },
      scope: await scopeOf(context, path, mode, parts.subscription),
    };
  }
}

/** What a template may know of the place it is deployed to. */
export async function scopeOf(
  context: Pick<TypeContext, 'queries'>,
  path: ResourcePath,
  mode: DeploymentScope['mode'],
  subscription: DeploymentScope['subscription'],
): Promise<DeploymentScope> {
  const group = await findResource(
    context.queries,
    `/subscriptions/${path.subscriptionId}/resourceGroups/${path.resourceGroup ?? ''}`,
  );
  if (group === undefined)
    throw new PoolhouseError(
      'ResourceGroupNotFound',
      `Resource group '${path.resourceGroup ?? ''}' could not be found.`,
    );
  return {
    subscription,
    resourceGroup: {
      id: group.id,
      name: nameOf(group.id),
      location: optionalString(group.document, 'location') ?? 'local',
      tags: objectAt(group.document, 'tags'),
    },
    deploymentName: path.names.at(-1) ?? '',
    mode,
  };
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder('utf-8').decode(bytes);
}

function parametersOf(text: string): JsonObject {
  const value = parseLenient(text).value;
  const parameters = dig(value, 'parameters');
  if (isObject(parameters)) return parameters;
  throw new PoolhouseError(
    'InvalidRequestContent',
    `The parameters file of the deployment has no 'parameters' object.`,
    { target: 'properties.parametersLink' },
  );
}

function withoutQuery(uri: string): string {
  return uri.split('?')[0] ?? '';
}

function pathOf(record: ResourceRecord): ResourcePath {
  return pathOfId(record.id);
}

function pathOfId(id: string): ResourcePath {
  const path = tryParseResourceId(id);
  return path ?? { subscriptionId: '', type: '', names: [] };
}

function bodyAsJson(body: ErrorBody): Json {
  return JSON.parse(JSON.stringify(body)) as Json;
}

/** ISO 8601, as ARM gives durations. */
export function duration(milliseconds: number): string {
  return `PT${(Math.max(0, milliseconds) / 1_000).toFixed(3)}S`;
}
