/** Where a person is: their place, a hub that is late, and the news that their pages are told. */
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../core/system-clock.ts';
import type { EndedSignIn } from '../../link/ended-sign-ins.ts';
import type { Placed } from '../people/placer.ts';
import { freePort, tcpRoute, until } from '../test-support.ts';
import { createHubReadiness } from './hub-readiness.ts';
import { Browser, openDoor, password, pool, signedIn, startFakeHub, startGreetingHub } from './test-support.ts';

describe('a place', () => {
  it('is waited for on a page that goes on by itself, over all requests of a person', async () => {
    const hub = await startGreetingHub();
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
    const door = await openDoor((await startGreetingHub()).port, { clock: { ...systemClock, now: () => now } });
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
    const door = await openDoor((await startGreetingHub()).port);
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
    const hub = await startGreetingHub();
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
    const door = await openDoor((await startGreetingHub()).port);
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
    const hub = await startGreetingHub();
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
