/** For tests: a front door for browsers on loopback, a JupyterHub that is a small server, and a client that keeps cookies. */
import 'reflect-metadata';
import { generateKeyPairSync, randomBytes, scryptSync, webcrypto } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { request as askSecurely } from 'node:https';
import { createServer as createListener, type AddressInfo, type Socket } from 'node:net';
import { connect as connectSecurely, type TLSSocket } from 'node:tls';
import * as x509 from '@peculiar/x509';
import { onTestFinished } from 'vitest';
import { systemClock } from '../../core/system-clock.ts';
import type { EndedSignIn } from '../../link/ended-sign-ins.ts';
import type { Directory, DirectoryUser } from '../../link/people.ts';
import { createConnectionLedger, type ConnectionLedger } from '../connection-ledger.ts';
import { createAttemptLimit } from '../people/attempt-limit.ts';
import { createDirectoryView, type DirectoryView } from '../people/directory-view.ts';
import type { Placer } from '../people/placer.ts';
import { createSessionLedger, type SessionLedger } from '../people/session-ledger.ts';
import { createSignIn } from '../people/sign-in.ts';
import type { Protocol } from '../protocol.ts';
import { nobodyObserves, silentLog, tcpRoute } from '../test-support.ts';
import { createHttpProtocol, type HttpProtocolOptions } from './http-protocol.ts';
import { createSignIns } from './sign-ins.ts';

export const pool = '/pools/team';
export const password = 'Correct-Horse-7';

/** Cheap parameters: what costs a third of a second elsewhere is tried elsewhere. */
export function cheapHash(text: string): string {
  const salt = randomBytes(16);
  const unpadded = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '');
  return `$scrypt$ln=4,r=8,p=1$${unpadded(salt)}$${unpadded(scryptSync(text, salt, 32, { N: 16, r: 8, p: 1 }))}`;
}

export interface FakeHub {
  port: number;
  /** Every request that came, in order, but for those of `/hub/health`. */
  asked: IncomingMessage[];
  connections: Set<Socket>;
}

/** Serves what the test says until it ends. The hub knows its way as soon as `healthStatus` says 200. */
export async function startFakeHub(
  respond: RequestListener,
  onUpgrade: (request: IncomingMessage, socket: Socket) => void = (_request, socket) => socket.destroy(),
  healthStatus = () => 200,
): Promise<FakeHub> {
  const asked: IncomingMessage[] = [];
  const connections = new Set<Socket>();
  const server = createServer((request, response) => {
    if (request.url === '/hub/health') {
      response.writeHead(healthStatus()).end();
      return;
    }
    asked.push(request);
    respond(request, response);
  });
  server.on('upgrade', (request: IncomingMessage, socket: Socket) => {
    asked.push(request);
    socket.on('error', () => undefined);
    onUpgrade(request, socket);
  });
  server.on('connection', (socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => {
    for (const socket of connections) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, asked, connections };
}

/** Answers with what it was asked for. */
export function startGreetingHub(): Promise<FakeHub> {
  return startFakeHub((request, response) => void response.end(`hub: ${request.url ?? ''}`));
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const certificateKeys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
x509.cryptoProvider.set(globalThis.crypto);
const certificate = await x509.X509CertificateGenerator.createSelfSigned({
  name: 'CN=127.0.0.1',
  keys: certificateKeys,
  signingAlgorithm: algorithm,
  extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'ip', value: '127.0.0.1' }])],
});
const certificateDer = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', certificateKeys.privateKey));
export const authority = certificate.toString('pem');
const assertionKeys = generateKeyPairSync('ed25519');
export const assertionPublicKey = assertionKeys.publicKey;

export interface Door {
  port: number;
  view: DirectoryView;
  directory: Directory;
  sessions: SessionLedger;
  ledger: ConnectionLedger;
  protocol: Protocol;
  /** Another gateway takes what comes from now on. */
  leave: () => void;
}

