/** Azure Files' REST interface over HTTPS. Here is only what belongs to HTTP: limits, headers, bodies, errors as XML. */
import { createServer, type Server } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Logger } from 'pino';
import type { Clock } from '../../core/time.ts';
import { answerRest } from './answer-rest.ts';
import { readTarget } from './read-target.ts';
import { asRestError, type RestError } from './rest-error.ts';
import type { RestAnswer, RestParts } from './rest-parts.ts';
import { element, textElement, xmlDocument } from './xml.ts';

export interface RestServerParts extends RestParts {
  tls: { key: string; cert: string };
  /** Where clients reach it: `https://127.0.0.1:PORT/ACCOUNT/`. */
  endpointOf(account: string): string;
  clock: Pick<Clock, 'now'>;
  log: Logger;
}

const version = '2021-06-08';
const mostConnections = 64;
const largestHeaders = 32 * 1024;
/** How long a client may take to send a request, and how long it may take nothing of the answer. */
const requestLimit = 300_000;
const silenceLimit = 120_000;
/** What is left of a body that nobody wants. */
const largestRest = 8 * 2 ** 20;

/** Not listening yet. */
export function createRestServer(parts: RestServerParts): Server {
  const { log, clock } = parts;
  const server = createServer(
    {
      ...{ ...parts.tls, minVersion: 'TLSv1.2' },
      ...{
        maxHeaderSize: largestHeaders,
        requestTimeout: requestLimit,
        headersTimeout: 20_000,
        keepAliveTimeout: 20_000,
      },
    },
    (incoming, response) => {
      const id = parts.newId();
      const began = clock.now();
      answer(incoming, response, id)
        .catch((error: unknown) => {
          // The client has left, or what it was being sent broke off: it sees that by the length.
          response.destroy();
          log.debug({ err: error, requestId: id }, 'a request for files was not answered to its end');
        })
        .finally(() => {
          const path = incoming.url?.split('?')[0]; // a signature may follow
          log.debug({ method: incoming.method, path, status: response.statusCode, milliseconds: clock.now() - began, requestId: id }, 'request for files'); // prettier-ignore
        });
    },
  );
  server.maxConnections = mostConnections;
  server.setTimeout(silenceLimit);
  server.on('clientError', (_error, socket) => {
    socket.destroy();
  });

  async function answer(incoming: IncomingMessage, response: ServerResponse, id: string): Promise<void> {
    const left = new AbortController();
    response.once('close', () => {
      left.abort(new Error('the client has left'));
    });
    // Of a copy nothing is heard until it is done. The next request on this connection has its limit again.
    if (incoming.method === 'PUT' && incoming.headers['x-ms-copy-source'] !== undefined) incoming.socket.setTimeout(0);
    const sent = await answered(incoming, left.signal).catch((error: unknown) => {
      left.signal.throwIfAborted();
      const failure = asRestError(error);
      if (failure.code === 'InternalError')
        log.error({ err: failure.cause ?? failure, requestId: id }, 'a request for files failed');
      return errorAnswer(failure, id, clock.now());
    });
    const { status, body, headers = {} } = sent;
    const asked = incoming.headers['x-ms-client-request-id'];
    response.writeHead(status, {
      'x-ms-request-id': id,
      'x-ms-version': askedVersion(incoming),
      ...(typeof asked === 'string' && asked.length <= 1_024 ? { 'x-ms-client-request-id': asked } : {}),
      ...(typeof body === 'string' ? { 'content-type': 'application/xml' } : {}),
      ...(typeof body === 'string' ? { 'content-length': Buffer.byteLength(body) } : {}),
      ...(body === undefined ? { 'content-length': 0 } : {}),
      ...headers,
      ...(isUnread(incoming) ? { connection: 'close' } : {}),
    });
    const isHead = incoming.method === 'HEAD';
    if (body instanceof Readable && !isHead) await pipeline(body, response);
    else {
      if (body instanceof Readable) body.destroy();
      response.end(isHead || body instanceof Readable ? undefined : body);
    }
    takeRest(incoming);
  }

  async function answered(incoming: IncomingMessage, signal: AbortSignal): Promise<RestAnswer> {
    const target = readTarget(incoming.url ?? '', incoming.headers.host);
    return answerRest(
      {
        ...{
          method: incoming.method ?? '',
          target,
          headers: incoming.headers,
          endpoint: parts.endpointOf(target.account),
        },
        ...{ remoteAddress: incoming.socket.remoteAddress ?? '', body: incoming, now: clock.now(), signal },
      },
      parts,
    );
  }

  return server;
}

function errorAnswer({ code, status, message }: RestError, id: string, now: number): RestAnswer {
  const words = `${message}\nRequestId:${id}\nTime:${new Date(now).toISOString()}`;
  return {
    status,
    headers: { 'x-ms-error-code': code, ...(status === 503 ? { 'retry-after': 1 } : {}) },
    body: xmlDocument(element('Error', [textElement('Code', code), textElement('Message', words)])),
  };
}

function askedVersion(incoming: IncomingMessage): string {
  const asked = incoming.headers['x-ms-version'];
  return typeof asked === 'string' && /^\d{4}-\d{2}-\d{2}$/.test(asked) ? asked : version;
}

const isUnread = (incoming: IncomingMessage) => !incoming.complete && !incoming.readableEnded;

/** A client that still sends would lose the answer when its connection ended at once. */
function takeRest(incoming: IncomingMessage): void {
  if (!isUnread(incoming)) return;
  let left = largestRest;
  incoming.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) incoming.destroy();
  });
  incoming.on('error', () => undefined);
}
