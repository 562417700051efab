/**
 * Control's end of the link: HTTP on a Unix socket, for the gateways of this installation only. Who may connect is the
 * socket's mode and group; what they send is parsed as any input, because a gateway speaks with strangers all day.
 *
 * Routes are a long poll: it answers as soon as the table differs from what the gateway has, and with 204 when nothing
 * happened for a while. The directory of people and the orders about sessions are others. New questions of the gateway become further rows of `endpoints`.
 */
import { chmod, chown, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { PoolhouseError, errorBodyOf, httpStatusOf } from '../core/errors.ts';
import { endedSignInsSchema, type EndedSignIn } from './ended-sign-ins.ts';
import type { OrderList } from './orders.ts';
import { keepQuestionSchema, placementQuestionSchema, selfQuestionSchema } from './people.ts';
import type {
  Directory,
  KeepAnswer,
  KeepQuestion,
  PlacementAnswer,
  PlacementQuestion,
  SelfAnswer,
  SelfQuestion,
} from './people.ts';
import { reportSchema } from './routes.ts';
import type { Report, RoutingTable } from './routes.ts';

export interface LinkServerOptions {
  /** At most 107 bytes; its folder must exist and let the gateway's user through. */
  socketPath: string;
  /** Numeric group that may connect besides ourselves; without it only our own user may. */
  socketGroup?: number;
  /** The table as it is until the first `publish`; undefined while that is not known: gateways keep the one that they have. */
  currentTable: () => RoutingTable | undefined;
  /** Who there is, until the first `publishDirectory`; undefined while that is not known: gateways wait. */
  currentDirectory: () => Directory | undefined;
  /** What gateways are to do with sessions, until the first `publishOrders`. */
  currentOrders: () => OrderList;
  onReport: (report: Report) => void | Promise<void>;
  /** Where somebody goes; it may hold the question until there is something to say. */
  place: (question: PlacementQuestion, signal: AbortSignal) => Promise<PlacementAnswer>;
  /** What somebody asks about their own account. */
  answerSelf: (question: SelfQuestion) => Promise<SelfAnswer>;
  keep: (question: KeepQuestion) => Promise<KeepAnswer>;
  /** These sign-ins have ended; the gateway takes them for kept when it resolves. */
  keepEnded: (ended: readonly EndedSignIn[]) => Promise<void>;
  /** What went wrong inside a handler. */
  onError?: (error: unknown) => void;
  /** How long a poll is held when nothing happens. */
  pollMs?: number;
  maxBodyBytes?: number;
}

export interface LinkServer {
  /** Resolves when gateways can connect. `Conflict` where another process answers there, `HostNotReady` where it cannot be. */
  listen(): Promise<void>;
  /** Hands this table to every gateway that waits for one. */
  publish(table: RoutingTable): void;
  /** The same for the directory. */
  publishDirectory(directory: Directory): void;
  /** And for the orders. */
  publishOrders(orders: OrderList): void;
  /** Ends all polls and connections, removes the socket. */
  close(): Promise<void>;
}

interface LinkRequest {
  query: URLSearchParams;
  body: unknown;
  /** Aborts when the gateway hangs up or the server closes. */
  signal: AbortSignal;
}
interface LinkReply {
  status: number;
  body?: unknown;
}
type Endpoint = (request: LinkRequest) => Promise<LinkReply>;

const revisionSchema = z.coerce.number();

export function createLinkServer(options: LinkServerOptions): LinkServer {
  const { socketPath, socketGroup, onReport, place, answerSelf, keep, keepEnded, onError = () => undefined } = options;
  const { pollMs = 25_000, maxBodyBytes = 4 * 1024 * 1024 } = options;
  const closing = new AbortController();
  const table = createPublication(options.currentTable);
  const directory = createPublication(options.currentDirectory);
  const orders = createPublication(options.currentOrders);

  /** What the gateway has not got yet, as soon as there is such a thing. */
  async function next<T extends { revision: unknown }>(
    publication: Publication<T>,
    after: T['revision'] | undefined,
    signal: AbortSignal,
  ): Promise<LinkReply> {
    // Not "greater": a control whose store is older than the gateway's memory is still the truth.
    const news = (): T | undefined => {
      const published = publication.now();
      return published === undefined || published.revision === after ? undefined : published;
    };
    const before = news();
    if (before !== undefined) return { status: 200, body: before };
    const over = new AbortController();
    const limit = sleep(pollMs, undefined, { signal: AbortSignal.any([signal, over.signal]) }).catch(() => undefined);
    await Promise.race([publication.changed(), limit]);
    over.abort();
    const since = news();
    return since === undefined ? { status: 204 } : { status: 200, body: since };
  }

  const endpoints: Record<string, Endpoint> = {
    'GET /v1/routes': ({ query, signal }) =>
      next(table, query.has('after') ? parse(revisionSchema, query.get('after')) : undefined, signal),
    'GET /v1/directory': ({ query, signal }) => next(directory, query.get('after') ?? undefined, signal),
    'GET /v1/orders': ({ query, signal }) => next(orders, query.get('after') ?? undefined, signal),
    'POST /v1/placements': async ({ body, signal }) => ({
      status: 200,
      body: await place(parse(placementQuestionSchema, body), signal),
    }),
    'POST /v1/keep': async ({ body }) => ({ status: 200, body: await keep(parse(keepQuestionSchema, body)) }),
    'POST /v1/self': async ({ body }) => ({ status: 200, body: await answerSelf(parse(selfQuestionSchema, body)) }),
    'POST /v1/ended-sign-ins': async ({ body }) => {
      await keepEnded(parse(endedSignInsSchema, body).ended);
      return { status: 204 };
    },
    'POST /v1/reports': async ({ body }) => {
      await onReport(parse(reportSchema, body));
      return { status: 204 };
    },
  };

  const server = createServer((request, response) => {
    answer(request, response)
      .catch((error: unknown): LinkReply => {
        if (!(error instanceof PoolhouseError)) onError(error);
        const body = errorBodyOf(error);
        return { status: error instanceof PoolhouseError ? httpStatusOf[error.code] : 500, body: { error: body } };
      })
      .then((reply) => {
        send(response, reply);
      })
      .catch(onError);
  });
  server.requestTimeout = 30_000;
  server.maxConnections = 4096; // everybody who waits for a place holds one

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<LinkReply> {
    const [path = '', query = ''] = (request.url ?? '').split('?', 2);
    const endpoint = endpoints[`${request.method ?? ''} ${path}`];
    if (endpoint === undefined)
      throw new PoolhouseError('NotFound', `The link has no '${request.method ?? ''} ${path}'.`);
    const gone = new AbortController();
    response.once('close', () => {
      gone.abort();
    });
    const body = request.method === 'POST' ? await readJson(request, maxBodyBytes) : undefined;
    return endpoint({
      query: new URLSearchParams(query),
      body,
      signal: AbortSignal.any([gone.signal, closing.signal]),
    });
  }

  return {
    async listen() {
      await removeStaleSocket(socketPath);
      await new Promise<void>((resolve, reject) => {
        server.once('error', (cause) => {
          reject(
            new PoolhouseError(
              'HostNotReady',
              `The socket '${socketPath}' for the gateway cannot be opened: ${cause.message}`,
              { cause },
            ),
          );
        });
        server.listen(socketPath, resolve);
      });
      if (socketGroup !== undefined) await chown(socketPath, -1, socketGroup);
      await chmod(socketPath, socketGroup === undefined ? 0o600 : 0o660);
    },
    publish: table.publish,
    publishDirectory: directory.publish,
    publishOrders: orders.publish,
    async close() {
      closing.abort();
      if (!server.listening) return;
      await new Promise<void>((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      });
    },
  };
}

/** What gateways wait for: its newest state, and word of the next. */
interface Publication<T> {
  /** Undefined before there is any. */
  now(): T | undefined;
  changed(): Promise<void>;
  publish: (next: T) => void;
}

function createPublication<T>(first: () => T | undefined): Publication<T> {
  let published: T | undefined;
  let changed: PromiseWithResolvers<void> = Promise.withResolvers();
  return {
    now: () => published ?? first(),
    changed: () => changed.promise,
    publish: (next) => {
      published = next;
      changed.resolve();
      changed = Promise.withResolvers();
    },
  };
}

function send(response: ServerResponse, { status, body }: LinkReply): void {
  if (response.destroyed) return;
  if (body === undefined) {
    response.writeHead(status).end();
    return;
  }
  const text = JSON.stringify(body);
  response
    .writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
    .end(text);
}

function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (!result.success)
    throw new PoolhouseError(
      'InvalidRequestContent',
      `The gateway sent something else: ${z.prettifyError(result.error)}`,
    );
  return result.data;
}

async function readJson(request: IncomingMessage, maxBytes: number): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes)
      throw new PoolhouseError('InvalidRequestContent', `A request may have ${String(maxBytes)} bytes.`);
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (cause) {
    throw new PoolhouseError('InvalidRequestFormat', 'The request is not JSON.', { cause });
  }
}

/** A socket that nobody answers on is left from a crash; one that answers belongs to a control that runs. */
async function removeStaleSocket(path: string): Promise<void> {
  const answered = await new Promise<boolean>((resolve) => {
    const probe = connect({ path });
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => {
      resolve(false);
    });
  });
  if (answered)
    throw new PoolhouseError(
      'Conflict',
      `Another control process answers on '${path}'. Stop it first: poolhouse down.`,
    );
  await rm(path, { force: true });
}
