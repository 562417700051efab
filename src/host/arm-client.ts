/** The ARM API as the command line uses it: the same requests that az sends, with the installation's own sign-in. */
import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { PoolhouseError, httpStatusOf, type ErrorBody, type ErrorCode } from '../core/errors.ts';
import type { Home } from '../core/home.ts';
import { readClientSecret } from './client-secret.ts';
import type { Installation } from '../core/installation.ts';
import { dig, isObject, type Json, type JsonObject } from '../core/json.ts';

export interface ArmAnswer {
  status: number;
  body: JsonObject;
  operationUrl: string | undefined;
}

export interface ArmClient {
  readonly subscriptionId: string;
  /** `body` as text is sent as it is. Errors of the API become `PoolhouseError`s. */
  send(
    method: string,
    path: string,
    body?: JsonObject | string,
    headers?: Readonly<Record<string, string>>,
  ): Promise<ArmAnswer>;
}

const version = '2021-04-01';
const limitMs = 120_000;

export async function createArmClient(home: Home, installation: Installation, signal: AbortSignal): Promise<ArmClient> {
  const ca = await readFile(join(home.certificates, 'ca.pem'), 'utf8').catch(() => undefined);
  if (ca === undefined) throw new PoolhouseError('HostNotReady', `Control has not run yet. 'poolhouse up' starts it.`);
  const secret = await readClientSecret(home, installation);

  function call(
    method: string,
    path: string,
    headers: Record<string, string>,
    body?: string,
  ): Promise<{ status: number; text: string; operationUrl: string | undefined }> {
    return new Promise((resolve, reject) => {
      const outgoing = request(
        {
          host: '127.0.0.1',
          port: installation.apiPort,
          path,
          method,
          headers,
          ca,
          signal: AbortSignal.any([signal, AbortSignal.timeout(limitMs)]),
        },
        (incoming) => {
          let text = '';
          incoming.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
          incoming.on('error', reject);
          incoming.on('end', () => {
            const url = incoming.headers['azure-asyncoperation'];
            resolve({
              status: incoming.statusCode ?? 0,
              text,
              operationUrl: typeof url === 'string' ? url : undefined,
            });
          });
        },
      );
      outgoing.on('error', (error) => {
        reject(
          signal.aborted
            ? (signal.reason as Error)
            : new PoolhouseError(
                'HostNotReady',
                `Control does not answer. 'poolhouse up' starts it; 'poolhouse logs control' tells what happened.`,
                { cause: error, retryable: true },
              ),
        );
      });
      outgoing.end(body);
    });
  }

  const form = new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: installation.clientId,
    client_secret: secret,
  }).toString();
  const signedIn = await call(
    'POST',
    '/adfs/oauth2/token',
    { 'content-type': 'application/x-www-form-urlencoded' },
    form,
  );
  const token = dig(parse(signedIn.text), 'access_token');
  if (typeof token !== 'string')
    throw new PoolhouseError(
      'AuthenticationFailed',
      `Control refused this installation's own sign-in. Start it anew: poolhouse down; poolhouse up`,
    );

  return {
    subscriptionId: installation.subscriptionId,
    async send(method, path, body, headers = {}) {
      const url = path.includes('api-version=')
        ? path
        : `${path}${path.includes('?') ? '&' : '?'}api-version=${version}`;
      const text = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
      const answer = await call(
        method,
        url,
        {
          ...headers,
          authorization: `Bearer ${token}`,
          ...(text === undefined ? {} : { 'content-type': 'application/json' }),
        },
        text,
      );
      const parsed = parse(answer.text);
      if (answer.status >= 400) throw errorOf(parsed, answer.status);
      return { status: answer.status, body: isObject(parsed) ? parsed : {}, operationUrl: answer.operationUrl };
    },
  };
}

function parse(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return null;
  }
}

/** An error of the API as one of ours. */
export function errorOf(body: Json, status = 409): PoolhouseError {
  const error = dig(body, 'error');
  if (!isObject(error))
    return new PoolhouseError(
      'InternalServerError',
      `Control answered with status ${status}. 'poolhouse logs control' tells more.`,
    );
  const { code, message, details, target } = error as unknown as ErrorBody; // our own API's shape
  return new PoolhouseError(Object.hasOwn(httpStatusOf, code) ? (code as ErrorCode) : 'DeploymentFailed', message, {
    ...(details === undefined ? {} : { details }),
    ...(target === undefined ? {} : { target }),
  });
}
