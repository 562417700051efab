/**
 * HTTP that knows people: TLS, sign in, find the instance, carry each request to the JupyterHub there as that person. Each
 * request is judged anew: a connection that has carried one person's requests has no rights of its own.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { WebIdentity } from '../../link/people.ts';
import type { Route } from '../../link/routes.ts';
import { createLogLimit } from '../log-limit.ts';
import type { StrangerLimits } from '../people/early-drop.ts';
import type { PeopleContext } from '../people/people-context.ts';
import { createStrangers } from '../people/strangers.ts';
import type { Arrival, Protocol } from '../protocol.ts';
import { signAssertion } from './assertion.ts';
import { headersForInstance, refuseForm } from './carry-headers.ts';
import { carryWebSocket } from './carry-websocket.ts';
import { onlyCookie, parseCookies, signInCookie } from './cookies.ts';
import { forward } from './forward.ts';
import { createHubReadiness, type HubReadiness } from './hub-readiness.ts';
import { isAskedByPages, judgePath } from './judge-path.ts';
import { answer, refuse } from './answer-page.ts';
import { isOurs } from './own-form.ts';
import { createOwnPages } from './own-pages.ts';
import { waitingPage } from './pages.ts';
import { createSignInReader, type ReadSignIn } from './sign-in-reader.ts';
import type { SignInToken } from './sign-in-token.ts';
import type { SignIns } from './sign-ins.ts';
import { createTlsFront } from './tls-front.ts';
import { createVisitors, type PeopleRoute, type Place, type Visitor } from './visitors.ts';

export interface HttpProtocolOptions extends PeopleContext {
  signIns: SignIns;
  /** How long a client may take for the encryption, and for the head of a request. */
  headLimitMs?: number;
  /** Connections of which nobody has signed in, before some are dropped. */
  unknownPeople?: StrangerLimits;
  /** Chooses who is dropped: 0 to 1. */
  chance?: () => number;
  /** How long a request waits for a machine before the page about waiting is shown. */
  patienceMs?: number;
  hubs?: HubReadiness;
  /** How often what is over is looked for. */
  sweepMs?: number;
}

/** A connection of a browser. */
interface Connection {
  secure: TLSSocket;
  route: PeopleRoute;
  client: string;
  /** What it has in the ledger: one entry, for the instance that it carried something to last. */
  carries: { instance: string; leave: () => void } | undefined;
  /** Somebody has signed in: it counts among strangers no more. */
  settle: () => void;
}

/** Somebody who has signed in, and what they ask. */
interface Guest {
  token: SignInToken;
  visitor: Visitor;
  identity: WebIdentity;
  key: Buffer;
  mark: string;
}

/** Where JupyterHub sends who has not signed in there. */
const hubSignIn = '/hub/poolhouse-login';
const idleMs = 30 * 60_000;
/** A browser opens up to six connections and keeps them, and one that is dropped shows an error: four browsers are few. */
const browsers: StrangerLimits = { from: 1_000, to: 2_000, few: 24 };

