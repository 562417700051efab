/** Connections of HTTP that knows people: without TLS, silent, of nobody, and of a gateway that leaves. */
import { once } from 'node:events';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { Agent, get } from 'node:https';
import { connect, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { closed, until } from '../test-support.ts';
import { authority, dialSecurely, openDoor, signedIn, startFakeHub, startGreetingHub } from './test-support.ts';

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
    const door = await openDoor((await startGreetingHub()).port, { unknownPeople: limits }, undefined, () => address);
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
    const door = await openDoor((await startGreetingHub()).port);
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
