/** What a request of the ARM API says beside its path: query, version, body, conditions. Lenient where Azure is. */
import type { FastifyRequest } from 'fastify';
import { PoolhouseError } from '../core/errors.ts';
import { isObject, member, without, type JsonObject } from '../core/json.ts';
import type { WriteConditions } from '../providers/resource-service.ts';
import { parseLenient } from '../template/parse-lenient.ts';

export function query(request: FastifyRequest, name: string): string | undefined {
  const values = request.query;
  if (typeof values !== 'object' || values === null) return undefined;
  for (const [key, value] of Object.entries(values))
    if (key.toLowerCase() === name && typeof value === 'string') return value;
  return undefined;
}

export function requireApiVersion(request: FastifyRequest): void {
  const version = query(request, 'api-version');
  if (version === undefined)
    throw new PoolhouseError(
      'MissingApiVersionParameter',
      `The api-version query parameter (?api-version=) is required for all requests.`,
    );
  if (!/^\d{4}-\d{2}-\d{2}(-[a-z0-9.]+)?$/i.test(version))
    throw new PoolhouseError(
      'InvalidApiVersionParameter',
      `The api-version '${version.slice(0, 40)}' is invalid. Expected a date such as '2021-04-01'.`,
    );
}

/** Paths arrive encoded; a slash that was encoded stays part of its name and is refused there. */
export function decodePath(path: string): string {
  try {
    return path
      .split('/')
      .map((part) => decodeURIComponent(part).replaceAll('/', '%2F'))
      .join('/');
  } catch (error) {
    throw new PoolhouseError('InvalidRequestContent', `The path of the request is not encoded as a URL should be.`, {
      cause: error,
    });
  }
}

export function readBody(request: FastifyRequest): JsonObject {
  const text = typeof request.body === 'string' ? request.body : '';
  if (text.trim() === '') return {};
  const located = parseLenient(text);
  const { value } = located;
  if (!isObject(value))
    throw new PoolhouseError('InvalidRequestContent', `The request content was invalid: a JSON object is expected.`);
  // A template stays the text that it was, so that errors name its own lines and columns.
  const properties = member(value, 'properties');
  const template = located.textAt(['properties', 'template']);
  if (!isObject(properties) || template === undefined || !isObject(member(properties, 'template'))) return value;
  return { ...without(value, 'properties'), properties: { ...without(properties, 'template'), template } };
}

export function conditions(request: FastifyRequest): WriteConditions {
  const ifMatch = request.headers['if-match'];
  return {
    ...(ifMatch === undefined ? {} : { ifMatch }),
    ...(request.headers['if-none-match'] === '*' ? { mustNotExist: true } : {}),
  };
}

export function methodNotAllowed(method: string): PoolhouseError {
  return new PoolhouseError('MethodNotAllowed', `The method '${method}' is not possible here.`);
}
