/** The fetcher with its real helper process, against a server on this machine. */
import { readFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { execFile } from 'node:child_process';
import { gzipSync } from 'node:zlib';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createFetcher, type FetchOptions } from './fetcher.ts';

const log = pino({ level: 'silent' });
const { signal } = new AbortController();

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** A server whose paths are set by each test. */
class Site {
  readonly paths = new Map<string, Answer>();
  readonly requests: string[] = [];
  readonly sockets = new Set<Socket>();
  host = '';
  readonly #server: Server = createServer((request, response) => {
    this.requests.push(request.url ?? '');
    const answer = this.paths.get(request.url ?? '');
    if (answer === undefined) response.writeHead(404).end('no such page');
    else answer(request, response);
  }).on('connection', (socket: Socket) => {
    this.sockets.add(socket);
    socket.on('close', () => this.sockets.delete(socket));
    socket.on('error', () => undefined); // whoever was ended in the middle
  });

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    this.host = `127.0.0.1:${(this.#server.address() as AddressInfo).port}`; // a TCP server has one
  }
  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

async function until(what: () => boolean): Promise<void> {
  while (!what()) await sleep(10);
}

describe('the fetcher', () => {
  let site: Site;
  let other: Site;
  let fetch: (path: string, options?: Partial<FetchOptions>) => Promise<string>;

  beforeEach(async () => {
    site = new Site();
    other = new Site();
    await site.listen();
    await other.listen();
    const fetcher = createFetcher({
      policy: { mirrors: {}, fetchAllow: [site.host], forbidden: [] },
      log,
    });
    fetch = async (path, options = {}) =>
      Buffer.from(await fetcher.fetch(`http://${site.host}${path}`, { signal, ...options })).toString('latin1');
  });
  afterEach(() => {
    site.close();
    other.close();
  });

  it('gives the body', async () => {
    site.paths.set('/a?sig=1', (request, response) => response.end(`${request.headers.host} ${request.method}`));
    expect(await fetch('/a?sig=1')).toBe(`${site.host} GET`);
  });

  it.runIf(process.getuid?.() === 0)('connects as an account without rights', async () => {
    let seen: Promise<string> | undefined;
    site.paths.set('/', (request, response) => {
      const port = (request.socket.remotePort ?? 0).toString(16).toUpperCase().padStart(4, '0');
      seen = readFile('/proc/net/tcp', 'utf8').then((text) => {
        const row = text.split('\n').find((line) => line.trim().split(/\s+/)[1] === `0100007F:${port}`);
        response.end();
        return row?.trim().split(/\s+/)[7] ?? 'not found';
      });
    });
    await fetch('/');
    const { stdout } = await promisify(execFile)('id', ['-u', 'nobody']);
    expect(await seen).toBe(stdout.trim());
  });

  it('follows redirects, also relative ones', async () => {
    site.paths.set('/one', (_request, response) => response.writeHead(302, { location: '/two' }).end());
    site.paths.set('/two', (_request, response) =>
      response.writeHead(308, { location: '//' + site.host + '/three' }).end(),
    );
    site.paths.set('/three', (_request, response) => response.end('here'));
    expect(await fetch('/one')).toBe('here');
  });

  const leadingAway: [what: string, location: (otherHost: string) => string, code: string, message: RegExp][] = [
    ['an address that is not allowed', (host) => `http://${host}/secret`, 'FetchNotAllowed', /inner address/],
    [
      'another spelling of one',
      (host) => `http://0x7f.1:${host.split(':')[1] ?? ''}/`,
      'FetchNotAllowed',
      /inner address/,
    ],
    ['the metadata service', () => 'http://169.254.169.254/metadata', 'FetchNotAllowed', /inner address/],
    ['a file', () => 'file:///etc/passwd', 'FetchNotAllowed', /only http and https/],
    ['a name with a password', () => 'http://a:b@93.184.216.34/', 'FetchNotAllowed', /user name or password/],
    ['no URL', () => 'http://[', 'FetchFailed', /not a URL/],
    ['itself', () => '/from', 'FetchFailed', /redirects more than 5 times/],
  ];
  it.each(leadingAway)('does not follow a redirect to %s', async (_what, location, code, message) => {
    site.paths.set('/from', (_request, response) => response.writeHead(302, { location: location(other.host) }).end());
    await expect(fetch('/from')).rejects.toMatchObject({ code, message: expect.stringMatching(message) as string });
    expect(other.requests).toEqual([]);
  });

  it('says the status of an answer, and nothing of its body', async () => {
    site.paths.set('/a', (_request, response) => response.writeHead(500, 'Oh-Secret').end('Body-Secret'));
    await expect(fetch('/a?sig=Query-Secret')).rejects.toThrow(`'http://${site.host}/a' answered with status 404`);
    const error = await fetch('/a').catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'FetchFailed', message: `'http://${site.host}/a' answered with status 500.` });
    expect(JSON.stringify(error)).not.toContain('Secret');
  });

  it('gives up what is larger than the limit', async () => {
    site.paths.set('/told', (_request, response) => response.end('x'.repeat(2_000)));
    site.paths.set('/endless', (_request, response) => {
      const more = () => {
        while (!response.destroyed && response.write('x'.repeat(10_000)));
      };
      response.on('drain', more).on('error', () => undefined);
      more();
    });
    for (const path of ['/told', '/endless'])
      await expect(fetch(path, { maxBytes: 1_000 })).rejects.toMatchObject({
        code: 'FetchFailed',
        message: `'http://${site.host}${path}' is larger than 1000 bytes.`,
      });
    expect(await fetch('/told', { maxBytes: 2_000 })).toHaveLength(2_000);
    await until(() => site.sockets.size === 0);
  });

  it('unpacks nothing: what is packed counts as it is', async () => {
    const packed = gzipSync(Buffer.alloc(1_000_000));
    site.paths.set('/', (request, response) => {
      expect(request.headers['accept-encoding']).toBe('identity');
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(packed);
    });
    expect(await fetch('/', { maxBytes: packed.length })).toBe(packed.toString('latin1'));
  });

  it('ends its helper when the body is too slow', async () => {
    site.paths.set('/slow', (_request, response) => response.write('the beginning'));
    await expect(fetch('/slow', { timeoutMs: 1_000 })).rejects.toMatchObject({
      code: 'FetchFailed',
      message: `'http://${site.host}/slow' did not arrive within 1 s.`,
    });
    await until(() => site.sockets.size === 0);
  });

  it('does not take a part for the whole', async () => {
    site.paths.set('/', (request, response) => {
      response.writeHead(200, { 'content-length': '1000' });
      response.write('the beginning', () => request.socket.destroy());
    });
    await expect(fetch('/')).rejects.toThrow(`'http://${site.host}/' ended in the middle.`);
  });

  it('says that nobody listens', async () => {
    site.close();
    await expect(fetch('/')).rejects.toThrow('could not be reached: ECONNREFUSED');
  });

  it('ends its helper when it is aborted', async () => {
    const stop = new AbortController();
    site.paths.set('/slow', (_request, response) => response.write('the beginning'));
    const fetching = fetch('/slow', { signal: stop.signal });
    fetching.catch(() => undefined); // looked at below
    await until(() => site.requests.length === 1);
    stop.abort(new Error('no more'));
    await expect(fetching).rejects.toThrow('no more');
    await until(() => site.sockets.size === 0);
  });

  it('works on few at once, lets some wait, and refuses the rest', async () => {
    const stop = new AbortController();
    site.paths.set('/slow', (_request, response) => response.write('the beginning'));
    const fetching = Array.from({ length: 36 }, () => fetch('/slow', { signal: stop.signal }));
    const ended = Promise.allSettled(fetching);
    await expect(fetch('/slow')).rejects.toMatchObject({ code: 'FetchFailed', retryable: true });
    await until(() => site.requests.length === 4);
    stop.abort(new Error('no more'));
    expect((await ended).every((one) => one.status === 'rejected' && (one.reason as Error).message === 'no more')).toBe(
      true,
    );
    expect(site.requests).toHaveLength(4);
    site.paths.set('/quick', (_request, response) => response.end('free again'));
    expect(await fetch('/quick')).toBe('free again');
  });
});

