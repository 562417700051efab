import { once } from 'node:events';
import { request } from 'node:http';
import { connect, createServer, type AddressInfo, type Server } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { healthOf, type Health } from './health.ts';
import { createMonitorServer, type MonitorParts, type MonitorServer } from './monitor-server.ts';

let port: number;
let monitor: MonitorServer;
let health: Health;
let busy: number[];
let errors: unknown[];
let held: Server[];

beforeEach(async () => {
  port = await freePort();
  health = healthOf('control', []);
  busy = [];
  errors = [];
  held = [];
  make();
});
afterEach(async () => {
  await monitor.close();
  for (const server of held) server.close();
});

function make(changes: Partial<MonitorParts> = {}): void {
  monitor = createMonitorServer({
    health: () => Promise.resolve(health),
    metrics: () => Promise.resolve({ contentType: 'text/plain; version=0.0.4', text: 'poolhouse_healthy 1\n' }),
    onBusy: (which) => busy.push(which),
    onError: (error) => errors.push(error),
    retryMs: 10,
    ...changes,
  });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port: found } = server.address() as AddressInfo; // a TCP server has one
  server.close();
  await once(server, 'close');
  return found;
}

interface Answer {
  status: number | undefined;
  headers: NodeJS.Dict<string | string[]>;
  text: string;
}

function ask(
  path: string,
  options: { method?: string; headers?: NodeJS.Dict<string>; at?: number } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        host: '127.0.0.1',
        port: options.at ?? port,
        path,
        method: options.method ?? 'GET',
        headers: options.headers ?? {},
        agent: false,
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.on('end', () => {
          resolve({ status: response.statusCode, headers: response.headers, text });
        });
      },
    );
    asked.on('error', reject);
    asked.end();
  });
}

/** Asks until somebody answers. */
async function answered(path: string, at = port): Promise<Answer> {
  for (const end = Date.now() + 10_000; ;) {
    const answer = await ask(path, { at }).catch(() => undefined);
    if (answer !== undefined) return answer;
    if (Date.now() > end) throw new Error(`nobody answers on ${at}`);
  }
}

describe('the monitor', () => {
  it('tells health and metrics', async () => {
    monitor.serveOn(port);
    expect(await answered('/healthz')).toMatchObject({ status: 200, headers: { 'content-type': 'application/json' } });
    health = healthOf('control', ['The store does not answer.'], ['No gateway has reported yet.']);
    const unwell = await ask('/healthz');
    expect(unwell.status).toBe(503);
    expect(JSON.parse(unwell.text)).toEqual({
      process: 'control',
      healthy: false,
      reasons: ['The store does not answer.'],
      notes: ['No gateway has reported yet.'],
    });
    expect(await ask('/metrics?name=x')).toMatchObject({
      status: 200,
      text: 'poolhouse_healthy 1\n',
      headers: { 'content-type': 'text/plain; version=0.0.4' },
    });
  });

  it('is there to be read, and holds nothing else', async () => {
    monitor.serveOn(port);
    await answered('/healthz');
    for (const path of ['/', '/metrics/', '/healthz/x', '/../metrics', '//metrics', '/__proto__'])
      expect((await ask(path)).status).toBe(404);
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])
      expect(await ask('/metrics', { method })).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } });
    const head = await ask('/metrics', { method: 'HEAD' });
    expect(head).toMatchObject({ status: 200, text: '', headers: { 'content-length': '20' } });
  });

  it('answers no page that came here under another name', async () => {
    monitor.serveOn(port);
    await answered('/healthz');
    for (const host of ['localhost', `127.0.0.1:${port}`, '[::1]:1', 'LOCALHOST:80'])
      expect((await ask('/metrics', { headers: { host } })).status).toBe(200);
    for (const host of ['evil.example', `evil.example:${port}`, '127.0.0.1.evil.example', '127.0.0.2'])
      expect((await ask('/metrics', { headers: { host } })).status).toBe(403);
  });

  it('listens on loopback only', async () => {
    monitor.serveOn(port);
    await answered('/healthz');
    // 127.0.0.2 is this host too: who listened on all addresses would answer there.
    const socket = connect({ host: '127.0.0.2', port });
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toBe('ECONNREFUSED');
  });

  it('takes no long header, and keeps no connection', async () => {
    monitor.serveOn(port);
    await answered('/healthz');
    expect((await ask('/metrics', { headers: { 'x-long': 'x'.repeat(9_000) } })).status).toBe(431);
    const { headers } = await ask('/metrics', { headers: { connection: 'keep-alive' } });
    expect(headers['connection']).toBe('close');
  });

  it('says that something went wrong, and not what', async () => {
    make({ metrics: () => Promise.reject(new Error('the store at /secret is broken')) });
    monitor.serveOn(port);
    await answered('/healthz');
    const answer = await ask('/metrics');
    expect(answer.status).toBe(500);
    expect(answer.text).not.toContain('secret');
    expect(errors).toHaveLength(1);
  });

  it('puts one answer together for all who wait for it', async () => {
    const gate: PromiseWithResolvers<void> = Promise.withResolvers();
    let times = 0;
    make({
      metrics: async () => {
        times += 1;
        await gate.promise;
        return { contentType: 'text/plain', text: `${times}` };
      },
    });
    monitor.serveOn(port);
    await answered('/healthz');
    const waiting = [ask('/metrics'), ask('/metrics'), ask('/metrics')];
    // Health is asked after them: when it is answered, all three have arrived.
    await ask('/healthz');
    await ask('/healthz');
    gate.resolve();
    expect((await Promise.all(waiting)).map((answer) => answer.text)).toEqual(['1', '1', '1']);
    expect((await ask('/metrics')).text).toBe('2');
  });

  it('waits for a port that somebody else has, and says so once', async () => {
    const other = createServer().listen(port, '127.0.0.1');
    held.push(other);
    await once(other, 'listening');
    monitor.serveOn(port);
    for (const end = Date.now() + 10_000; busy.length === 0 && Date.now() < end;)
      await new Promise((resolve) => setImmediate(resolve));
    other.close();
    await once(other, 'close');
    expect((await answered('/healthz')).status).toBe(200);
    expect(busy).toEqual([port]);
  });

  it('moves to another port', async () => {
    const second = await freePort();
    monitor.serveOn(port);
    await answered('/healthz');
    monitor.serveOn(second);
    expect((await answered('/healthz', second)).status).toBe(200);
    await expect(ask('/healthz')).rejects.toThrow('ECONNREFUSED');
    await monitor.close();
    await expect(ask('/healthz', { at: second })).rejects.toThrow('ECONNREFUSED');
  });
});
