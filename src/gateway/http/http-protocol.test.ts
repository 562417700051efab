/** HTTP that knows people, with a JupyterHub that is a small server of the test. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { Agent, get } from 'node:https';
import { connect, type Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { jwtVerify } from 'jose';
import { describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { systemClock } from '../../core/system-clock.ts';
import type { EndedSignIn } from '../../link/ended-sign-ins.ts';
import type { Placed } from '../people/placer.ts';
import { closed, freePort, tcpRoute, until } from '../test-support.ts';
import { signInCookie } from './cookies.ts';
import { createHubReadiness } from './hub-readiness.ts';
import { issueToken } from './sign-in-token.ts';
import {
  assertionPublicKey,
  authority,
  Browser,
  cheapHash,
  dialSecurely,
  openDoor,
  password,
  pool,
  signedIn,
  startFakeHub,
  type Door,
} from './test-support.ts';

const greets = () => startFakeHub((request, response) => void response.end(`hub: ${request.url ?? ''}`));

describe('signing in', () => {
  it('is asked of everybody, on a page that needs nothing else and that nobody frames', async () => {
    const browser = new Browser(await openDoor((await greets()).port));
    const sent = await browser.send('GET', '/user/alice/tree?a=b');
    expect([sent.status, sent.headers['location']]).toEqual([
      303,
      '/poolhouse/signin?next=%2Fuser%2Falice%2Ftree%3Fa%3Db',
    ]);
    const page = await browser.send('GET', String(sent.headers['location']));
    expect(page.status).toBe(200);
    expect(page.headers['content-security-policy']).toMatch(/default-src 'none'.*frame-ancestors 'none'/);
    expect(page.text).not.toMatch(/<script|https?:/);
    expect((await browser.send('GET', '/api', undefined, { accept: 'application/json' })).status).toBe(401);
  });

  it('leads to where somebody wanted to go, and the instance sees nothing of it', async () => {
    const hub = await greets();
    const browser = new Browser(await openDoor(hub.port));
    const reply = await browser.signIn('alice', password, { next: '/user/alice/tree' });
    expect([reply.status, reply.headers['location']]).toEqual([303, '/user/alice/tree']);
    const [cookie = ''] = reply.headers['set-cookie'] ?? [];
    for (const attribute of ['Secure', 'HttpOnly', 'SameSite=Lax', 'Path=/']) expect(cookie).toContain(attribute);
    expect((await browser.send('GET', '/user/alice/tree')).text).toBe('hub: /user/alice/tree');
    expect(hub.asked).toHaveLength(1);
  });

  it('never leads away', async () => {
    for (const next of ['https://evil.example/', '//evil.example', '/\\evil.example', '/\t/evil.example', 'x'])
      expect((await new Browser(await openDoor(1)).signIn('alice', password, { next })).headers['location']).toBe('/');
  });

  it('refuses a wrong password and an unknown name alike', async () => {
    const browser = new Browser(await openDoor(1));
    const [wrong, unknown] = [await browser.signIn('alice', 'no'), await browser.signIn('nobody', password)];
    for (const reply of [wrong, unknown]) {
      expect(reply.status).toBe(403);
      expect(reply.text).toContain('The name or the password is not right.');
      expect(browser.cookies.has(signInCookie)).toBe(false);
    }
  });

  it('takes no form of another site', async () => {
    const door = await openDoor(1);
    const foreign = await new Browser(door).signIn('alice', password, {}, { origin: 'https://evil.example' });
    expect([foreign.status, foreign.headers['location']]).toEqual([403, undefined]);
    const forged = await new Browser(door).signIn('alice', password, { proof: 'made.up' });
    expect(forged.status).toBe(403);
    const without = new Browser(door);
    const page = await without.send('GET', '/poolhouse/signin');
    without.cookies.clear();
    const proof = /name="proof" value="([^"]+)"/.exec(page.text)?.[1] ?? '';
    const body = new URLSearchParams({ user: 'alice', password, proof }).toString();
    const type = { 'content-type': 'application/x-www-form-urlencoded' };
    expect((await without.send('POST', '/poolhouse/signin', body, type)).status).toBe(403);
    expect((await without.send('POST', '/poolhouse/signin', 'x'.repeat(10_000), type)).status).toBe(413);
  });

  it('counts for one pool, for half a day, and only as we sealed it', async () => {
    const door = await openDoor((await greets()).port);
    const key = Buffer.from(door.directory.web?.cookieKey ?? '', 'base64');
    const [alice, bob] = door.directory.users;
    if (alice === undefined || bob === undefined) throw new Error('nobody is there');
    const status = async (cookie: string) => {
      const browser = new Browser(door);
      browser.cookies.set(signInCookie, cookie);
      return (await browser.send('GET', '/hub/')).status;
    };
    const now = Date.now();
    const good = issueToken(key, pool, alice, now);
    expect(await status(good)).toBe(200);
    expect(await status(issueToken(key, '/pools/other', bob, now))).toBe(303);
    expect(await status(issueToken(key, pool, alice, now - 13 * 3_600_000))).toBe(303);
    expect(await status(issueToken(key, pool, alice, now + 3_600_000))).toBe(303);
    expect(await status(issueToken(randomBytes(32), pool, alice, now))).toBe(303);
    const [body = '', mark = ''] = good.split('.');
    expect(await status(`${body}.${mark.slice(0, -1)}`)).toBe(303);
    const other = issueToken(key, pool, bob, now).split('.')[0] ?? '';
    expect(await status(`${other}.${mark}`)).toBe(303);
    expect(await status(`${good}; ${signInCookie}=${good}`)).toBe(303);
  });

  it('is over when the person is disabled, or has another password', async () => {
    const door = await openDoor((await greets()).port);
    const browser = await signedIn(door);
    expect((await browser.send('GET', '/hub/')).status).toBe(200);
    const changed = door.directory.users.map((user) => ({ ...user, passwordHash: cheapHash('another-one') }));
    door.view.take({ ...door.directory, users: changed });
    expect((await browser.send('GET', '/hub/')).status).toBe(303);
    door.view.take(door.directory);
    expect((await browser.send('GET', '/hub/')).status).toBe(200);
    door.view.take({ ...door.directory, users: [] });
    expect((await browser.send('GET', '/hub/')).status).toBe(303);
  });

  it('ends with signing out, also for who has kept the cookie', async () => {
    const browser = await signedIn(await openDoor((await greets()).port));
    const kept = browser.cookies.get(signInCookie) ?? '';
    // A link on another site asks first.
    expect(
      (await browser.send('GET', '/poolhouse/signout', undefined, { 'sec-fetch-site': 'cross-site' })).status,
    ).toBe(200);
    expect((await browser.send('GET', '/hub/logout')).headers['location']).toBe('/poolhouse/signout');
    const out = await browser.send('GET', '/poolhouse/signout', undefined, { 'sec-fetch-site': 'same-origin' });
    expect([out.status, browser.cookies.has(signInCookie)]).toEqual([303, false]);
    expect(out.headers['clear-site-data']).toBe('"storage"');
    browser.cookies.set(signInCookie, kept);
    expect((await browser.send('GET', '/hub/')).status).toBe(303);
  });

  it('ends with signing out at all gateways, as soon as the directory says so', async () => {
    const sockets = new WebSocketServer({ noServer: true });
    const hub = await startFakeHub(
      (_request, response) => void response.end(),
      (request, socket) => {
        sockets.handleUpgrade(request, socket, Buffer.alloc(0), () => undefined);
      },
    );
    const told: EndedSignIn[] = [];
    const first = await openDoor(hub.port, { onSignInEnded: (ended) => told.push(ended) });
    const second = await openDoor(hub.port, { directory: first.view });
    const [browser, other] = [await signedIn(first), await signedIn(first)];
    const kept = browser.cookies.get(signInCookie) ?? '';
    const statusAt = async (door: Door, cookie: string) => {
      const thief = new Browser(door);
      thief.cookies.set(signInCookie, cookie);
      return (await thief.send('GET', '/hub/')).status;
    };
    expect(await statusAt(second, kept)).toBe(200);
    const webSocket = new WebSocket(`wss://${new Browser(second).host}/user/alice/ws`, {
      ...{ ca: authority, origin: `https://${new Browser(second).host}`, headers: { cookie: browser.cookieHeader() } },
    });
    await once(webSocket, 'open');
    const webSocketEnds = once(webSocket, 'close');
    await browser.send('GET', '/poolhouse/signout', undefined, { 'sec-fetch-site': 'same-origin' });
    expect(told).toMatchObject([{ pool, user: 'alice', id: expect.any(String) as string }]);
    first.view.take({ ...first.directory, endedSignIns: told });
    expect([await statusAt(first, kept), await statusAt(second, kept)]).toEqual([303, 303]);
    await webSocketEnds;
    // One that began today, after a restart: the directory is all that it knows.
    expect(await statusAt(await openDoor(hub.port, { directory: first.view }), kept)).toBe(303);
    expect(await statusAt(second, other.cookies.get(signInCookie) ?? '')).toBe(200);
  });

  it('as somebody else takes away what pages have kept in this browser', async () => {
    const browser = await signedIn(await openDoor((await greets()).port));
    expect((await browser.signIn('alice', password)).headers['clear-site-data']).toBeUndefined();
    expect((await browser.signIn('bob', password)).headers['clear-site-data']).toBe('"storage"');
  });

  it('at the JupyterHub is done by an assertion that the browser never sees', async () => {
    const hub = await greets();
    const browser = await signedIn(await openDoor(hub.port));
    const forged = { 'x-poolhouse-assertion': 'mine', X_Poolhouse_Assertion: 'mine' };
    await browser.send('GET', '/hub/poolhouse-login?next=%2F', undefined, forged);
    await browser.send('GET', '/hub/home', undefined, forged);
    const [there, elsewhere] = hub.asked;
    const said = await jwtVerify(String(there?.headers['x-poolhouse-assertion']), assertionPublicKey, {
      audience: 'i-0',
    });
    expect(said.payload.sub).toBe('alice');
    expect((said.payload.exp ?? 0) - (said.payload.iat ?? 0)).toBeLessThanOrEqual(31);
    expect(JSON.stringify([there?.rawHeaders, elsewhere?.rawHeaders])).not.toContain('mine');
    expect(elsewhere?.headers['x-poolhouse-assertion']).toBeUndefined();
  });
});

describe('what is carried', () => {
  it('comes from https, whoever says otherwise, and tells the instance nothing of ours', async () => {
    const hub = await startFakeHub((_request, response) => {
      response.writeHead(200, [
        ...[
          'Set-Cookie',
          `${signInCookie}=stolen; Secure; Path=/`,
          'Set-Cookie',
          'lang=de; Domain=example.org; Path=/',
        ],
        ...['Set-Cookie', 'jupyterhub-hub-login=alices; Path=/hub/', 'Strict-Transport-Security', 'max-age=1'],
        ...[
          'Service-Worker-Allowed',
          '/',
          'Alt-Svc',
          'h2="evil:443"',
          'X-Own',
          'kept',
          'Connection',
          'X-Hop',
          'X-Hop',
          '1',
        ],
      ]);
      response.end('ok');
    });
    const door = await openDoor(hub.port);
    const browser = await signedIn(door);
    browser.cookies.set('theme', 'dark');
    browser.cookies.set('jupyterhub-hub-login', 'planted');
    const reply = await browser.send('GET', '/hub/', undefined, {
      ...{ 'x-forwarded-for': '6.6.6.6', 'x-forwarded-host': 'evil', 'x-real-ip': '6.6.6.6', forwarded: 'for=6.6.6.6' },
      ...{ authorization: 'token of-somebody', 'x-own': 'kept', connection: 'x-hop', 'x-hop': '1' },
    });
    const headers = hub.asked[0]?.headers ?? {};
    expect(headers).toMatchObject({
      ...{ 'x-forwarded-for': '127.0.0.1', 'x-forwarded-proto': 'https', 'x-forwarded-host': browser.host },
      ...{ host: browser.host, cookie: 'theme=dark', 'x-own': 'kept' },
    });
    for (const name of ['forwarded', 'authorization', 'x-hop']) expect(headers[name]).toBeUndefined();
    expect(reply.headers['set-cookie']).toEqual([
      'lang=de; Path=/',
      expect.stringMatching(/^ph-[\w-]{16}-jupyterhub-hub-login=alices; Path=\/hub\/$/),
    ]);
    expect(reply.headers['x-own']).toBe('kept');
    for (const name of ['strict-transport-security', 'service-worker-allowed', 'alt-svc', 'x-hop'])
      expect(reply.headers[name]).toBeUndefined();
    await browser.send('GET', '/hub/');
    expect(hub.asked[1]?.headers.cookie).toContain('jupyterhub-hub-login=alices');

    // The same browser, and the next person in it.
    await browser.signIn('bob', password);
    await browser.send('GET', '/hub/');
    expect(hub.asked[2]?.headers.cookie).not.toContain('jupyterhub');
  });

  it('goes to nobody else', async () => {
    const hub = await greets();
    const browser = await signedIn(await openDoor(hub.port));
    for (const path of [
      '/user/bob/',
      '/user/bob',
      '//user/bob/',
      '/%75ser/bob/',
      '/user%2Fbob/',
      '/hub/user/bob/',
      '/USER/bob/',
    ])
      expect([path, (await browser.send('GET', path)).status]).toEqual([path, 403]);
    for (const path of [
      '/user/alice/../bob/',
      '/user/alice/%2e%2e/bob/',
      '/user/alice/%00',
      '/%ff',
      '/x\\y',
      '/Poolhouse/x',
    ])
      expect([path, (await browser.send('GET', path)).status]).toEqual([path, 400]);
    expect((await browser.send('GET', '/sw.js', undefined, { 'service-worker': 'script' })).status).toBe(403);
    expect(hub.asked).toEqual([]);
    expect((await browser.send('GET', '/user/alice/sw.js', undefined, { 'service-worker': 'script' })).status).toBe(
      200,
    );
  });

  it('shares no connection with another person', async () => {
    const ports = new Map<string, number | undefined>();
    const hub = await startFakeHub((request, response) => {
      ports.set(String(request.headers['x-who']), request.socket.remotePort);
      response.end('ok');
    });
    const door = await openDoor(hub.port);
    const [alice, bob] = [await signedIn(door), await signedIn(door, 'bob')];
    await alice.send('GET', '/hub/', undefined, { 'x-who': 'alice' });
    await alice.send('GET', '/hub/', undefined, { 'x-who': 'alice again' });
    await bob.send('GET', '/hub/', undefined, { 'x-who': 'bob' });
    expect(ports.get('alice')).toBe(ports.get('alice again'));
    expect(ports.get('bob')).not.toBe(ports.get('alice'));
  });

  describe('however much it is', () => {
    const size = 200 * 2 ** 20;
    const piece = randomBytes(2 ** 20);
    const whole = createHash('sha256');
    for (let sent = 0; sent < size; sent += piece.length) whole.update(piece);
    const expected = whole.digest('hex');
    /** What sockets hold on the way, of the four that there are. */
    const mostOnTheWay = size / 4;

    /** Writes it all; tells when the other side takes no more for a moment, and how much it had taken. */
    const writeAll = async (to: Writable, onStuck: (sent: number) => void): Promise<void> => {
      for (let sent = 0; sent < size; sent += piece.length) {
        if (to.write(piece)) continue;
        const stuck = setTimeout(onStuck, 500, sent);
        await once(to, 'drain');
        clearTimeout(stuck);
      }
      to.end();
    };
    const hashOf = async (from: AsyncIterable<Buffer>): Promise<string> => {
      const hash = createHash('sha256');
      for await (const chunk of from) hash.update(chunk);
      return hash.digest('hex');
    };

    it('an upload waits for an instance that does not read, and is kept nowhere', async () => {
      const reads = Promise.withResolvers<number>();
      const hub = await startFakeHub((request, response) => {
        void reads.promise.then(() => hashOf(request)).then((hash) => response.end(hash));
      });
      const browser = await signedIn(await openDoor(hub.port));
      const up = browser.begin('POST', '/user/alice/upload', {
        'content-length': String(size),
        expect: '100-continue',
      });
      up.flushHeaders();
      await once(up, 'continue');
      await writeAll(up, reads.resolve);
      const [answer] = (await once(up, 'response')) as [IncomingMessage];
      expect((await answer.toArray()).join('')).toBe(expected);
      expect(await reads.promise).toBeLessThan(mostOnTheWay);
    }, 60_000);

    it('a download waits for a browser that does not read, and is kept nowhere', async () => {
      const reads = Promise.withResolvers<number>();
      const hub = await startFakeHub((_request, response) => void writeAll(response, reads.resolve));
      const down = (await signedIn(await openDoor(hub.port))).begin('GET', '/user/alice/download');
      down.end();
      const [download] = (await once(down, 'response')) as [IncomingMessage];
      expect(await reads.promise).toBeLessThan(mostOnTheWay);
      expect(await hashOf(download)).toBe(expected);
    }, 60_000);
  });

  it('brings events as they happen', async () => {
    let tell: (line: string) => void = () => undefined;
    const hub = await startFakeHub((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
      tell = (line) => void response.write(line);
    });
    const asked = (await signedIn(await openDoor(hub.port))).begin('GET', '/hub/api/users/alice/server/progress');
    asked.end();
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    for (const line of ['data: one\n\n', 'data: two\n\n']) {
      tell(line);
      expect(String((await once(answer, 'data'))[0])).toBe(line);
    }
    asked.destroy();
    await until('the instance is let go', () => hub.connections.size === 0);
  });

  it('may be a WebSocket of the own page, and of no other', async () => {
    const echo = new WebSocketServer({ noServer: true });
    const hub = await startFakeHub(
      (_request, response) => void response.end(),
      (request, socket) => {
        echo.handleUpgrade(request, socket, Buffer.alloc(0), (client) => {
          client.on('message', (data, isBinary) => {
            client.send(data, { binary: isBinary });
          });
        });
      },
    );
    const door = await openDoor(hub.port);
    const browser = await signedIn(door);
    const open = (path: string, origin: string, cookie = browser.cookieHeader()) =>
      new WebSocket(`wss://${browser.host}${path}`, { ca: authority, origin, headers: { cookie } });
    const socket = open('/user/alice/ws', `https://${browser.host}`);
    await once(socket, 'open');
    const large = randomBytes(1_000_000);
    socket.send(large);
    expect(((await once(socket, 'message'))[0] as Buffer).equals(large)).toBe(true);
    expect(door.sessions.report()).toMatchObject([{ user: 'alice', instance: 'i-0', protocol: 'http' }]);
    expect(door.ledger.report()).toMatchObject([{ instance: 'i-0', open: 1 }]);
    // Two ends that only say that they are there are no activity of the person.
    const activeAt = () => door.sessions.report()[0]?.activeAt ?? 0;
    const before = activeAt();
    await until('the clock goes on', () => Date.now() > before);
    socket.ping();
    await once(socket, 'pong');
    expect(activeAt()).toBe(before);
    socket.send('hello');
    await once(socket, 'message');
    expect(activeAt()).toBeGreaterThan(before);
    const refused = async (...asked: Parameters<typeof open>) => {
      const [error] = (await once(open(...asked), 'error')) as [Error];
      return error.message;
    };
    expect(await refused('/user/alice/ws', 'https://evil.example')).toContain('403');
    expect(await refused('/user/bob/ws', `https://${browser.host}`)).toContain('403');
    expect(await refused('/user/alice/ws', `https://${browser.host}`, 'a=b')).toContain('401');
    door.view.take({ ...door.directory, users: [] });
    await once(socket, 'close'); // she was disabled
    expect(hub.asked).toHaveLength(1);
  });
});

