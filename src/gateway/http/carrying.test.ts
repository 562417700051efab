/** What is carried between browsers and the JupyterHub of an instance, which is a small server of the test. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { until } from '../test-support.ts';
import { signInCookie } from './cookies.ts';
import { authority, openDoor, password, signedIn, startFakeHub, startGreetingHub } from './test-support.ts';

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
    const hub = await startGreetingHub();
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
