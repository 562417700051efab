/**
 * Where a process tells its health and its metrics: plain HTTP on loopback, to read only. Nothing secret is told, so
 * nobody signs in; every user of this machine may look, instances and other machines do not get here.
 *
 * A port that cannot be had must not keep a process from its work: it is asked for again until it is free.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Health } from './health.ts';

export interface MonitorParts {
  health(): Promise<Health>;
  metrics(): Promise<{ contentType: string; text: string }>;
  /** The port cannot be had; told once for each port. */
  onBusy(port: number, error: unknown): void;
  /** What went wrong inside; who asks hears only that something did. */
  onError(error: unknown): void;
  retryMs?: number;
}

export interface MonitorServer {
  /** Serves on this port of 127.0.0.1 from now on, and on no other. Nil where it does already. */
  serveOn(port: number): void;
  close(): Promise<void>;
}

/** A browser that was led here under another name must not read this for somebody else's page. */
const ownNames = new Set(['127.0.0.1', 'localhost', '[::1]']);

export function createMonitorServer(parts: MonitorParts): MonitorServer {
  const { retryMs = 1_000 } = parts;
  let current: { port: number; closed: AbortController; server?: Server } | undefined;
  let gathering: Promise<{ contentType: string; text: string }> | undefined;

  /** Who asks while an answer is being put together gets that one. */
  function metrics(): Promise<{ contentType: string; text: string }> {
    gathering ??= parts.metrics().finally(() => {
      gathering = undefined;
    });
    return gathering;
  }

  async function answer(request: IncomingMessage): Promise<{ status: number; type: string; body: string }> {
    const text = (status: number, body: string) => ({ status, type: 'text/plain; charset=utf-8', body: `${body}\n` });
    const path = request.url?.split('?')[0] ?? '';
    const host = request.headers.host?.replace(/:\d+$/, '').toLowerCase() ?? '';
    if (!ownNames.has(host)) return text(403, 'This is for programs on this machine: ask for 127.0.0.1.');
    if (path !== '/healthz' && path !== '/metrics') return text(404, 'There are only /healthz and /metrics.');
    if (request.method !== 'GET' && request.method !== 'HEAD') return text(405, 'There is only something to read.');
    if (path === '/metrics') {
      const { contentType, text: body } = await metrics();
      return { status: 200, type: contentType, body };
    }
    const health = await parts.health();
    return {
      status: health.healthy ? 200 : 503,
      type: 'application/json',
      body: `${JSON.stringify(health, null, 2)}\n`,
    };
  }

  function respond(request: IncomingMessage, response: ServerResponse): void {
    const send = ({ status, type, body }: { status: number; type: string; body: string }) => {
      response
        .writeHead(status, {
          'content-type': type,
          'content-length': Buffer.byteLength(body),
          'cache-control': 'no-store',
          'x-content-type-options': 'nosniff',
          connection: 'close',
          ...(status === 405 ? { allow: 'GET, HEAD' } : {}),
        })
        .end(request.method === 'HEAD' ? '' : body);
    };
    answer(request).then(send, (error: unknown) => {
      parts.onError(error);
      send({ status: 500, type: 'text/plain; charset=utf-8', body: 'This could not be answered; the log has more.\n' });
    });
  }

  function listen(mine: NonNullable<typeof current>, failedBefore: boolean): void {
    const server = createServer(
      {
        maxHeaderSize: 8_192,
        headersTimeout: 5_000,
        requestTimeout: 10_000,
        connectionsCheckingInterval: 1_000,
      },
      respond,
    );
    server.maxConnections = 32;
    server.timeout = 30_000;
    mine.server = server;
    server.on('error', (error) => {
      server.close();
      if (mine.closed.signal.aborted) return;
      if (!failedBefore) parts.onBusy(mine.port, error);
      // Rejects only when another port is served, or none any more.
      sleep(retryMs, undefined, { signal: mine.closed.signal }).then(
        () => {
          listen(mine, true);
        },
        () => undefined,
      );
    });
    server.listen({ host: '127.0.0.1', port: mine.port });
  }

  async function leave(): Promise<void> {
    const left = current;
    current = undefined;
    if (left === undefined) return;
    left.closed.abort();
    left.server?.closeAllConnections();
    await new Promise((resolve) => {
      if (left.server === undefined) resolve(undefined);
      else left.server.close(resolve);
    });
  }

  return {
    serveOn(port) {
      if (current?.port === port) return;
      // Answers that are under way are short: they end with their connections.
      void leave();
      current = { port, closed: new AbortController() };
      listen(current, false);
    },
    close: leave,
  };
}