describe('mirrors', () => {
  let folder: string;
  let fetch: (url: string) => Promise<string>;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'poolhouse-mirror-'));
    const mirror = join(folder, 'mirror');
    await mkdir(join(mirror, 'inner', 'deep'), { recursive: true });
    await mkdir(join(folder, 'mirror-of-others'));
    await writeFile(join(folder, 'outside'), 'outside');
    await writeFile(join(folder, 'mirror-of-others', 'a'), 'outside');
    await writeFile(join(mirror, 'a b.sh'), 'spaced');
    await writeFile(join(mirror, 'inner', 'a'), 'inner');
    await writeFile(join(mirror, 'inner', 'deep', 'a'), 'deep');
    await writeFile(join(mirror, 'large'), 'x'.repeat(101));
    await symlink('inner/a', join(mirror, 'link'));
    await symlink('../outside', join(mirror, 'link-out'));
    await symlink('..', join(mirror, 'folder-out'));
    await symlink('../mirror-of-others', join(mirror, 'neighbour'));
    await symlink('/etc/passwd', join(mirror, 'absolute'));
    await promisify(execFile)('mkfifo', [join(mirror, 'pipe')]);
    const fetcher = createFetcher({
      policy: {
        mirrors: {
          'https://files.example/x/': mirror,
          'https://files.example/x/own/': join(mirror, 'inner', 'deep'),
          'https://whole.example': mirror,
          'https://gone.example/': join(folder, 'gone'),
        },
        fetchAllow: [],
        forbidden: [],
      },
      log,
    });
    fetch = async (url) => Buffer.from(await fetcher.fetch(url, { signal, maxBytes: 100 })).toString();
  });
  afterAll(() => rm(folder, { recursive: true }));

  it.each([
    ['a file', 'https://files.example/x/inner/a', 'inner'],
    ['a file with a query', 'https://files.example/x/inner/a?sig=1#part', 'inner'],
    ['an encoded name', 'https://files.example/x/a%20b.sh', 'spaced'],
    ['an encoded slash', 'https://files.example/x/inner%2fa', 'inner'],
    ['the longest prefix', 'https://files.example/x/own/a', 'deep'],
    ['a link that stays inside', 'https://files.example/x/link', 'inner'],
    ['a prefix without a slash', 'https://whole.example/inner/a', 'inner'],
  ])('give %s', async (_what, url, body) => {
    expect(await fetch(url)).toBe(body);
  });

  it.each([
    ['..', 'https://files.example/x/../outside', 'FetchNotAllowed'],
    ['.. further down', 'https://files.example/x/inner/../../outside', 'FetchNotAllowed'],
    ['encoded ..', 'https://files.example/x/%2e%2e/outside', 'FetchNotAllowed'],
    ['an encoded slash behind ..', 'https://files.example/x/..%2foutside', 'FetchNotAllowed'],
    ['.. encoded twice', 'https://files.example/x/%252e%252e%252foutside', 'FetchFailed'],
    ['a backslash', 'https://files.example/x/..%5coutside', 'FetchFailed'],
    ['a zero byte', 'https://files.example/x/inner/a%00', 'FetchNotAllowed'],
    ['a broken encoding', 'https://files.example/x/%ff', 'FetchFailed'],
    ['an absolute path', 'https://files.example/x//etc/passwd', 'FetchFailed'],
    ['a link that leads out', 'https://files.example/x/link-out', 'FetchNotAllowed'],
    ['a linked folder that leads out', 'https://files.example/x/folder-out/outside', 'FetchNotAllowed'],
    ['a linked neighbour of the same beginning', 'https://files.example/x/neighbour/a', 'FetchNotAllowed'],
    ['an absolute link', 'https://files.example/x/absolute', 'FetchNotAllowed'],
    ['the folder itself', 'https://files.example/x/', 'FetchNotAllowed'],
    ['a folder', 'https://files.example/x/inner', 'FetchFailed'],
    ['a pipe, which nobody writes', 'https://files.example/x/pipe', 'FetchFailed'],
    ['what is not there', 'https://files.example/x/nothing', 'FetchFailed'],
    ['what is too large', 'https://files.example/x/large', 'FetchFailed'],
    ['a mirror that is not there', 'https://gone.example/a', 'FetchFailed'],
    ['another host of the same beginning', 'https://whole.example.invalid/inner/a', 'FetchFailed'],
    ['a user name of the same beginning', 'https://whole.example@127.0.0.1/inner/a', 'FetchNotAllowed'],
  ])('do not give %s', async (_what, url, code) => {
    await expect(fetch(url)).rejects.toMatchObject({ code });
  });

  it('say where a file was looked for', async () => {
    await expect(fetch('https://files.example/x/nothing?sig=secret')).rejects.toThrow(
      `'https://files.example/x/nothing' is not in its mirror ${join(folder, 'mirror')}.`,
    );
  });
});

