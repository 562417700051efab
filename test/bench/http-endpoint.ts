/**
 * The two ends of the measurements of HTTP. `http-endpoint.ts serve` answers every request with a kilobyte and every message
 * of a WebSocket with itself, and prints its port. `http-endpoint.ts echo PORT COOKIE CONNECTIONS SECONDS` sends messages of a
 * kilobyte by so many WebSockets over TLS, each when the last has come back, and prints how many a second went around.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';

const kilobyte = Buffer.alloc(1_024, 'x');

function serve(): void {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': kilobyte.length });
    response.end(kilobyte);
  });
  server.keepAliveTimeout = 60_000;
  new WebSocketServer({ server, perMessageDeflate: false }).on('connection', (socket) => {
    socket.on('message', (data) => {
      socket.send(data as Buffer);
    });
  });
  server.listen(0, '127.0.0.1', () => {
    console.log((server.address() as AddressInfo).port); // a TCP server has one
  });
}

async function echo(port: number, cookie: string, connections: number, seconds: number): Promise<void> {
  let around = 0;
  const opened = Array.from({ length: connections }, async () => {
    const socket = new WebSocket(`wss://127.0.0.1:${port}/user/alice/echo`, {
      ...{ rejectUnauthorized: false, perMessageDeflate: false },
      headers: { cookie, origin: `https://127.0.0.1:${port}` },
    });
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    socket.on('message', () => {
      around += 1;
      socket.send(kilobyte);
    });
    return socket;
  });
  for (const socket of await Promise.all(opened)) socket.send(kilobyte);
  await new Promise((resolve) => setTimeout(resolve, 500)); // until all have begun
  const [before, begun] = [around, performance.now()];
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
  console.log((around - before) / ((performance.now() - begun) / 1_000));
  process.exit(0);
}

const [what, port = '', cookie = '', connections = '', seconds = ''] = process.argv.slice(2);
if (what === 'serve') serve();
else if (what === 'echo') await echo(Number(port), cookie, Number(connections), Number(seconds));
else throw new Error('http-endpoint.ts serve, or http-endpoint.ts echo PORT COOKIE CONNECTIONS SECONDS');
