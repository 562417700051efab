/**
 * The ARM API over HTTPS: what `az` and Azure's SDKs speak. Everything about resources is asked of `ResourceService`;
 * here is only what belongs to HTTP: paths, sign-in, lenient bodies, status codes, long-running operations.
 */
import { randomUUID } from 'node:crypto';
import Fastify, {
  LogController,
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify';
import type { Logger } from 'pino';
import { errorBodyOf, httpStatusOf, PoolhouseError, type ErrorBody, type ErrorCode } from '../core/errors.ts';
import { isObject, member, textOf, type JsonObject } from '../core/json.ts';
import type { Insights } from '../providers/insights/insights.ts';
import type { IdentityService } from '../providers/identity/identity-service.ts';
import type { Operation, ResourceService, Written } from '../providers/resource-service.ts';
import type { ShareService } from '../providers/storage/share-service.ts';
import { answerIdentity } from './answer-identity.ts';
import { answerShare, isAnsweredWhenDone, isShare, listShares, untilEnded } from './answer-shares.ts';
import { asAction, classifyPath, type Asked } from './classify-path.ts';
import { filterResources } from './filter.ts';
import { conditions, decodePath, methodNotAllowed, query, readBody, requireApiVersion } from './read-request.ts';
import { registerSignIn } from './sign-in.ts';
import type { Tokens } from './tokens.ts';

export interface ArmServerParts {
  service: ResourceService;
  identity: IdentityService;
  insights: Insights;
  shares: ShareService;
  tokens: Tokens;
  tls: { key: string; cert: string };
  /** Where clients reach it: `https://127.0.0.1:PORT`. */
  url: string;
  log: Logger;
  /** Called when a request was answered. */
  onEnd?: (request: RequestEnd) => void;
}

/** A request, for those who count: nothing in it that a client could make up. */
export interface RequestEnd {
  method: string;
  /** The kind of path: what `classifyPath` calls it, `sign-in`, or `unknown`. */
  route: Asked['asked'] | 'sign-in' | 'unknown';
  status: number;
  milliseconds: number;
}

const countedMethods = new Set(['GET', 'HEAD', 'PUT', 'PATCH', 'POST', 'DELETE']);

/** A template of 4 MB, and what is around it. */
const largestBody = 8 * 2 ** 20;
/** What there is only to look at. */
const readOnly = new Set<Asked['asked']>([
  'subscriptions',
  'subscription',
  'tenants',
  'locations',
  'operation',
  'metrics',
  'activities',
]);
const everyPath = '/*';
/** Types that answer 200 to a PUT that made something new, where all others answer 201. */
const neverCreated = new Set(['microsoft.storage/storageaccounts']);

export function createArmServer(parts: ArmServerParts): FastifyInstance {
  const { service, identity, insights, shares, tokens, log } = parts;
  const logger: FastifyBaseLogger = log; // so that the server's type does not become one of pino's
  const app = Fastify({
    https: { key: parts.tls.key, cert: parts.tls.cert, minVersion: 'TLSv1.2' },
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: largestBody,
    requestTimeout: 120_000,
    routerOptions: { caseSensitive: false, maxParamLength: 2_000 },
    genReqId: () => randomUUID(),
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => {
    done(null, body);
  });
  app.addHook('onSend', async (request, reply) => {
    void reply
      .header('x-ms-request-id', request.id)
      .header('x-ms-correlation-request-id', request.headers['x-ms-correlation-request-id'] ?? request.id);
    return Promise.resolve();
  });
  app.addHook('onResponse', async (request, reply) => {
    const path = request.url.split('?')[0];
    log.debug(
      {
        method: request.method,
        path,
        status: reply.statusCode,
        milliseconds: Math.round(reply.elapsedTime),
        requestId: request.id,
      },
      'request',
    );
    parts.onEnd?.({
      method: countedMethods.has(request.method) ? request.method : 'other',
      route: routeOf(request),
      status: reply.statusCode,
      milliseconds: reply.elapsedTime,
    });
    return Promise.resolve();
  });
  app.setErrorHandler((error, request, reply) => {
    const known = error instanceof PoolhouseError ? error : fromFastify(error);
    if (known === undefined || known.code === 'InternalServerError')
      log.error({ err: error, requestId: request.id }, 'a request failed');
    const body = errorBodyOf(known ?? error);
    return sendError(reply, body, known);
  });
  app.setNotFoundHandler((request, reply) =>
    sendError(reply, { code: 'NotFound', message: `There is nothing at '${request.url.split('?')[0] ?? ''}'.` }),
  );
  registerSignIn(app, { tokens, url: parts.url, tenantId: service.subscription().tenantId });

  app.route({
    method: ['GET', 'HEAD', 'PUT', 'PATCH', 'POST', 'DELETE'],
    url: everyPath,
    exposeHeadRoute: false,
    handler: async (request, reply) => {
      const by = await tokens.verify(request.headers.authorization);
      const path = decodePath(request.url.split('?')[0] ?? '');
      const asked = classifyPath(path);
      if (asked === undefined) throw new PoolhouseError('NotFound', `There is nothing at '${path}'.`);
      requireApiVersion(request);
      if (asked.asked === 'identity') return answerIdentity(identity, asked, { by }, request, reply);
      return answer(asked, request, reply);
    },
  });

  async function answer(
    asked: Exclude<Asked, { asked: 'identity' }>,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<unknown> {
    const expand = query(request, '$expand');
    const isRead = request.method === 'GET' || request.method === 'HEAD';
    if (!isRead && readOnly.has(asked.asked)) throw methodNotAllowed(request.method);
    const action = request.method === 'POST' ? asAction(asked) : undefined;
    if (action !== undefined) return answerAction(action, request, reply);
    switch (asked.asked) {
      case 'subscriptions':
        return { value: [subscriptionBody(service)], count: { type: 'Total', value: 1 } };
      case 'subscription':
        requireSubscription(asked.subscriptionId);
        return subscriptionBody(service);
      case 'tenants':
        return {
          value: [
            {
              id: `/tenants/${service.subscription().tenantId}`,
              tenantId: service.subscription().tenantId,
              displayName: 'Poolhouse',
            },
          ],
        };
      case 'locations':
        requireSubscription(asked.subscriptionId);
        return {
          value: locations.map((name) => ({
            id: `/subscriptions/${asked.subscriptionId}/locations/${name}`,
            name,
            displayName: name,
            regionalDisplayName: name,
            metadata: { regionType: 'Physical', regionCategory: 'Recommended' },
          })),
        };
      case 'providers':
        requireSubscription(asked.subscriptionId);
        return providersBody(service, asked);
      case 'operation':
        requireSubscription(asked.subscriptionId);
        return answerOperation(asked.operationId, asked.result, request, reply);
      case 'metrics':
        return asked.what === 'definitions'
          ? insights.metricDefinitions(asked.of)
          : insights.metrics(asked.of, (name) => query(request, name));
      case 'nameAvailability':
        requireSubscription(asked.subscriptionId);
        if (request.method !== 'POST') throw methodNotAllowed(request.method);
        return shares.nameAvailability(textOf(member(readBody(request), 'name')));
      case 'activities':
        requireSubscription(asked.subscriptionId);
        return insights.activities(query(request, '$filter'));
      case 'resource':
        return answerResource(asked, request, reply, expand);
      case 'action':
        return answerAction(asked, request, reply);
      case 'collection': {
        if (request.method !== 'GET') throw methodNotAllowed(request.method);
        const { asked: _asked, ...scope } = asked;
        const found = await service.list(scope, expand);
        if (isShare(scope.type) && scope.parent !== undefined)
          return listShares(shares, found, scope.parent, request, (skipToken) => pageUrl(request, skipToken));
        return { value: filterResources(found, query(request, '$filter')) };
      }
    }
  }

  function requireSubscription(subscriptionId: string): void {
    if (subscriptionId.toLowerCase() !== service.subscription().subscriptionId.toLowerCase()) {
      throw new PoolhouseError('SubscriptionNotFound', `The subscription '${subscriptionId}' could not be found.`);
    }
  }

  async function answerResource(
    asked: Extract<Asked, { asked: 'resource' }>,
    request: FastifyRequest,
    reply: FastifyReply,
    expand: string | undefined,
  ): Promise<unknown> {
    const { id } = asked;
    const answered = isShare(asked.type) ? await answerShare(shares, service, id, request) : undefined;
    if (answered !== undefined) return reply.code(answered.status).send(answered.body);
    switch (request.method) {
      case 'GET':
        return service.get(id, expand);
      case 'HEAD':
        await service.get(id).then(
          () => reply.code(204),
          (error: unknown) => {
            if (!(error instanceof PoolhouseError) || httpStatusOf[error.code] !== 404) throw error;
            return reply.code(404);
          },
        );
        return reply.send();
      case 'PUT':
        return sendWritten(asked, await service.put(id, readBody(request), conditions(request)), request, reply);
      case 'PATCH':
        return sendWritten(asked, await service.patch(id, readBody(request), conditions(request)), request, reply);
      case 'DELETE': {
        const { existed, operation } = await service.remove(id);
        if (operation !== undefined && isAnsweredWhenDone(asked.type)) return sendDone(operation, {}, reply);
        if (operation !== undefined) return sendAccepted(operation, request, reply);
        // A group that is not there is an error to az; any other resource is simply gone.
        if (!existed && asked.type.toLowerCase() === 'microsoft.resources/resourcegroups') {
          throw new PoolhouseError(
            'ResourceGroupNotFound',
            `Resource group '${id.split('/').at(-1) ?? ''}' could not be found.`,
          );
        }
        return reply.code(existed ? 200 : 204).send();
      }
      default:
        throw methodNotAllowed(request.method);
    }
  }

  async function answerAction(
    asked: Extract<Asked, { asked: 'action' }>,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<unknown> {
    if (request.method !== 'POST' && request.method !== 'GET') throw methodNotAllowed(request.method);
    const [action = '', part] = asked.action.split('/');
    const outcome = await service.act(asked.id, action, request.method === 'POST' ? readBody(request) : {});
    if (outcome.operation !== undefined && isAnsweredWhenDone(asked.type))
      return sendDone(outcome.operation, outcome.body ?? {}, reply);
    if (outcome.operation !== undefined) return sendAccepted(outcome.operation, request, reply);
    if (outcome.body === undefined) return reply.code(204).send();
    if (part === undefined) return outcome.body;
    const found = Array.isArray(outcome.body['value'])
      ? outcome.body['value'].find((one) => isObject(one) && one['operationId'] === part)
      : undefined;
    if (found === undefined) throw new PoolhouseError('NotFound', `The operation '${part}' could not be found.`);
    return found;
  }

  function operationUrl(
    operation: Operation,
    kind: 'operations' | 'operationresults',
    request: FastifyRequest,
  ): string {
    const { subscriptionId } = service.subscription();
    const host = request.headers.host ?? new URL(parts.url).host;
    return `https://${host}/subscriptions/${subscriptionId}/providers/Microsoft.Resources/${kind}/${operation.id}?api-version=${encodeURIComponent(query(request, 'api-version') ?? '2021-04-01')}`;
  }

  /** This request's own address, for what comes after. */
  function pageUrl(request: FastifyRequest, skipToken: string): string {
    const host = request.headers.host ?? new URL(parts.url).host;
    const url = new URL(request.url, `https://${host}`);
    url.searchParams.set('$skipToken', skipToken);
    return url.toString();
  }

  function withOperation(reply: FastifyReply, operation: Operation, request: FastifyRequest): FastifyReply {
    return reply
      .header('azure-asyncoperation', operationUrl(operation, 'operations', request))
      .header('location', operationUrl(operation, 'operationresults', request))
      .header('retry-after', pollSeconds);
  }

  async function sendWritten(
    { id, type }: Extract<Asked, { asked: 'resource' }>,
    written: Written,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<unknown> {
    const status = written.created && !neverCreated.has(type.toLowerCase()) ? 201 : 200;
    if (written.operation === undefined) return reply.code(status).send(written.body);
    if (!isAnsweredWhenDone(type))
      return withOperation(reply, written.operation, request).code(status).send(written.body);
    const ended = await untilEnded(service, written.operation);
    if (ended.error !== undefined) return sendError(reply, ended.error);
    return reply.code(status).send(await service.get(id));
  }

  /** Of a change that clients take for done when it is answered. */
  async function sendDone(operation: Operation, body: JsonObject, reply: FastifyReply): Promise<unknown> {
    const ended = await untilEnded(service, operation);
    return ended.error === undefined ? reply.code(200).send(body) : sendError(reply, ended.error);
  }

  function sendAccepted(operation: Operation, request: FastifyRequest, reply: FastifyReply): unknown {
    return withOperation(reply, operation, request).code(202).send();
  }

  async function answerOperation(
    id: string,
    result: boolean,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<unknown> {
    const operation = await service.operation(id);
    if (operation.status === 'InProgress') void reply.header('retry-after', pollSeconds);
    if (!result) {
      return {
        id: new URL(operationUrl(operation, 'operations', request)).pathname,
        name: operation.id,
        status: operation.status === 'InProgress' ? 'Running' : operation.status,
        startTime: new Date(operation.startedAt).toISOString(),
        ...(operation.endedAt === undefined ? {} : { endTime: new Date(operation.endedAt).toISOString() }),
        ...(operation.error === undefined ? {} : { error: operation.error }),
      };
    }
    if (operation.status === 'InProgress')
      return reply
        .header('location', operationUrl(operation, 'operationresults', request))
        .code(202)
        .send();
    if (operation.error !== undefined) return sendError(reply, operation.error);
    return reply.code(200).send();
  }

  return app;
}

/** az polls by it, and waits at least this long before it looks again. */
const pollSeconds = '1';

/** Names that clients may give as `location`; all of them mean this installation. */
const locations = [
  'local',
  'eastus',
  'eastus2',
  'westus',
  'westus2',
  'westus3',
  'centralus',
  'northcentralus',
  'southcentralus',
  'northeurope',
  'westeurope',
  'uksouth',
  'francecentral',
  'germanywestcentral',
  'swedencentral',
  'switzerlandnorth',
  'southeastasia',
  'eastasia',
  'japaneast',
  'australiaeast',
  'canadacentral',
  'brazilsouth',
  'centralindia',
];

function subscriptionBody(service: ResourceService): JsonObject {
  const { subscriptionId, tenantId, displayName } = service.subscription();
  return {
    id: `/subscriptions/${subscriptionId}`,
    subscriptionId,
    tenantId,
    displayName,
    state: 'Enabled',
    subscriptionPolicies: {
      locationPlacementId: 'Public_2014-09-01',
      quotaId: 'PayAsYouGo_2014-09-01',
      spendingLimit: 'Off',
    },
    authorizationSource: 'RoleBased',
    managedByTenants: [],
  };
}

function providersBody(service: ResourceService, asked: Extract<Asked, { asked: 'providers' }>): JsonObject {
  const { subscriptionId } = service.subscription();
  const namespaces = [...new Set(service.resourceTypes().map((type) => type.namespace))];
  const describe = (namespace: string): JsonObject => ({
    id: `/subscriptions/${subscriptionId}/providers/${namespace}`,
    namespace,
    registrationState: 'Registered',
    registrationPolicy: 'RegistrationFree',
    resourceTypes: service
      .resourceTypes()
      .filter((type) => type.namespace === namespace)
      .map((type) => ({
        resourceType: type.type,
        locations,
        apiVersions: ['2023-09-01', '2021-04-01', '2019-04-01', '2017-03-30'],
      })),
  });
  const wanted = asked.namespace;
  if (wanted === undefined) return { value: namespaces.map(describe) };
  const found = namespaces.find((namespace) => namespace.toLowerCase() === wanted.toLowerCase());
  if (found === undefined)
    throw new PoolhouseError(
      'InvalidResourceNamespace',
      `The resource namespace '${wanted}' is invalid. Known here: ${namespaces.join(', ')}.`,
    );
  return describe(found);
}

function routeOf(request: FastifyRequest): RequestEnd['route'] {
  if (request.is404) return 'unknown';
  if (request.routeOptions.url !== everyPath) return 'sign-in';
  try {
    return classifyPath(decodePath(request.url.split('?')[0] ?? ''))?.asked ?? 'unknown';
  } catch {
    return 'unknown'; // a path that is not encoded as one
  }
}

/** Fastify's own refusals in our words. */
function fromFastify(error: unknown): PoolhouseError | undefined {
  const { code, statusCode } = error as { code?: unknown; statusCode?: unknown }; // what Fastify puts on its errors
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE')
    return new PoolhouseError(
      'RequestContentTooLarge',
      `The request content is larger than ${largestBody / 2 ** 20} MB.`,
      { cause: error },
    );
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500)
    return new PoolhouseError('InvalidRequestContent', `The request could not be read.`, { cause: error });
  return undefined;
}

function sendError(reply: FastifyReply, body: ErrorBody, error?: PoolhouseError): FastifyReply {
  const status = Object.hasOwn(httpStatusOf, body.code) ? httpStatusOf[body.code as ErrorCode] : 409; // stored errors may have codes of an earlier version
  if (status === 401) void reply.header('www-authenticate', 'Bearer');
  if (error?.retryable === true) void reply.header('retry-after', '1');
  return reply.code(status).type('application/json; charset=utf-8').send({ error: body });
}