export function createHttpProtocol(options: HttpProtocolOptions): Protocol {
  const { directory, signIns, ledger, observer, log, clock } = options;
  const { headLimitMs = 20_000, unknownPeople = browsers, chance = Math.random, sweepMs = 5_000 } = options;
  const logLimit = createLogLimit(clock);
  const connections = new WeakMap<object, Connection>();
  const reader = createSignInReader();
  const front = createTlsFront(headLimitMs);
  const visitors = createVisitors({
    ...options,
    hubs: options.hubs ?? createHubReadiness(),
    onEnd: (pool, user, words) => {
      signIns.endAll(pool, user, words);
    },
  });
  /** Of every WebSocket: who it is of, to be closed when they may not be here any more. */
  const webSockets = new Map<Duplex, Pick<Guest, 'token' | 'key'>>();
  const strangers = createStrangers(unknownPeople, chance);
  let isLeaving = false;

  const ownPages = createOwnPages({
    ...{ directory, signIn: options.signIn, ownAccounts: options.ownAccounts, clock },
    ended: (ended) => {
      signIns.end(ended);
      for (const [socket, { token }] of webSockets) if (token.id === ended.id) socket.destroy();
    },
  });

  const sweep = setInterval(() => {
    visitors.sweep();
    for (const [socket, { token, key }] of webSockets) if (signIns.counts(token, key) === undefined) socket.destroy();
  }, sweepMs);
  sweep.unref();

  const server = createServer({
    insecureHTTPParser: false,
    maxHeaderSize: 32 * 1024,
    headersTimeout: headLimitMs,
    // Uploads take as long as they take; a client that says nothing at all is ended below.
    requestTimeout: 0,
    keepAliveTimeout: 15_000,
    connectionsCheckingInterval: Math.min(headLimitMs, 2_000),
    requireHostHeader: true,
  });
  // More are refused, and not left out in silence: `refuseForm` counts them.
  server.maxHeadersCount = 250;
  server.timeout = idleMs;
  // It never listens: connections come from the front ends' listeners. Limits on time begin with this event.
  server.emit('listening');

  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (!socket.writable) return;
    const status =
      error.code === 'HPE_HEADER_OVERFLOW'
        ? '431 Request Header Fields Too Large'
        : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
          ? '408 Request Timeout'
          : '400 Bad Request';
    socket.end(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
    setTimeout(() => socket.destroy(), 1_000).unref();
  });
  server.on('connect', (_request, socket) => socket.destroy());
  server.on('request', (request, response) => {
    take(request, response, false);
  });
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    take(request, response, true);
  });
  server.on('upgrade', (request, socket, early) => {
    socket.on('error', () => undefined);
    upgrade(request, socket, early).catch((error: unknown) => {
      log.error({ err: error }, 'a WebSocket failed unexpectedly');
      socket.destroy();
    });
  });

  function take(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void {
    response.on('error', () => undefined);
    // The browser's next request comes by a new connection.
    if (isLeaving) response.shouldKeepAlive = false;
    serve(request, response, expectsContinue).catch((error: unknown) => {
      if (response.destroyed || request.destroyed) return;
      log.error({ err: error }, 'a request failed unexpectedly');
      if (response.headersSent) response.destroy();
      else fail(response, 500, 'That went wrong', 'The gateway could not carry this request. Try again.');
    });
  }

  /** The sign-in that a cookie holds, whether it still counts or not. */
  function signInOf(request: IncomingMessage, { route }: Connection, identity: WebIdentity): ReadSignIn | undefined {
    const text = onlyCookie(parseCookies(request.headers.cookie), signInCookie);
    return reader.read(identity, route.pool, text, clock.now());
  }

  /** Who asks, as their cookie says. */
  function guestOf(request: IncomingMessage, connection: Connection, identity: WebIdentity): Guest | undefined {
    const { route } = connection;
    const key = reader.keyOf(identity);
    const signIn = signInOf(request, connection, identity);
    if (signIn === undefined || signIns.counts(signIn.token, key) === undefined) return undefined;
    const { token, mark } = signIn;
    const visitor = visitors.of(route.pool, token.user);
    if (visitor === undefined) return undefined;
    connection.settle();
    return { token, visitor, identity, key, mark };
  }

  async function serve(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): Promise<void> {
    const connection = connections.get(request.socket);
    const identity = directory.now()?.web;
    if (connection === undefined || identity === undefined) {
      request.socket.destroy();
      return;
    }
    const status = refuseForm(request);
    if (status !== undefined) {
      fail(response, status, 'This request is not taken', 'It is not well-formed.');
      return;
    }
    const guest = guestOf(request, connection, identity);
    const judged = judgePath(request.url ?? '', guest?.token.user);
    if (judged.to === 'own') {
      if (expectsContinue) response.writeContinue();
      const key = reader.keyOf(identity);
      const token = signInOf(request, connection, identity)?.token;
      await ownPages({
        ...{ request, response, path: judged.path, pool: connection.route.pool, client: connection.client, key },
        token: guest?.token,
        farewell: guest === undefined && token !== undefined ? signIns.farewellTo(token) : undefined,
        news: guest?.visitor.news() ?? [],
        signal: goneWith(response),
      });
      return;
    }
    if (guest === undefined) {
      askToSignIn(request, response);
      return;
    }
    if (judged.to === 'nobody') {
      if (judged.status === 403) fail(response, 403, 'Not yours', "This belongs to somebody else's notebooks.");
      else fail(response, 400, 'This request is not taken', 'Its address can be read in more than one way.');
      return;
    }
    if (request.headers['service-worker'] !== undefined && !judged.decoded.startsWith(`/user/${guest.token.user}/`)) {
      // One beside the person's own pages would see the sign-in of whoever uses this browser next.
      fail(response, 403, 'Not here', 'No program of a page may stay in the browser for the whole address.');
      return;
    }
    if (judged.decoded === '/hub/logout') {
      response.writeHead(303, { location: '/poolhouse/signout', 'content-length': 0 }).end();
      return;
    }
    await carry(request, response, connection, guest, { expectsContinue, decoded: judged.decoded });
  }

  async function carry(
    request: IncomingMessage,
    response: ServerResponse,
    connection: Connection,
    guest: Guest,
    { expectsContinue, decoded }: { expectsContinue: boolean; decoded: string },
  ): Promise<void> {
    const asked = clock.now();
    const place = await guest.visitor.find(connection.route, connection.client);
    if (isGone(response)) return;
    if (place.place !== 'here') {
      showPlace(request, response, connection.route, place);
      return;
    }
    const { backend, agent } = place;
    const headers = await headersFor(request, connection, guest, backend.instance, decoded);
    guest.visitor.seen(backend.instance, connection.client);
    const isOfPerson = !isAskedByPages(request.method ?? '', decoded);
    if (isOfPerson) guest.visitor.active();
    enter(connection, backend.instance, clock.now() - asked);
    const outcome = await forward(request, response, { backend, agent, headers, mark: guest.mark, expectsContinue });
    guest.visitor.seen(backend.instance, connection.client);
    if (isOfPerson) guest.visitor.active(); // a long download ends now
    if (outcome === 'answered') return;
    if (outcome === 'unreachable') avoid(connection.route, guest, backend.instance);
    if (isGone(response)) return;
    if (response.headersSent) response.destroy();
    else if (outcome === 'unreachable')
      showPlace(request, response, connection.route, {
        place: 'waiting',
        words: 'Your machine does not answer. Another one is being found.',
      });
    else fail(response, 502, 'No answer', 'Your machine has ended the request without an answer. Try again.');
  }

  async function headersFor(
    request: IncomingMessage,
    { client }: Connection,
    { token, identity, mark }: Guest,
    instance: string,
    decoded: string,
  ): Promise<string[]> {
    // The assertion goes to the instance alone; the browser never sees one.
    const assertion =
      decoded === hubSignIn && request.method === 'GET'
        ? await signAssertion(identity.assertionKey, instance, token.user, clock.now())
        : undefined;
    const cookies = parseCookies(request.headers.cookie);
    return headersForInstance(request.rawHeaders, {
      host: request.headers.host ?? '',
      ...{ client, cookies, mark, assertion },
    });
  }

  function avoid(route: Route, { visitor }: Guest, instance: string): void {
    visitor.avoid(instance);
    observer.connectFailed(route, new Error('no answer'));
    const leftOut = logLimit(`${route.id} ${instance}`);
    if (leftOut !== undefined) log.warn({ route: route.id, instance, leftOut }, 'a JupyterHub did not answer');
  }

  async function upgrade(request: IncomingMessage, socket: Duplex, early: Buffer): Promise<void> {
    const connection = connections.get(socket);
    const identity = directory.now()?.web;
    const no = (status: string): void => {
      socket.end(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
    };
    if (connection === undefined || identity === undefined) {
      socket.destroy();
      return;
    }
    const isWebSocket = request.method === 'GET' && request.headers.upgrade?.toLowerCase() === 'websocket';
    const hasBody =
      request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined;
    if (!isWebSocket || hasBody || refuseForm(request) !== undefined) {
      no('400 Bad Request');
      return;
    }
    const guest = guestOf(request, connection, identity);
    const judged = judgePath(request.url ?? '', guest?.token.user);
    if (guest === undefined) no('401 Unauthorized');
    // A page of another site must not speak with the cookies of this one.
    else if (!isOurs(request)) no('403 Forbidden');
    else if (judged.to !== 'hub')
      no(judged.to === 'nobody' && judged.status === 400 ? '400 Bad Request' : '403 Forbidden');
    else {
      const place = await guest.visitor.find(connection.route, connection.client);
      if (place.place !== 'here' || socket.destroyed) {
        no('503 Service Unavailable');
        return;
      }
      const { backend } = place;
      const headers = await headersFor(request, connection, guest, backend.instance, judged.decoded);
      guest.visitor.seen(backend.instance, connection.client);
      guest.visitor.active();
      enter(connection, backend.instance, 0);
      const release = guest.visitor.hold(() => socket.destroy());
      webSockets.set(socket, guest);
      const opened = await carryWebSocket(request, socket, early, {
        ...{ backend, headers, mark: guest.mark },
        moved: () => {
          guest.visitor.active();
        },
      });
      if (opened.opened) await opened.ended;
      else if (opened.reason === 'unreachable') {
        avoid(connection.route, guest, backend.instance);
        no('503 Service Unavailable');
      }
      webSockets.delete(socket);
      release();
    }
  }

  /** The connection carries something to this instance: from now on it counts there. */
  function enter(connection: Connection, instance: string, connectMs: number): void {
    if (connection.carries?.instance === instance) return;
    const { route } = connection;
    if (connection.carries === undefined) observer.carried(route, connectMs);
    connection.carries?.leave();
    const leave = ledger.add({
      isOfPerson: true,
      route: route.id,
      instance,
      destroy: () => connection.secure.destroy(),
      carried: () => ({ toInstance: connection.secure.bytesRead, toClient: connection.secure.bytesWritten }),
      // What the instance was asked is ended by the keep-alive of the connections to it.
      doubt: () => undefined,
    });
    connection.carries = { instance, leave };
  }

  function showPlace(
    request: IncomingMessage,
    response: ServerResponse,
    route: Route,
    place: Exclude<Place, { place: 'here' }>,
  ): void {
    if (place.place !== 'waiting') observer.refused(route, 'no_instance');
    response.setHeader('retry-after', '2');
    if (place.place === 'waiting') {
      if (wantsPage(request)) answer(response, 503, waitingPage(place.words));
      else plain(response, 503, place.words);
      return;
    }
    const words = place.place === 'refused' ? place.message : 'Too many people are here. Try again later.';
    if (wantsPage(request)) fail(response, 503, 'There is no machine for you', words);
    else plain(response, 503, words);
  }

  return {
    name: 'http',
    get pending() {
      return strangers.size;
    },
    accept({ socket, route, client }: Arrival) {
      const { pool } = route;
      const identity = directory.now()?.web;
      const isReady = pool !== undefined && identity !== undefined;
      const settle = isReady ? strangers.take(client.address) : undefined;
      if (!isReady || settle === undefined) {
        observer.refused(route, 'no_room');
        socket.destroy();
        return;
      }
      socket.once('close', settle);
      front.take(socket, identity, (secure) => {
        const connection: Connection = {
          secure,
          route: { ...route, pool },
          client: client.address,
          carries: undefined,
          settle,
        };
        connections.set(secure, connection);
        secure.once('close', () => {
          if (connection.carries === undefined) return;
          connection.carries.leave();
          observer.ended(route, { toInstance: secure.bytesRead, toClient: secure.bytesWritten });
        });
        server.emit('connection', secure);
      });
    },
    leave() {
      isLeaving = true;
      server.closeIdleConnections();
    },
  };
}

/** Aborts when the client is gone before it was answered. */
function goneWith(response: ServerResponse): AbortSignal {
  const gone = new AbortController();
  response.once('close', () => {
    gone.abort(new Error('the client hung up'));
  });
  return gone.signal;
}

/** Asked each time: it becomes so while we wait. */
const isGone = (response: ServerResponse): boolean => response.destroyed;

const wantsPage = ({ method, headers }: IncomingMessage): boolean =>
  (method === 'GET' || method === 'HEAD') && /\btext\/html\b/i.test(headers.accept ?? '');

function askToSignIn(request: IncomingMessage, response: ServerResponse): void {
  // Who sends a body to strangers is not listened to.
  response.setHeader('connection', request.method === 'GET' || request.method === 'HEAD' ? 'keep-alive' : 'close');
  const isPage = wantsPage(request) || (request.method === 'GET' && request.headers.accept === undefined);
  if (!isPage && request.headers['sec-fetch-mode'] !== 'navigate') {
    plain(response, 401, 'Sign in first: /poolhouse/signin');
    return;
  }
  const next = request.method === 'GET' ? (request.url ?? '/') : '/';
  const query = next === '/' ? '' : `?${new URLSearchParams({ next }).toString()}`;
  response.writeHead(303, { location: `/poolhouse/signin${query}`, 'cache-control': 'no-store', 'content-length': 0 });
  response.end();
}

function plain(response: ServerResponse, status: number, words: string): void {
  const text = `${words}\n`;
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'cache-control': 'no-store',
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}

/** The connection ends with it: of its rest nothing is known. */
function fail(response: ServerResponse, status: number, title: string, words: string): void {
  response.setHeader('connection', 'close');
  refuse(response, status, title, words);
}
