import { mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Directory } from './people.ts';
import type { Report, RoutingTable } from './routes.ts';
import { createLinkServer } from './server.ts';
import type { LinkServer, LinkServerOptions } from './server.ts';

let folder: string;
let socketPath: string;
let server: LinkServer;
let reports: Report[];
let errors: unknown[];

const directory = (revision: string): Directory => ({
  revision,
  users: [],
  hostKeys: [],
  userAuthority: '',
  userAuthorities: [],
  instanceKeys: {},
});
const table = (revision: number): RoutingTable => ({ revision, routes: [] });
const report: Report = {
  gateway: 'g',
  pid: 7,
  phase: 'serving' as const,
  startedAt: 0,
  revision: 1,
  probes: [],
  connections: [],
  sessions: [],
  failures: [],
};

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'poolhouse-link-'));
  socketPath = join(folder, 'link.sock');
  reports = [];
  errors = [];
});
afterEach(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

async function listen(changes: Partial<LinkServerOptions> = {}): Promise<void> {
  server = createLinkServer({
    socketPath,
    currentTable: () => table(5),
    currentDirectory: () => directory('a'),
    currentOrders: () => ({ revision: 'none', orders: [] }),
    place: () => Promise.resolve({ outcome: 'refused', message: 'nobody asked' }),
    keep: ({ user, until }) => Promise.resolve({ outcome: 'done', message: `${user}, ${until ?? '-'}` }),
    answerSelf: ({ user }) => Promise.resolve({ outcome: 'refused', message: `nothing is known of ${user}` }),
    keepEnded: () => Promise.resolve(),
    onReport: (each) => void reports.push(each),
    onError: (error) => errors.push(error),
    ...changes,
  });
  await server.listen();
}

function ask(method: string, path: string, body?: string): Promise<{ status: number | undefined; text: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, method, path, agent: false }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => {
        resolve({ status: response.statusCode, text });
      });
      response.on('error', reject);
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

describe('the routes poll', () => {
  it.each(['/v1/routes', '/v1/routes?after=4', '/v1/routes?after=6'])(
    'answers %s at once with another revision',
    async (path) => {
      await listen();
      const { status, text } = await ask('GET', path);
      expect(status).toBe(200);
      expect(JSON.parse(text)).toEqual(table(5));
    },
  );

  it('waits for a change when the gateway has the table', async () => {
    await listen();
    const waiting = ask('GET', '/v1/routes?after=5');
    // A round trip gives the poll time to begin; should it come late all the same, it gets the new table at once.
    await ask('POST', '/v1/reports', JSON.stringify(report));
    server.publish(table(6));
    expect(JSON.parse((await waiting).text)).toEqual(table(6));
  });

  it('answers 204 when nothing happens', async () => {
    await listen({ pollMs: 20 });
    expect(await ask('GET', '/v1/routes?after=5')).toEqual({ status: 204, text: '' });
  });

  it('gives a published table to those who come later', async () => {
    await listen();
    server.publish(table(6));
    expect(JSON.parse((await ask('GET', '/v1/routes?after=5')).text)).toEqual(table(6));
  });

  it('ends waiting polls on closing', async () => {
    await listen();
    const waiting = ask('GET', '/v1/routes?after=5').then(
      () => 'answered',
      () => 'ended',
    );
    await ask('POST', '/v1/reports', JSON.stringify(report));
    await server.close();
    expect(['answered', 'ended']).toContain(await waiting);
  });
});

describe('the directory', () => {
  it('is given at once, and again when it is another', async () => {
    await listen();
    expect(JSON.parse((await ask('GET', '/v1/directory')).text)).toEqual(directory('a'));
    const waiting = ask('GET', '/v1/directory?after=a');
    await ask('POST', '/v1/reports', JSON.stringify(report));
    server.publishDirectory(directory('b'));
    expect(JSON.parse((await waiting).text)).toEqual(directory('b'));
  });

  it('is waited for while control has not looked yet: an empty one would end everybody', async () => {
    await listen({ currentDirectory: () => undefined });
    const waiting = ask('GET', '/v1/directory?after=z');
    await ask('POST', '/v1/reports', JSON.stringify(report)); // the poll came before it
    server.publishDirectory(directory('b'));
    expect(JSON.parse((await waiting).text)).toEqual(directory('b'));
  });

  it('is no answer when the poll ends before control has looked', async () => {
    await listen({ currentDirectory: () => undefined, pollMs: 10 });
    expect((await ask('GET', '/v1/directory')).status).toBe(204);
  });
});

describe('orders about sessions', () => {
  it('are given at once to who has others, and then as they change', async () => {
    await listen();
    expect(JSON.parse((await ask('GET', '/v1/orders')).text)).toEqual({ revision: 'none', orders: [] });
    const waiting = ask('GET', '/v1/orders?after=none');
    await ask('POST', '/v1/reports', JSON.stringify(report)); // the poll came before it
    const list = { revision: 'r', orders: [{ id: 'a', session: 's', end: 'bye' }] };
    server.publishOrders(list);
    expect(JSON.parse((await waiting).text)).toEqual(list);
  });
});

