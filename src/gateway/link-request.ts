/** One HTTP request to control over its Unix socket, JSON in and out, with limits on time and size. */
import { Agent, request } from 'node:http';

export interface LinkAnswer {
  status: number;
  /** Undefined where the answer had no body. */
  body: unknown;
}

export interface LinkClient {
  /** Rejects when control is away, does not answer in time, or answers with something that is no JSON. */
  send(
    method: 'GET' | 'POST',
    path: string,
    options: { body?: unknown; limitMs: number; signal: AbortSignal },
  ): Promise<LinkAnswer>;
  close(): void;
}

/** Everybody who waits for a place holds one, beside those of the gateway's own polls and reports. */
const maxSockets = 2_000;
const maxAnswerBytes = 64 * 1024 * 1024;

export function createLinkClient(socketPath: string): LinkClient {
  const agent = new Agent({ keepAlive: true, maxSockets });
  return {
    send(method, path, { body, limitMs, signal }) {
      return new Promise((resolve, reject) => {
        const text = body === undefined ? undefined : JSON.stringify(body);
        const asked = request({
          socketPath,
          agent,
          method,
          path,
          signal: AbortSignal.any([signal, AbortSignal.timeout(limitMs)]),
          headers:
            text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) },
        });
        asked.once('error', reject);
        asked.once('response', (response) => {
          const chunks: Buffer[] = [];
          let size = 0;
          response.once('error', reject);
          response.on('data', (chunk: Buffer) => {
            size += chunk.length;
            if (size > maxAnswerBytes) response.destroy(new Error('control answered with more than is accepted'));
            else chunks.push(chunk);
          });
          response.once('end', () => {
            try {
              const answer = Buffer.concat(chunks).toString('utf8');
              resolve({ status: response.statusCode ?? 0, body: answer === '' ? undefined : JSON.parse(answer) });
            } catch (error) {
              reject(new Error(`control answered ${method} ${path} with something that is not JSON`, { cause: error }));
            }
          });
        });
        asked.end(text);
      });
    },
    close: () => {
      agent.destroy();
    },
  };
}
