/** Requests that two programs could read differently, or that are larger than any that is meant: none reaches an instance. */
import { describe, expect, it } from 'vitest';
import { closed } from '../test-support.ts';
import { dialSecurely, openDoor, signedIn, startFakeHub } from './test-support.ts';

const smuggled = 'GET /user/bob/ HTTP/1.1\r\nHost: x\r\n\r\n';
const length = String(smuggled.length);

describe('a request', () => {
  it.each([
    ['two lengths', 'POST', ['Content-Length: 0', `Content-Length: ${length}`]],
    ['two equal lengths', 'POST', ['Content-Length: 3', 'Content-Length: 3']],
    ['a list of lengths', 'POST', ['Content-Length: 0, 5']],
    ['a length with a sign', 'POST', ['Content-Length: +5']],
    ['a length and an encoding', 'POST', [`Content-Length: ${length}`, 'Transfer-Encoding: chunked']],
    ['an unknown encoding', 'POST', ['Transfer-Encoding: xchunked']],
    ['two encodings', 'POST', ['Transfer-Encoding: gzip, chunked']],
    ['an encoding twice', 'POST', ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked']],
    ['an encoding with a space before the colon', 'POST', ['Transfer-Encoding : chunked']],
    ['a folded header', 'GET', ['X-One: a', ' folded']],
    ['a folded encoding', 'POST', ['Transfer-Encoding:', ' chunked']],
    ['a NUL in a header', 'GET', ['X-One: a\0b']],
    ['a bare carriage return', 'GET', ['X-One: a\rX-Two: b']],
    ['two hosts', 'GET', ['Host: other']],
    ['a host that is none', 'GET', ['Host: a/b@c'], ''],
    ['no host', 'GET', [], ''],
    ['a method that nobody needs', 'TRACE', []],
    ['more headers than any browser sends', 'GET', Array.from({ length: 150 }, (_, at) => `X-${String(at)}: 1`)],
    ['a header without an end', 'GET', [`X-Large: ${'a'.repeat(40_000)}`]],
  ])('with %s is refused', async (_what, method, headers, host = 'Host: x\r\n') => {
    const hub = await startFakeHub((_request, response) => void response.end('reached'));
    const door = await openDoor(hub.port);
    const browser = await signedIn(door);
    const { socket, text } = await dialSecurely(door);
    const lines = headers.map((header) => `${header}\r\n`).join('');
    socket.write(
      `${method} /hub/ HTTP/1.1\r\n${host}Cookie: ${browser.cookieHeader()}\r\n${lines}\r\n${smuggled}`,
      'latin1',
    );
    await closed(socket);
    expect(text()).toMatch(/^HTTP\/1.1 4\d\d /);
    expect(text()).not.toContain('reached');
    expect(hub.asked).toEqual([]);
  });

  it.each([
    ['bare line feeds', 'GET /hub/ HTTP/1.1\nHost: x\nCookie: COOKIE\n\n'],
    [
      'an absolute address',
      'GET http://x/user/bob/ HTTP/1.1\r\nHost: x\r\nCookie: COOKIE\r\nConnection: close\r\n\r\n',
    ],
    ['a broken chunk', 'POST /hub/ HTTP/1.1\r\nHost: x\r\nCookie: COOKIE\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n'],
    ['a tunnel', 'CONNECT x:80 HTTP/1.1\r\nHost: x\r\nCookie: COOKIE\r\n\r\n'],
    [
      'another protocol',
      'GET /hub/ HTTP/1.1\r\nHost: x\r\nCookie: COOKIE\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n',
    ],
    [
      'HTTP/1.0 and an encoding',
      'POST /hub/ HTTP/1.0\r\nHost: x\r\nCookie: COOKIE\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
  ])('with %s is answered by nobody but us', async (_what, form) => {
    const hub = await startFakeHub((_request, response) => void response.end('reached'));
    const door = await openDoor(hub.port);
    const browser = await signedIn(door);
    const { socket, text } = await dialSecurely(door);
    socket.write(form.replace('COOKIE', browser.cookieHeader()));
    await closed(socket);
    expect(text()).not.toContain('reached');
  });

  it('behind another on one connection is judged by itself', async () => {
    const hub = await startFakeHub((_request, response) => void response.end('reached'));
    const door = await openDoor(hub.port);
    const cookie = (await signedIn(door)).cookieHeader();
    const { socket, text } = await dialSecurely(door);
    socket.write(`GET /hub/ HTTP/1.1\r\nHost: x\r\nCookie: ${cookie}\r\n\r\n`);
    socket.write(`GET /user/bob/ HTTP/1.1\r\nHost: x\r\nCookie: ${cookie}\r\n\r\n`);
    socket.write(`GET /hub/ HTTP/1.1\r\nHost: x\r\n\r\n`);
    await closed(socket);
    expect(text().match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 403']);
    expect(hub.asked).toHaveLength(1);
  });
});

describe('an answer', () => {
  it.each([
    ['with two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'],
    [
      'with a length and an encoding',
      'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    ['that is none', 'not HTTP at all\r\n\r\n'],
    ['with a head without end', `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(100_000)}\r\n\r\n`],
    [
      'that changes the protocol unasked',
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    ],
  ])('%s of a hostile instance is not passed on', async (_what, said) => {
    const hub = await startFakeHub((request) => void request.socket.end(said));
    const browser = await signedIn(await openDoor(hub.port));
    expect((await browser.send('GET', '/hub/')).status).toBe(502);
  });
});