describe('a place', () => {
  it('is waited for on a page that goes on by itself, over all requests of a person', async () => {
    const hub = await greets();
    const found = Promise.withResolvers<Placed>();
    let asked = 0;
    const door = await openDoor(hub.port, { patienceMs: 20 }, ({ onWaiting }) => {
      asked += 1;
      onWaiting('A machine is being started. You are number 2 of 3 who wait.');
      return found.promise;
    });
    const browser = await signedIn(door);
    const page = await browser.send('GET', '/user/alice/tree');
    expect([page.status, page.headers['retry-after']]).toEqual([503, '2']);
    expect(page.text).toMatch(/http-equiv="refresh" content="2"[\s\S]*number 2 of 3/);
    const api = await browser.send('GET', '/user/alice/api', undefined, { accept: 'application/json' });
    expect([api.status, api.headers['content-type']]).toEqual([503, 'text/plain; charset=utf-8']);
    expect(asked).toBe(1);
    found.resolve({ outcome: 'placed', instance: 'i-0' });
    expect((await browser.send('GET', '/user/alice/tree')).text).toBe('hub: /user/alice/tree');
  });

  it('that cannot be had is said so', async () => {
    const door = await openDoor(1, {}, () =>
      Promise.resolve({ outcome: 'refused', message: 'The pool is switched off.' }),
    );
    expect((await (await signedIn(door)).send('GET', '/')).text).toContain('The pool is switched off.');
  });

  it('is another one where the instance does not answer', async () => {
    const tried: string[][] = [];
    const door = await openDoor(await freePort(), {}, ({ unusable }) => {
      tried.push([...unusable()]);
      return Promise.resolve({ outcome: 'placed', instance: 'i-0' });
    });
    const browser = await signedIn(door);
    expect((await browser.send('GET', '/')).text).toContain('does not answer');
    await browser.send('GET', '/');
    expect(tried).toEqual([[], ['i-0']]);
  });

  it('is a session until a minute after the last request', async () => {
    let now = Date.now();
    const door = await openDoor((await greets()).port, { clock: { ...systemClock, now: () => now } });
    await (await signedIn(door)).send('GET', '/');
    expect(door.sessions.report()).toHaveLength(1);
    now += 59_000;
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(door.sessions.report()).toHaveLength(1);
    now += 2_000;
    await until('the session is over', () => door.sessions.size === 0);
    await until('its connections are', () => door.ledger.size === 0);
  });
});