/** Opens the front door to one instance until the test ends. */
export async function openDoor(
  hubPort: number,
  changes: Partial<HttpProtocolOptions> & { onSignInEnded?: (ended: EndedSignIn) => void } = {},
  place: Placer['place'] = () => Promise.resolve({ outcome: 'placed', instance: 'i-0' }),
  clientAddress = () => '127.0.0.1',
): Promise<Door> {
  const users: DirectoryUser[] = [
    { name: 'alice', pools: [pool], keys: [], passwordHash: cheapHash(password) },
    { name: 'bob', pools: [pool, '/pools/other'], keys: [], passwordHash: cheapHash(password) },
  ];
  const directory: Directory = {
    revision: '1',
    users,
    hostKeys: [],
    userAuthority: '',
    userAuthorities: [],
    instanceKeys: {},
    web: {
      certificate: authority,
      certificateKey: `-----BEGIN PRIVATE KEY-----\n${certificateDer.toString('base64')}\n-----END PRIVATE KEY-----\n`,
      cookieKey: randomBytes(32).toString('base64'),
      assertionKey: assertionKeys.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string, // PEM is text
    },
  };
  const view = createDirectoryView();
  view.take(directory);
  const clock = changes.clock ?? systemClock;
  const sessions = createSessionLedger(
    () => clock.now(),
    () => undefined,
  );
  const ledger = createConnectionLedger(() => undefined);
  const route = {
    ...tcpRoute(1, []),
    protocol: 'http' as const,
    pool,
    backends: [{ instance: 'i-0', address: '127.0.0.1', port: hubPort, accepting: true }],
  };
  const protocol = createHttpProtocol({
    directory: view,
    signIn: createSignIn({ directory: view, limit: createAttemptLimit(clock), log: silentLog }),
    placer: { place },
    ownAccounts: {
      ask: () => Promise.resolve({ outcome: 'refused', message: 'Nobody is asked here.' }),
      keep: () => Promise.resolve({ outcome: 'refused', message: 'Nothing is kept here.' }),
    },
    sessions,
    ledger,
    observer: nobodyObserves,
    log: silentLog,
    clock,
    newTicket: () => 'ticket',
    routeNow: () => route,
    sweepMs: 20,
    signIns: createSignIns({
      directory: changes.directory ?? view,
      clock,
      onEnded: changes.onSignInEnded ?? (() => undefined),
    }),
    ...changes,
  });
  const sockets = new Set<Socket>();
  const listener = createListener({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    protocol.accept({ socket, route, client: { address: clientAddress(), port: socket.remotePort ?? 0 } });
  });
  await once(listener.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    listener.close();
  });
  const leave = () => protocol.leave?.();
  return { port: (listener.address() as AddressInfo).port, view, directory, sessions, ledger, protocol, leave };
}

export interface Reply {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
}

/** A browser, as far as cookies and forms go. */
export class Browser {
  readonly cookies = new Map<string, string>();
  readonly door: Pick<Door, 'port'>;

  constructor(door: Pick<Door, 'port'>) {
    this.door = door;
  }

  get host(): string {
    return `127.0.0.1:${String(this.door.port)}`;
  }

  cookieHeader(): string {
    return [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  /** Asks, and gives the answer as it begins. */
  begin(method: string, path: string, headers: Record<string, string> = {}) {
    return askSecurely({
      ...{ host: '127.0.0.1', port: this.door.port, ca: authority, agent: false, method, path },
      headers: { accept: 'text/html', ...(this.cookies.size > 0 ? { cookie: this.cookieHeader() } : {}), ...headers },
    });
  }

  send(method: string, path: string, body?: string | Buffer, headers: Record<string, string> = {}): Promise<Reply> {
    const asked = this.begin(method, path, {
      ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
      ...headers,
    });
    return new Promise((resolve, reject) => {
      asked.once('error', reject);
      asked.once('response', (answer) => {
        for (const cookie of answer.headers['set-cookie'] ?? []) {
          const [name = '', value = ''] = (cookie.split(';')[0] ?? '').split(/=(.*)/s);
          if (value === '') this.cookies.delete(name);
          else this.cookies.set(name, value);
        }
        let text = '';
        answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        answer.once('error', reject);
        answer.once('end', () => {
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text });
        });
      });
      asked.end(body);
    });
  }

  async signIn(user: string, secret: string, more: Record<string, string> = {}, headers = {}): Promise<Reply> {
    const page = await this.send('GET', '/poolhouse/signin');
    const proof = /name="proof" value="([^"]+)"/.exec(page.text)?.[1] ?? '';
    return this.send(
      'POST',
      '/poolhouse/signin',
      new URLSearchParams({ user, password: secret, proof, ...more }).toString(),
      {
        'content-type': 'application/x-www-form-urlencoded',
        origin: `https://${this.host}`,
        ...headers,
      },
    );
  }
}

/** Somebody who has signed in. */
export async function signedIn(door: Door, user = 'alice'): Promise<Browser> {
  const browser = new Browser(door);
  const reply = await browser.signIn(user, password);
  if (reply.status !== 303) throw new Error(`not signed in: ${String(reply.status)} ${reply.text}`);
  return browser;
}

/** An encrypted connection to write bytes on, and what came back so far. */
export async function dialSecurely(door: Pick<Door, 'port'>): Promise<{ socket: TLSSocket; text: () => string }> {
  const socket = connectSecurely({ host: '127.0.0.1', port: door.port, ca: authority });
  let text = '';
  socket.on('error', () => undefined);
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  await once(socket, 'secureConnect');
  onTestFinished(() => {
    socket.destroy();
  });
  return { socket, text: () => text };
}
