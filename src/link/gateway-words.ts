/**
 * What a gateway process says on its own socket, to others of its installation and to the command line: one question a
 * connection, JSON both ways. It needs no control, for gateways replace each other while that is away too.
 */
import { createServer, connect, type Server, type Socket } from 'node:net';
import { z } from 'zod';
import { endedSignInSchema } from './ended-sign-ins.ts';

/** `leaving`: it takes no new connections and carries those it has to their end. `ended`: its last word. */
export const gatewayPhases = ['serving', 'leaving', 'ended'] as const;

export const gatewayQuestionSchema = z.discriminatedUnion('ask', [
  z.object({ ask: z.literal('state') }),
  /** Where somebody is, and how many people there are where. */
  z.object({ ask: z.literal('places'), pool: z.string(), user: z.string() }),
  /** Its metrics, as `prom-client` gives them as JSON. */
  z.object({ ask: z.literal('metrics') }),
  /** To know of this one, as control will say when it is there; answered with nothing. */
  z.object({ ask: z.literal('ended sign-in'), ended: endedSignInSchema }),
]);

export const gatewayStateSchema = z.object({
  serial: z.int(),
  pid: z.int(),
  phase: z.enum(gatewayPhases),
  /** Ports that it listens on. */
  ports: z.array(z.int()),
  /** It knows of each instance whether it is healthy. */
  knowsHealth: z.boolean(),
  /** Connections that it has. */
  connections: z.int(),
});

export const placesSchema = z.object({
  /** Where they have a session, or were sent last; absent where it knows nothing of them. */
  session: z.string().optional(),
  sentTo: z.string().optional(),
  /** By instance: people who have a session there. */
  users: z.record(z.string(), z.int()),
});

export type GatewayPhase = (typeof gatewayPhases)[number];
export type GatewayQuestion = z.infer<typeof gatewayQuestionSchema>;
export type GatewayState = z.infer<typeof gatewayStateSchema>;
export type Places = z.infer<typeof placesSchema>;

/** One that carries as much as it can answers late. */
const answerLimitMs = 3_000;
const longestQuestion = 16_384;
/** Metrics of thousands of front ends. */
const longestAnswer = 16 * 2 ** 20;

/** The name of a gateway's socket in the gateways' folder. */
export const gatewaySocketName = (serial: number): string => `${String(serial)}.sock`;
/** The serials of the sockets among these files. */
export function gatewaySerials(files: readonly string[]): number[] {
  return files.flatMap((name) => {
    const found = /^(\d+)\.sock$/.exec(name);
    return found === null ? [] : [Number(found[1])];
  });
}

/** Asks one gateway; rejects when none answers there in time, or with something else. */
export async function askGateway<T>(socketPath: string, question: GatewayQuestion, schema: z.ZodType<T>): Promise<T> {
  const socket = connect({ path: socketPath, allowHalfOpen: true });
  const late = setTimeout(() => socket.destroy(new Error('the gateway does not answer')), answerLimitMs);
  try {
    socket.end(JSON.stringify(question));
    return schema.parse(JSON.parse(await readAll(socket, longestAnswer)));
  } finally {
    clearTimeout(late);
    socket.destroy();
  }
}

/** Answers on the sockets that connect. `answer` may reject: then who asked hears nothing. */
export function createGatewayDoor(answer: (question: GatewayQuestion) => object | Promise<object>): Server {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    const late = setTimeout(() => socket.destroy(), answerLimitMs);
    socket.once('close', () => {
      clearTimeout(late);
    });
    readAll(socket, longestQuestion)
      .then(async (text) => {
        socket.end(JSON.stringify(await answer(gatewayQuestionSchema.parse(JSON.parse(text)))));
      })
      .catch(() => socket.destroy());
  });
  server.maxConnections = 256;
  return server;
}

/** By events: iterating over a socket would close both of its halves at the end. */
function readAll(socket: Socket, most: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    socket.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > most) socket.destroy(new Error('more was sent than is accepted'));
      else chunks.push(chunk);
    });
    socket.once('end', () => {
      resolve(Buffer.concat(chunks).toString('utf8'));
    });
    socket.once('error', reject);
    socket.once('close', () => {
      reject(new Error('the connection was closed'));
    });
  });
}