describe('a hub that does not know its way yet', () => {
  for (const status of [404, 502, 503])
    it(`keeps its ${String(status)} to itself: who comes waits, on the page about waiting after a moment`, async () => {
      let health = status;
      const hub = await startFakeHub(
        (_request, response) => void response.writeHead(health).end('the hub says'),
        undefined,
        () => health,
      );
      const alice = await signedIn(await openDoor(hub.port, { patienceMs: 50 }));
      const waits = await alice.send('GET', '/user/alice/tree');
      expect([waits.status, hub.asked.length]).toEqual([503, 0]);
      expect(waits.text).toContain('Its notebooks are being started.');
      health = 200;
      await until('the hub is known to be there', async () => (await alice.send('GET', '/hub/')).status === 200);
    });

  it('holds nobody for ever: what it says then is shown', async () => {
    const hub = await startFakeHub(
      (_request, response) => void response.writeHead(503).end('the hub says'),
      undefined,
      () => 503,
    );
    const hubs = createHubReadiness({ intervalMs: 5, giveUpMs: 50 });
    const alice = await signedIn(await openDoor(hub.port, { hubs }));
    expect((await alice.send('GET', '/hub/')).text).toBe('the hub says');
  });
});

describe('news', () => {
  const newsOf = async (browser: Browser) =>
    JSON.parse((await browser.send('GET', '/poolhouse/news')).text) as { news: { words: string; old: boolean }[] };

  it('is told to the pages of who is there, and to nobody else', async () => {
    const door = await openDoor((await greets()).port);
    const [alice, bob] = [await signedIn(door), await signedIn(door, 'bob')];
    await alice.send('GET', '/');
    await bob.send('GET', '/');
    expect(await newsOf(alice)).toEqual({ news: [] });
    for (const session of door.sessions.find(({ user }) => user === 'alice')) session.tell('This machine goes.');
    expect((await newsOf(alice)).news).toMatchObject([{ words: 'This machine goes.', old: false }]);
    expect(await newsOf(bob)).toEqual({ news: [] });
    expect((await new Browser(door).send('GET', '/poolhouse/news')).status).toBe(401);
  });

  it('of a machine that somebody has left is for the pages from there, for a minute', async () => {
    let now = Date.now();
    const clock = { ...systemClock, now: () => now };
    const hub = await greets();
    const backends = ['i-0', 'i-1'].map((instance) => ({
      ...{ instance, address: '127.0.0.1', port: hub.port, accepting: true },
    }));
    let instances = backends;
    const route = { ...tcpRoute(1, []), protocol: 'http' as const, pool };
    const door = await openDoor(hub.port, { clock, routeNow: () => ({ ...route, backends: instances }) }, () =>
      Promise.resolve({ outcome: 'placed', instance: instances[0]?.instance ?? '' }),
    );
    const alice = await signedIn(door);
    await alice.send('GET', '/');
    for (const session of door.sessions.find(() => true)) session.tell('This machine goes.');
    instances = backends.slice(1);
    await alice.send('GET', '/');
    expect((await newsOf(alice)).news).toMatchObject([{ words: 'This machine goes.', old: true }]);
    now += 61_000;
    expect(await newsOf(alice)).toEqual({ news: [] });
  });

  it('of the end of a session is told, and who signs in again comes in again', async () => {
    const door = await openDoor((await greets()).port);
    const alice = await signedIn(door);
    await alice.send('GET', '/');
    for (const session of door.sessions.find(() => true)) session.end('The time of this machine is over.');
    expect(door.sessions.size).toBe(0);
    expect((await alice.send('GET', '/user/alice/api/contents', undefined, { accept: '*/*' })).status).toBe(401);
    expect((await newsOf(alice)).news).toMatchObject([{ words: 'The time of this machine is over.' }]);
    expect((await alice.send('GET', '/poolhouse/signin')).text).toContain('The time of this machine is over.');
    expect((await alice.signIn('alice', password)).status).toBe(303);
    expect((await alice.send('GET', '/')).status).toBe(200);
    expect((await alice.send('GET', '/poolhouse/signin')).text).not.toContain('is over');
  });

  it('of the end of a session is told by every gateway, and by none where it goes on at another', async () => {
    const hub = await greets();
    const told: EndedSignIn[] = [];
    const door = await openDoor(hub.port, { onSignInEnded: (ended) => told.push(ended) });
    const alice = await signedIn(door);
    await alice.send('GET', '/');
    for (const session of door.sessions.find(() => true)) session.end('This gateway ends.', 'comes again');
    expect([told, (await alice.send('GET', '/')).status]).toEqual([[], 200]);
    for (const session of door.sessions.find(() => true)) session.end('The time of this machine is over.');
    door.view.take({ ...door.directory, endedSignIns: told });
    const there = new Browser(await openDoor(hub.port, { directory: door.view }));
    for (const [name, value] of alice.cookies) there.cookies.set(name, value);
    expect((await there.send('GET', '/')).status).toBe(303);
    expect((await there.send('GET', '/poolhouse/signin')).text).toContain('The time of this machine is over.');
  });
});