describe('posting', () => {
  let site: Site;
  beforeEach(async () => {
    site = new Site();
    await site.listen();
  });
  afterEach(() => {
    site.close();
  });

  const post = async (path: string, fetchAllow: string[], timeoutMs = 10_000) =>
    createFetcher({ policy: { mirrors: { [`http://${site.host}/`]: '/etc' }, fetchAllow, forbidden: [] }, log }).post(
      `http://${site.host}${path}`,
      { contentType: 'application/json', body: '{"ü":1}', timeoutMs, signal },
    );

  it('sends the body, and takes every status of success', async () => {
    let seen = '';
    site.paths.set('/hook/secret?token=1', (request, response) => {
      seen = `${request.method ?? ''} ${request.headers['content-type'] ?? ''} `;
      request.setEncoding('utf8').on('data', (chunk: string) => (seen += chunk));
      request.on('end', () => response.writeHead(202).end('x'.repeat(100_000)));
    });
    await post('/hook/secret?token=1', [site.host]);
    expect(seen).toBe('POST application/json {"ü":1}');
  });

  it.each([
    [
      'a status of failure',
      'answered with status 500',
      (response: ServerResponse) => response.writeHead(500).end('why'),
    ],
    [
      'a redirect',
      'answered with status 307',
      (response: ServerResponse) => response.writeHead(307, { location: '/elsewhere' }).end(),
    ],
  ])('fails at %s, and shows nothing of the path', async (_what, told, answer) => {
    site.paths.set('/secret', (_request, response) => answer(response));
    await expect(post('/secret', [site.host])).rejects.toMatchObject({
      ...{ code: 'FetchFailed', message: `'http://${site.host}/…' ${told}.` },
    });
    expect(site.requests).toEqual(['/secret']);
  });

  it('reaches no inner address that is not listed', async () => {
    await expect(post('/secret', [])).rejects.toMatchObject({
      code: 'FetchNotAllowed',
      message: expect.stringMatching(/^'http:\S+\/…' is not told anything: .*fetchAllow/) as unknown,
    });
    expect(site.requests).toEqual([]);
  });

  it('gives up after its limit', async () => {
    site.paths.set('/secret', () => undefined);
    await expect(post('/secret', [site.host], 1_500)).rejects.toMatchObject({
      ...{ code: 'FetchFailed', message: `'http://${site.host}/…' did not answer within 2 s.` },
    });
  });
});
