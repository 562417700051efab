/** Carries one request to an instance, and the answer back: streams both ways, at the pace of the slower side. */
import { request as ask, type Agent, type ClientRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { pipeline } from 'node:stream';
import type { Backend } from '../../link/routes.ts';
import { headersForBrowser } from './carry-headers.ts';

export interface ForwardRequest {
  backend: Backend;
  agent: Agent;
  /** As `headersForInstance` makes them: without what says how long the body is. */
  headers: readonly string[];
  /** Of the person, for cookies. */
  mark: string;
  /** The client waits with its body until it is told to go on. */
  expectsContinue: boolean;
  connectLimitMs?: number;
}

/** `unreachable`: the instance took nothing, and another may. The answer is the caller's then. */
export type Forwarded = 'answered' | 'unreachable' | 'broken';

const mostHead = 64 * 1024;

export function forward(
  request: IncomingMessage,
  response: ServerResponse,
  { backend, agent, headers, mark, expectsContinue, connectLimitMs = 5_000 }: ForwardRequest,
): Promise<Forwarded> {
  const length = request.headers['content-length'];
  const isChunked = request.headers['transfer-encoding'] !== undefined;
  const hasBody = isChunked || (length !== undefined && Number(length) > 0);
  const framing = isChunked
    ? ['Transfer-Encoding', 'chunked']
    : length !== undefined || !['GET', 'HEAD', 'OPTIONS', 'DELETE'].includes(request.method ?? '')
      ? ['Content-Length', length ?? '0']
      : [];
  const { promise, resolve } = Promise.withResolvers<Forwarded>();

  function attempt(isSecond: boolean): void {
    let isConnected = false;
    let isAnswered = false;
    const upstream: ClientRequest = ask({
      host: backend.address,
      port: backend.port,
      agent,
      method: request.method,
      path: request.url,
      headers: [...headers, ...framing],
      maxHeaderSize: mostHead,
      insecureHTTPParser: false,
    });
    const late = setTimeout(() => {
      if (!isConnected) upstream.destroy(new Error('no connection in time'));
    }, connectLimitMs);
    let answer: IncomingMessage | undefined;
    const give = (): void => {
      // One that has given its whole answer is kept for the next request.
      if (answer?.complete !== true) upstream.destroy();
    };
    response.once('close', give);
    const done = (outcome: Forwarded): void => {
      clearTimeout(late);
      response.off('close', give);
      resolve(outcome);
    };
    const connected = (): void => {
      isConnected = true;
      clearTimeout(late);
      if (!hasBody) {
        upstream.end();
        return;
      }
      if (expectsContinue) response.writeContinue();
      // An instance that answers before it has read all hears no more, and its answer comes through all the same.
      pipeline(request, upstream, () => undefined);
    };
    upstream.once('socket', (socket) => {
      if (!socket.connecting) connected();
      else socket.once('connect', connected);
    });
    upstream.once('error', () => {
      if (isAnswered) return;
      clearTimeout(late);
      response.off('close', give);
      if (response.destroyed) done('broken');
      // An idle connection that the instance closed just then: nothing was sent twice that changes anything.
      else if (upstream.reusedSocket && !hasBody && ['GET', 'HEAD'].includes(request.method ?? '') && !isSecond)
        attempt(true);
      else done(isConnected ? 'broken' : 'unreachable');
    });
    upstream.once('response', (incoming) => {
      isAnswered = true;
      answer = incoming;
      response.writeHead(incoming.statusCode ?? 502, headersForBrowser(incoming.rawHeaders, mark));
      // Also where the body comes later (events of a server that has nothing to say yet); with the body where that is here.
      setImmediate(() => {
        if (!response.destroyed) response.flushHeaders();
      });
      // Not `pipeline`, which makes an exception for each and throws it away: 4 % of what a request costs.
      incoming.pipe(response);
      incoming.on('error', () => undefined); // it closes without being complete then
      incoming.once('close', () => {
        if (!incoming.complete) response.destroy(); // what was cut short must not look whole
      });
      response.once('close', () => {
        done('answered');
      });
    });
    // Not asked for: nothing of it is to be believed.
    upstream.once('upgrade', (_answer, socket) => {
      isAnswered = true;
      socket.destroy();
      done('broken');
    });
  }

  attempt(false);
  return promise;
}