describe('a connection', () => {
  it('without TLS is led to https', async () => {
    const door = await openDoor(1);
    const ask = async (text: string): Promise<string> => {
      const socket: Socket = connect(door.port, '127.0.0.1');
      let heard = '';
      socket.on('data', (chunk) => (heard += chunk.toString()));
      socket.write(text);
      await closed(socket);
      return heard;
    };
    expect(await ask('GET /hub/?a=b HTTP/1.1\r\nHost: pool:8000\r\n\r\n')).toMatch(
      /^HTTP\/1.1 308 .*\r\nLocation: https:\/\/pool:8000\/hub\/\?a=b\r\n/,
    );
    expect(await ask('GET / HTTP/1.1\r\nHost: a/b@c\r\n\r\n')).toMatch(/^HTTP\/1.1 400/);
    expect(await ask('SSH-2.0-x\r\n\r\n')).toMatch(/^HTTP\/1.1 400/);
  });

  it('that says nothing is ended, at whatever point it falls silent', async () => {
    const door = await openDoor(1, { headLimitMs: 300 });
    await closed(connect(door.port, '127.0.0.1'));
    const { socket, text } = await dialSecurely(door);
    socket.write('GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ');
    const drip = setInterval(() => socket.write('a'), 50);
    await closed(socket);
    clearInterval(drip);
    expect(text()).toMatch(/^HTTP\/1.1 408/);
  });
});

