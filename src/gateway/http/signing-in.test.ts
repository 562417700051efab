/** Signing in by the browser, and what ends it; the JupyterHub is a small server of the test. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { jwtVerify } from 'jose';
import { describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import type { EndedSignIn } from '../../link/ended-sign-ins.ts';
import { signInCookie } from './cookies.ts';
import { issueToken } from './sign-in-token.ts';
import {
  assertionPublicKey,
  authority,
  Browser,
  cheapHash,
  openDoor,
  password,
  pool,
  signedIn,
  startFakeHub,
  type Door,
  startGreetingHub,
} from './test-support.ts';

describe('signing in', () => {
  it('is asked of everybody, on a page that needs nothing else and that nobody frames', async () => {
    const browser = new Browser(await openDoor((await startGreetingHub()).port));
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
    const hub = await startGreetingHub();
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
    const door = await openDoor((await startGreetingHub()).port);
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
    const door = await openDoor((await startGreetingHub()).port);
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
    const browser = await signedIn(await openDoor((await startGreetingHub()).port));
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
    const browser = await signedIn(await openDoor((await startGreetingHub()).port));
    expect((await browser.signIn('alice', password)).headers['clear-site-data']).toBeUndefined();
    expect((await browser.signIn('bob', password)).headers['clear-site-data']).toBe('"storage"');
  });

  it('at the JupyterHub is done by an assertion that the browser never sees', async () => {
    const hub = await startGreetingHub();
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
