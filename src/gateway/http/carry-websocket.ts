/** Carries a WebSocket: asks the instance for it, and then joins the two ends until both are done. */
import { request as ask, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { pipeline, type Duplex } from 'node:stream';
import type { Backend } from '../../link/routes.ts';
import { headersForBrowser } from './carry-headers.ts';
import { createFrameReader } from './websocket-frames.ts';

export interface WebSocketRequest {
  backend: Backend;
  headers: readonly string[];
  mark: string;
  /** A frame has begun that is no keep-alive, from either end. */
  moved?: () => void;
  connectLimitMs?: number;
}

export type OpenedWebSocket =
  | { opened: true; socket: Socket; ended: Promise<void> }
  /** The client was answered, unless the instance said nothing. */
  | { opened: false; reason: 'refused' | 'unreachable' };

/** `early`: what the client sent behind its request. */
export function carryWebSocket(
  request: IncomingMessage,
  client: Duplex,
  early: Buffer,
  { backend, headers, mark, moved = () => undefined, connectLimitMs = 10_000 }: WebSocketRequest,
): Promise<OpenedWebSocket> {
  const { promise, resolve } = Promise.withResolvers<OpenedWebSocket>();
  const upstream = ask({
    host: backend.address,
    port: backend.port,
    // A connection of its own: it is never used for anything else.
    agent: false,
    method: 'GET',
    path: request.url,
    headers: [...headers, 'Connection', 'Upgrade', 'Upgrade', 'websocket'],
    insecureHTTPParser: false,
  });
  const late = setTimeout(() => upstream.destroy(new Error('no answer in time')), connectLimitMs);
  const give = (): void => {
    upstream.destroy();
  };
  client.once('close', give);
  upstream.once('error', () => {
    clearTimeout(late);
    resolve({ opened: false, reason: 'unreachable' });
  });
  upstream.once('upgrade', (answer, socket, behind) => {
    clearTimeout(late);
    client.off('close', give);
    client.write(
      head(answer.statusCode ?? 101, 'Switching Protocols', [
        ...headersForBrowser(answer.rawHeaders, mark),
        ...['Connection', 'Upgrade', 'Upgrade', 'websocket'],
      ]),
    );
    if (behind.length > 0) client.write(behind);
    if (early.length > 0) socket.write(early);
    const { promise: ended, resolve: end } = Promise.withResolvers<undefined>();
    // The HTTP server's own listeners, and those of both directions.
    client.setMaxListeners(20);
    const fromClient = createFrameReader(moved);
    const fromInstance = createFrameReader(moved);
    fromClient(early);
    fromInstance(behind);
    pipeline(client, socket, client, () => {
      client.destroy();
      socket.destroy();
      end(undefined);
    });
    client.on('data', fromClient);
    socket.on('data', fromInstance);
    resolve({ opened: true, socket, ended });
  });
  upstream.once('response', (answer) => {
    clearTimeout(late);
    client.write(
      head(answer.statusCode ?? 502, answer.statusMessage ?? '', [
        ...headersForBrowser(answer.rawHeaders, mark).filter((_text, at, all) => !isLength(all[at - (at % 2)])),
        ...['Connection', 'close'],
      ]),
    );
    pipeline(answer, client, () => {
      client.destroy();
      resolve({ opened: false, reason: 'refused' });
    });
  });
  upstream.end();
  return promise;
}

/** The end of the connection says where the body ends. */
const isLength = (name: string | undefined) => name?.toLowerCase() === 'content-length';

function head(status: number, message: string, headers: readonly string[]): string {
  const lines = [`HTTP/1.1 ${String(status)} ${message.replace(/[^\x20-\x7e]/g, '')}`];
  for (let at = 0; at + 1 < headers.length; at += 2) lines.push(`${headers[at] ?? ''}: ${headers[at + 1] ?? ''}`);
  return `${lines.join('\r\n')}\r\n\r\n`;
}
