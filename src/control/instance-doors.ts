/**
 * Each instance reaches control by one Unix socket of its own: the socket is the identity, so a request can name no
 * other instance. What comes in is parsed, bounded, and slowed down where it keeps failing.
 */
import { chmod, rm, mkdir } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Clock } from '../core/time.ts';
import { mountRequestSchema, type Mounts } from './mounts.ts';

export interface InstanceDoors {
  /** Serves the instance's socket and gives its path; nil when it is served already. */
  open(instanceName: string): Promise<string>;
  close(instanceName: string): Promise<void>;
  closeAll(): Promise<void>;
}

const largestRequest = 16 * 1024;
const requestLimit = 60_000;
/** After this many refusals within a minute an instance has to wait. */
const refusalsPerMinute = 20;

export function createInstanceDoors(parts: {
  folder: string;
  mounts: Mounts;
  clock: Clock;
  log: Logger;
}): InstanceDoors {
  const { folder, mounts, clock, log } = parts;
  const doors = new Map<string, { server: Server; path: string }>();
  const refusals = new Map<string, number[]>();

  async function answer(instanceName: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const recent = (refusals.get(instanceName) ?? []).filter((at) => clock.now() - at < 60_000);
    if (recent.length >= refusalsPerMinute) {
      send(response, 429, {
        error: { code: 'TooManyRequests', message: 'too many refused mounts; wait a minute' },
        mountError: 11,
      });
      return;
    }
    if (request.method !== 'POST' || request.url !== '/v1/mounts') {
      send(response, 404, { error: { code: 'NotFound', message: 'there is only POST /v1/mounts' }, mountError: 22 });
      return;
    }
    const body = await readBody(request);
    const asked = mountRequestSchema.safeParse(body);
    if (!asked.success) {
      send(response, 400, {
        error: { code: 'InvalidParameter', message: 'the request is not a mount request' },
        mountError: 22,
      });
      return;
    }
    const result = await mounts.mount(instanceName, asked.data, AbortSignal.timeout(requestLimit));
    if ('error' in result && result.error.code !== 'NotOurs') refusals.set(instanceName, [...recent, clock.now()]);
    send(response, 'error' in result ? 403 : 200, result);
  }

  function send(response: ServerResponse, status: number, body: object): void {
    response.writeHead(status, { 'content-type': 'application/json', connection: 'close' }).end(JSON.stringify(body));
  }

  const closeOne = async (name: string) => {
    const door = doors.get(name);
    doors.delete(name);
    refusals.delete(name);
    if (door === undefined) return;
    door.server.closeAllConnections();
    await new Promise((resolve) => door.server.close(resolve));
    await rm(door.path, { force: true });
  };

  return {
    async open(instanceName) {
      const path = join(folder, `${instanceName}.sock`);
      if (doors.has(instanceName)) return path;
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await rm(path, { force: true });
      const server = createServer((request, response) => {
        answer(instanceName, request, response).catch((error: unknown) => {
          log.error({ err: error, instance: instanceName }, 'a request of an instance could not be answered');
          if (!response.headersSent)
            send(response, 500, {
              error: { code: 'InternalServerError', message: 'the control plane could not answer' },
              mountError: 5,
            });
        });
      });
      server.maxConnections = 16;
      server.headersTimeout = 10_000;
      server.requestTimeout = 20_000;
      doors.set(instanceName, { server, path });
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject).listen(path, resolve);
      });
      await chmod(path, 0o600);
      return path;
    },
    close: closeOne,
    async closeAll() {
      for (const name of doors.keys()) await closeOne(name);
    },
  };
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > largestRequest) return undefined;
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    return undefined;
  }
}