describe('placements', () => {
  it('are asked for with the question, and end with who asked', async () => {
    const ended = Promise.withResolvers<string>();
    await listen({
      place: ({ user }, signal) => {
        if (user === 'ada') return Promise.resolve({ outcome: 'placed', instance: 'one' });
        signal.addEventListener('abort', () => {
          ended.resolve(user);
        });
        return new Promise(() => undefined);
      },
    });
    const question = (user: string) => JSON.stringify({ ticket: 't', pool: 'p', user, unusable: [] });
    expect(JSON.parse((await ask('POST', '/v1/placements', question('ada'))).text)).toEqual({
      outcome: 'placed',
      instance: 'one',
    });
    const hungUp = request({ socketPath, method: 'POST', path: '/v1/placements', agent: false });
    hungUp.on('error', () => undefined);
    hungUp.end(question('bob'), () => setTimeout(() => hungUp.destroy(), 50));
    expect(await ended.promise).toBe('bob');
  });
});

describe('questions about an own account', () => {
  const about = { pool: '/pools/team', user: 'ada', protocol: 'ssh', client: '127.0.0.1' };

  it('are answered', async () => {
    await listen();
    const answer = await ask('POST', '/v1/self', JSON.stringify({ ...about, asks: { for: 'account' } }));
    expect(JSON.parse(answer.text)).toEqual({ outcome: 'refused', message: 'nothing is known of ada' });
  });

  it.each([
    { for: 'uid', uid: 0 },
    { for: 'password', old: 'Old-Horse-7', new: 'New-Horse-7', sudo: true },
    { for: 'more keys', lines: 'Old-Horse-7'.repeat(10_000) },
  ])('are refused where they are none, and nothing of them is said again: %#', async (asks) => {
    await listen();
    const answer = await ask('POST', '/v1/self', JSON.stringify({ ...about, asks }));
    expect(answer.status).toBe(400);
    expect(answer.text).not.toContain('Horse');
  });
});

describe('sign-ins that have ended', () => {
  const one = { pool: '/pools/team', user: 'ada', id: 'token', issued: 1, expires: 2 };
  const all = { pool: '/pools/team', user: 'ada', issued: 1, expires: 2, words: 'Bye.' };

  it('are taken for kept when they are', async () => {
    const kept: unknown[] = [];
    await listen({ keepEnded: (ended) => Promise.resolve(void kept.push(...ended)) });
    const told = await ask('POST', '/v1/ended-sign-ins', JSON.stringify({ ended: [one, all] }));
    expect([told.status, kept]).toEqual([204, [one, all]]);
  });

  it('are not where they could not be', async () => {
    await listen({ keepEnded: () => Promise.reject(new Error('the disk is full')) });
    expect((await ask('POST', '/v1/ended-sign-ins', JSON.stringify({ ended: [one] }))).status).toBe(500);
  });

  it.each([
    { ended: [{ ...one, id: '' }] },
    { ended: [{ ...one, expires: 'never' }] },
    { ended: [{ ...all, words: 'x'.repeat(3_000) }] },
    { ended: Array.from({ length: 501 }, () => one) },
  ])('are refused where they are none: %#', async (body) => {
    await listen();
    expect((await ask('POST', '/v1/ended-sign-ins', JSON.stringify(body))).status).toBe(400);
  });
});

describe('input', () => {
  it('takes a report', async () => {
    await listen();
    expect((await ask('POST', '/v1/reports', JSON.stringify(report))).status).toBe(204);
    expect(reports).toEqual([report]);
  });

  it.each([
    ['GET', '/v1/routes?after=x', undefined, 400],
    ['POST', '/v1/reports', '{', 400],
    ['POST', '/v1/reports', '{"gateway":"g"}', 400],
    ['POST', '/v1/reports', JSON.stringify({ ...report, gateway: 'x'.repeat(2000) }), 400],
    ['GET', '/v1/reports', undefined, 404],
    ['GET', '/__proto__', undefined, 404],
    ['GET', '/', undefined, 404],
  ])('%s %s is refused', async (method, path, body, status) => {
    await listen({ maxBodyBytes: 1000 });
    expect((await ask(method, path, body)).status).toBe(status);
    expect(reports).toEqual([]);
    expect(errors).toEqual([]);
  });

  it('answers 500 without the text of an error inside, and tells it', async () => {
    await listen({ onReport: () => Promise.reject(new Error('the store is broken at /secret')) });
    const { status, text } = await ask('POST', '/v1/reports', JSON.stringify(report));
    expect(status).toBe(500);
    expect(text).not.toContain('/secret');
    expect(errors).toHaveLength(1);
  });
});

describe('the socket', () => {
  it('is for its own user only without a group', async () => {
    await listen();
    expect((await stat(socketPath)).mode & 0o777).toBe(0o600);
  });

  it.skipIf(process.getuid?.() !== 0)('lets a group in (needs root)', async () => {
    await listen({ socketGroup: 65_534 });
    const { mode, gid } = await stat(socketPath);
    expect([mode & 0o777, gid]).toEqual([0o660, 65_534]);
  });

  it('refuses where another process answers, and leaves its socket alone', async () => {
    const other = createServer((socket) => socket.destroy()).listen(socketPath);
    await once(other, 'listening');
    await expect(listen()).rejects.toMatchObject({ code: 'Conflict' });
    expect((await stat(socketPath)).isSocket()).toBe(true);
    other.close();
    await once(other, 'close');
  });

  it('takes the place of one that nobody answers on', async () => {
    await listen();
    const first = server;
    // Renamed away and back: what a crash leaves behind.
    await rename(socketPath, `${socketPath}.left`);
    await first.close();
    await rename(`${socketPath}.left`, socketPath);
    await listen();
    expect((await ask('GET', '/v1/routes')).status).toBe(200);
  });
});
