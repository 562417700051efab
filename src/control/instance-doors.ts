/**
 * Each instance reaches control by one Unix socket of its own: the socket is the identity, so a request can name no
 * other instance. What comes in is parsed, bounded, and slowed down where it keeps failing.
 */
import { chmod, mkdir, rm, symlink } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Clock } from '../core/time.ts';
import { createDoorLimit, type DoorLimit } from './door-limit.ts';
import { keepRequestSchema, type KeepHere } from './keep-here.ts';
import { mountRequestSchema, type Mounts } from './mounts.ts';

export interface InstanceDoors {
  /** Serves the instance's socket and gives the folder that it is in; nil when it is served already. */
  open(instanceName: string): Promise<string>;
  /** For good: the instance is gone. */
  close(instanceName: string): Promise<void>;
  /** Until they are opened again: the folders stay, which the instances have open. */
  closeAll(): Promise<void>;
}

const largestRequest = 16 * 1024;
const requestLimit = 60_000;
const mostConnections = 16;
/** Every user of an instance may ask for it, so that it has a limit of its own: mounting is root's. */
const keepPath = '/v1/keep';

/** What is answered, and whether it counts as a failure. */
interface Answer {
  status: number;
  body: object;
  failed: boolean;
}

export function createInstanceDoors(parts: {
  /** Where each instance has a folder, which it sees as long as it lives: it stays when control or the machine starts again. */
  folder: string;
  /** A link to it that is made here: the paths of Unix sockets must be short. */
  shortcut: string;
  mounts: Mounts;
  keepHere: KeepHere;
  clock: Clock;
  log: Logger;
}): InstanceDoors {
  const { folder, shortcut, mounts, keepHere, clock, log } = parts;
  const doors = new Map<string, Server>();

  async function answer(instanceName: string, request: IncomingMessage): Promise<Answer> {
    const refuse = (status: number, code: string, message: string, mountError: number): Answer => {
      log.warn({ instance: instanceName, code }, `a request of an instance was refused: ${message}`);
      return { status, body: { error: { code, message }, mountError }, failed: true };
    };
    const isKeep = request.url === keepPath;
    if (request.method !== 'POST' || (request.url !== '/v1/mounts' && !isKeep))
      return refuse(404, 'NotFound', `there is only POST /v1/mounts and ${keepPath}`, 22);
    const text = await readBody(request).catch(() => ''); // it was cut off: then it is no request
    if (text === undefined) return refuse(413, 'RequestContentTooLarge', 'the request is too long', 22);
    if (isKeep) {
      const keep = keepRequestSchema.safeParse(asJson(text));
      if (!keep.success) return refuse(400, 'InvalidParameter', 'the request names no user and no time', 22);
      const body = await keepHere(instanceName, keep.data);
      return { status: 200, body, failed: body.outcome === 'refused' };
    }
    const asked = mountRequestSchema.safeParse(asJson(text));
    if (!asked.success) return refuse(400, 'InvalidParameter', 'the request is not a mount request', 22);
    const body = await mounts.mount(instanceName, asked.data, AbortSignal.timeout(requestLimit));
    const refused = 'error' in body;
    // Other people's accounts are none of our business: the real client may reach them.
    return { status: refused ? 403 : 200, body, failed: refused && body.error.code !== 'NotOurs' };
  }

  async function answerWithin(
    limit: DoorLimit,
    instanceName: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    if (!limit.begin()) {
      if (limit.worthTelling('waiting'))
        log.warn({ instance: instanceName }, 'an instance asks too often, or too often in vain: it has to wait');
      const error = { code: 'TooManyRequests', message: 'too many requests or refused mounts; wait a minute' };
      send(response, 429, { error, mountError: 11 });
      return;
    }
    let failed = true;
    try {
      const answered = await answer(instanceName, request);
      failed = answered.failed;
      send(response, answered.status, answered.body);
    } finally {
      limit.done(failed);
    }
  }

  function send(response: ServerResponse, status: number, body: object): void {
    response.writeHead(status, { 'content-type': 'application/json', connection: 'close' }).end(JSON.stringify(body));
  }

  const closeServer = async (name: string) => {
    const server = doors.get(name);
    doors.delete(name);
    mounts.forget(name);
    if (server === undefined) return;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve)); // which removes the socket
  };
  let linked: Promise<void> | undefined;
  const link = async () => {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await rm(shortcut, { recursive: true, force: true });
    await symlink(folder, shortcut);
  };

  return {
    async open(instanceName) {
      const own = join(folder, instanceName);
      if (doors.has(instanceName)) return own;
      linked ??= link().catch((error: unknown) => {
        linked = undefined; // a disk that is full now may have room later
        throw error;
      });
      await linked;
      // Whom the folder lets through is the engine's to say: it alone knows what the host calls the instance's root.
      await mkdir(own, { recursive: true, mode: 0o700 });
      const path = join(shortcut, instanceName, 'control.sock');
      await rm(path, { force: true });
      const limit = createDoorLimit(clock);
      const keepLimit = createDoorLimit(clock);
      // How long a connection may take to say what it wants is looked at this often.
      const server = createServer({ connectionsCheckingInterval: 2_000 }, (request, response) => {
        answerWithin(request.url === keepPath ? keepLimit : limit, instanceName, request, response).catch(
          (error: unknown) => {
            log.error({ err: error, instance: instanceName }, 'a request of an instance could not be answered');
            if (!response.headersSent)
              send(response, 500, {
                error: { code: 'InternalServerError', message: 'the control plane could not answer' },
                mountError: 5,
              });
          },
        );
      });
      server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
        limit.failed();
        if (error.code !== 'ECONNRESET' && limit.worthTelling('nonsense'))
          log.warn({ instance: instanceName, code: error.code }, 'an instance sends what is no request');
        socket.destroy();
      });
      server.maxConnections = mostConnections;
      server.headersTimeout = 10_000;
      server.requestTimeout = 20_000;
      doors.set(instanceName, server);
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject).listen(path, resolve);
      }).catch((error: unknown) => {
        doors.delete(instanceName);
        throw error;
      });
      await chmod(path, 0o666);
      return own;
    },
    async close(name) {
      await closeServer(name);
      await rm(join(folder, name), { recursive: true, force: true });
    },
    async closeAll() {
      for (const name of doors.keys()) await closeServer(name);
    },
  };
}

/** The body as text; undefined where it is too long. What is left of it is not waited for. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > largestRequest) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function asJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
