/**
 * Control's own local interface for the command line: HTTP on a Unix socket that only its owner can open. What changes a
 * resource goes through the ARM API instead.
 */
import { chmod, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { logLevels, type LogLevel } from '../core/log-levels.ts';
import { errorBodyOf, httpStatusOf, PoolhouseError, type ErrorCode } from '../core/errors.ts';
import { packedShareSchema } from '../files/packed-shares.ts';
import type { SessionDesk } from './session-desk.ts';
import type { ShareDesk } from './share-desk.ts';
import type { ShareBackup } from './share-backup.ts';

export interface AdminServerParts {
  socketPath: string;
  status(): Promise<object>;
  /** The newest lines of an instance's journal, of this level and graver. */
  journal(instance: string, lines: number, level: LogLevel, signal: AbortSignal): Promise<string>;
  sessions: SessionDesk;
  shares: ShareDesk;
  /** An operator drains an instance, or ends that. */
  drain(request: unknown): Promise<object>;
  /** An operator takes a share away from an instance. */
  giveUpMount(request: unknown): Promise<object>;
  /** What pools have cost; `query` as the command line asks. */
  costs(query: Record<string, string>): Promise<object>;
  /** Why an instance is up, what would stop it, and what was done with it; also of one that is gone. */
  why(instance: string): Promise<object>;
  /** What a dry run wants to know of a pool, by NAME or GROUP/NAME. */
  poolHistory(pool: string): Promise<object>;
  /** What somebody's folders hold; `query` names a user or a group. */
  workspaces(query: Record<string, string>, signal: AbortSignal): Promise<object[]>;
  /** Public host keys, as lines of OpenSSH's. */
  hostKeys(): readonly string[];
  /** What the command line and az sign in with. */
  clientSecret(): Promise<string>;
  /** Seals every secret with this key; it is kept at `path`, or where control cannot write. */
  changeMasterKey(key: Buffer, path: string | undefined): Promise<void>;
  shareBackup: ShareBackup;
  onError(error: unknown): void;
}

interface Answer {
  type: string;
  body: string | AsyncIterable<Buffer>;
}

const mostBody = 8_192;
/** The list of a share's folders with rooms of their own. */
const mostOfShare = 64 * 2 ** 20;
const fillRequest = z.object({ account: z.string(), share: z.string() });
const masterKeyRequest = z.object({ key: z.base64().length(44), path: z.string().optional() });

export async function startAdminServer(parts: AdminServerParts): Promise<{ close(): Promise<void> }> {
  // No limit to a request: what a share holds takes as long as it takes.
  const server: Server = createServer({ requestTimeout: 0 }, (request, response) => {
    const url = new URL(request.url ?? '/', 'http://admin');
    const gone = new AbortController();
    response.on('close', () => {
      gone.abort();
    });
    (request.method === 'POST' ? change(parts, url, request, gone.signal) : answer(parts, url, gone.signal)).then(
      ({ type, body }) => {
        response.writeHead(200, { 'content-type': type });
        if (typeof body === 'string') response.end(body);
        // Who stops reading ends what gives it; a stream that fails breaks off, and its reader knows.
        else void pipeline(Readable.from(body), response).catch(() => undefined);
      },
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
): Promise<Answer> {
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
  if (url.pathname === '/v1/unmounts') return json(await parts.giveUpMount(JSON.parse(await bodyOf(request))));
  if (url.pathname === '/v1/share-backup') {
    // Whoever asks is told at once which shares there are, and ends the request when they begin to read what those hold.
    const begins = new Promise<void>((resolve) => request.resume().once('close', resolve));
    return { type: 'application/x-tar', body: await parts.shareBackup.open(signal, begins) };
  }
  if (url.pathname === '/v1/share-restore/prepare' || url.pathname === '/v1/share-restore/finish') {
    const share = packedShareSchema.parse(JSON.parse(await bodyOf(request, mostOfShare)));
    if (url.pathname.endsWith('/prepare')) await parts.shareBackup.prepare(share, signal);
    else await parts.shareBackup.finish(share, signal);
    return json({});
  }
  if (url.pathname === '/v1/share-restore/fill') {
    const asked = fillRequest.parse(Object.fromEntries(url.searchParams));
    return json(await parts.shareBackup.fill(asked, request, signal));
  }
  throw new PoolhouseError('NotFound', `There is nothing at ${url.pathname}.`);
}

async function bodyOf(request: IncomingMessage, most = mostBody): Promise<string> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) {
    text += String(chunk);
    if (text.length > most) throw new PoolhouseError('RequestContentTooLarge', 'The request is too long.');
  }
  return text;
}

async function answer(parts: AdminServerParts, url: URL, signal: AbortSignal): Promise<Answer> {
  const json = (body: object) => ({ type: 'application/json', body: JSON.stringify(body) });
  if (url.pathname === '/v1/host-keys') return json({ hostKeys: parts.hostKeys() });
  if (url.pathname === '/v1/status') return json(await parts.status());
  if (url.pathname === '/v1/sessions')
    return json({ sessions: await parts.sessions.list(Object.fromEntries(url.searchParams)) });
  if (url.pathname === '/v1/costs') return json(await parts.costs(Object.fromEntries(url.searchParams)));
  if (url.pathname === '/v1/shares') return json({ shares: await parts.shares.list(signal) });
  const share = /^\/v1\/shares\/([^/]+\/[^/]+)$/.exec(url.pathname);
  if (share !== null) return json(await parts.shares.show(share[1] ?? '', signal));
  if (url.pathname === '/v1/workspaces')
    return json({ workspaces: await parts.workspaces(Object.fromEntries(url.searchParams), signal) });
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