describe('connections of which nobody has signed in', () => {
  it('keep nobody out who comes from elsewhere, though hundreds are held open', async () => {
    let address = '192.0.2.66';
    const limits = { from: 50, to: 100, few: 8 };
    const door = await openDoor((await greets()).port, { unknownPeople: limits }, undefined, () => address);
    const held = Array.from({ length: 300 }, () => connect(door.port, '127.0.0.1').on('error', () => undefined));
    const left = () => held.filter((socket) => !socket.closed).length;
    for (const socket of held) socket.resume();
    await until('all were looked at', () => left() === door.protocol.pending);
    expect(door.protocol.pending).toBeGreaterThanOrEqual(limits.from);
    expect(door.protocol.pending).toBeLessThanOrEqual(limits.to);
    address = '198.51.100.7';
    const browser = await signedIn(door);
    expect((await browser.send('GET', '/')).status).toBe(200);
    for (const [index, socket] of held.entries()) socket.end(['', '\x16', 'GET '].at(index % 3) ?? '');
    await until('they are forgotten', () => door.protocol.pending === 0);
  });

  it('are those only: who has signed in keeps theirs, whatever they ask, and they do not count', async () => {
    const door = await openDoor((await greets()).port);
    const cookie = (await signedIn(door)).cookieHeader();
    for (const path of ['/hub/', '/poolhouse/news', '/user/bob/']) {
      const { socket, text } = await dialSecurely(door);
      await until('it counts', () => door.protocol.pending === 1);
      socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nCookie: ${cookie}\r\n\r\n`);
      await until('it is answered', () => text().startsWith('HTTP/1.1 '));
      expect(door.protocol.pending).toBe(0);
      socket.destroy();
    }
  });
});

describe('a gateway that leaves', () => {
  it('answers what it was asked, and sends browsers to the one that has taken over', async () => {
    const held = Promise.withResolvers<undefined>();
    const hub = await startFakeHub((request, response) => {
      if (request.url === '/hub/slow') void held.promise.then(() => response.end('late'));
      else response.end('soon');
    });
    const door = await openDoor(hub.port);
    const cookie = (await signedIn(door)).cookieHeader();
    const agents = [new Agent({ keepAlive: true, ca: authority }), new Agent({ keepAlive: true, ca: authority })];
    const [first, second] = agents;
    const ask = (agent: Agent | undefined, path: string) =>
      get({ ...{ agent, host: '127.0.0.1', port: door.port, path }, headers: { cookie } });
    const answered = async (request: ClientRequest) => {
      const [answer] = (await once(request, 'response')) as [IncomingMessage];
      await once(answer.resume(), 'end');
      return answer;
    };
    const asked = ask(first, '/hub/');
    const [idle] = (await once(asked, 'socket')) as [Socket];
    const idleEnds = once(idle, 'close');
    expect((await answered(asked)).headers.connection).toBe('keep-alive');
    const slow = ask(second, '/hub/slow');
    await until('the hub was asked', () => hub.asked.length === 2);
    door.leave();
    await idleEnds;
    held.resolve(undefined);
    expect((await answered(slow)).statusCode).toBe(200);
    expect((await answered(ask(second, '/hub/'))).headers.connection).toBe('close');
    for (const agent of agents) agent.destroy();
  });
});
