/**
 * Control's own local interface for the command line: HTTP on a Unix socket that only its owner can open. What changes a
 * resource goes through the ARM API instead.
 */
import { chmod, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { z } from 'zod';
import { logLevels, type LogLevel } from '../core/log-levels.ts';
import { errorBodyOf, httpStatusOf, PoolhouseError, type ErrorCode } from '../core/errors.ts';
import type { SessionDesk } from './session-desk.ts';
import type { ShareDesk } from './share-desk.ts';

export interface AdminServerParts {
  socketPath: string;
  status(): Promise<object>;
  /** The newest lines of an instance's journal, of this level and graver. */
  journal(instance: string, lines: number, level: LogLevel, signal: AbortSignal): Promise<string>;
  sessions: SessionDesk;
  shares: ShareDesk;
  /** An operator drains an instance, or ends that. */
  drain(request: unknown): Promise<object>;
  /** What pools have cost; `query` as the command line asks. */
  costs(query: Record<string, string>): Promise<object>;
  /** Why an instance is up, what would stop it, and what was done with it; also of one that is gone. */
  why(instance: string): Promise<object>;
  /** What a dry run wants to know of a pool, by NAME or GROUP/NAME. */
  poolHistory(pool: string): Promise<object>;
  /** Public host keys, as lines of OpenSSH's. */
  hostKeys(): readonly string[];
  /** What the command line and az sign in with. */
  clientSecret(): Promise<string>;
  /** Seals every secret with this key; it is kept at `path`, or where control cannot write. */
  changeMasterKey(key: Buffer, path: string | undefined): Promise<void>;
  onError(error: unknown): void;
}

const mostBody = 8_192;
const masterKeyRequest = z.object({ key: z.base64().length(44), path: z.string().optional() });

export async function startAdminServer(parts: AdminServerParts): Promise<{ close(): Promise<void> }> {
  const server: Server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://admin');
    const gone = new AbortController();
    response.on('close', () => {
      gone.abort();
    });
    (request.method === 'POST' ? change(parts, url, request, gone.signal) : answer(parts, url, gone.signal)).then(
      ({ type, body }) => response.writeHead(200, { 'content-type': type }).end(body),
      (error: unknown) => {
        if (!(error instanceof PoolhouseError)) parts.onError(error);
        const body = errorBodyOf(error);
        response
          .writeHead(httpStatusOf[body.code as ErrorCode], { 'content-type': 'application/json' })
          .end(JSON.stringify({ error: body }));
      },
    );
  });
  await rm(parts.socketPath, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(parts.socketPath, resolve);
  });
  await chmod(parts.socketPath, 0o600);
  return {
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function change(
  parts: AdminServerParts,
  url: URL,
  request: IncomingMessage,
  signal: AbortSignal,
): Promise<{ type: string; body: string }> {
  const json = (body: object) => ({ type: 'application/json', body: JSON.stringify(body) });
  if (url.pathname === '/v1/client-secret') return json({ clientSecret: await parts.clientSecret() });
  if (url.pathname === '/v1/master-key') {
    const asked = masterKeyRequest.parse(JSON.parse(await bodyOf(request)));
    await parts.changeMasterKey(Buffer.from(asked.key, 'base64'), asked.path);
    return json({});
  }
  if (url.pathname === '/v1/sessions')
    return json({ sessions: await parts.sessions.order(JSON.parse(await bodyOf(request))) });
  if (url.pathname === '/v1/shares') return json(await parts.shares.order(JSON.parse(await bodyOf(request)), signal));
  if (url.pathname === '/v1/drains') return json(await parts.drain(JSON.parse(await bodyOf(request))));
  throw new PoolhouseError('NotFound', `There is nothing at ${url.pathname}.`);
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) {
    text += String(chunk);
    if (text.length > mostBody) throw new PoolhouseError('RequestContentTooLarge', 'The request is too long.');
  }
  return text;
}

async function answer(parts: AdminServerParts, url: URL, signal: AbortSignal): Promise<{ type: string; body: string }> {
  const json = (body: object) => ({ type: 'application/json', body: JSON.stringify(body) });
  if (url.pathname === '/v1/host-keys') return json({ hostKeys: parts.hostKeys() });
  if (url.pathname === '/v1/status') return json(await parts.status());
  if (url.pathname === '/v1/sessions')
    return json({ sessions: await parts.sessions.list(Object.fromEntries(url.searchParams)) });
  if (url.pathname === '/v1/costs') return json(await parts.costs(Object.fromEntries(url.searchParams)));
  if (url.pathname === '/v1/shares') return json({ shares: await parts.shares.list(signal) });
  const share = /^\/v1\/shares\/([^/]+\/[^/]+)$/.exec(url.pathname);
  if (share !== null) return json(await parts.shares.show(share[1] ?? '', signal));
  const why = /^\/v1\/instances\/([^/]+)\/why$/.exec(url.pathname);
  if (why !== null) return json(await parts.why(decodeURIComponent(why[1] ?? '')));
  if (url.pathname === '/v1/pool-history') return json(await parts.poolHistory(url.searchParams.get('pool') ?? ''));
  const journal = /^\/v1\/instances\/([^/]+)\/journal$/.exec(url.pathname);
  if (journal !== null) {
    const level = logLevels.find((one) => one === url.searchParams.get('level')) ?? 'trace';
    const lines = Math.min(10_000, Math.max(1, Number(url.searchParams.get('lines') ?? '200') || 200));
    return {
      type: 'text/plain; charset=utf-8',
      body: await parts.journal(decodeURIComponent(journal[1] ?? ''), lines, level, signal),
    };
  }
  throw new PoolhouseError('NotFound', `There is nothing at ${url.pathname}.`);
}
