/**
 * SSH that knows people: sign in, find the instance, connect to it as that person, carry everything. Each step hands out
 * the next: nothing is placed that has not signed in, nothing is carried that has no instance.
 */
import { PoolhouseError } from '../../core/errors.ts';
import type { Directory } from '../../link/people.ts';
import type { Route } from '../../link/routes.ts';
import { createLogLimit } from '../log-limit.ts';
import type { DirectoryView } from '../people/directory-view.ts';
import type { Placer } from '../people/placer.ts';
import type { SessionLedger } from '../people/session-ledger.ts';
import type { SignIn } from '../people/sign-in.ts';
import type { Arrival, Protocol, ProtocolContext } from '../protocol.ts';
import { authenticate } from './authenticate.ts';
import { carryForwards, type Permissions } from './carry-forwards.ts';
import { carrySession } from './carry-session.ts';
import { hostKeyText } from './host-keys.ts';
import { createSshServer, type SshServer } from './library.ts';
import { createNews, type News } from './news.ts';
import type { ServerConnection } from './ssh-types.ts';
import { connectUpstream, type Upstream } from './upstream.ts';

export interface SshProtocolOptions extends Omit<ProtocolContext, 'prober'> {
  directory: DirectoryView;
  signIn: SignIn;
  placer: Placer;
  sessions: SessionLedger;
  newTicket: () => string;
  /** A route as it is now: who waits is placed where nobody was when they came. */
  routeNow: (id: string) => Route | undefined;
  /** How long signing in may take. */
  graceMs?: number;
  /** Connections that have not signed in: from the first number on some are dropped, from the second on all. */
  unknownPeople?: { from: number; to: number };
  /** Chooses who is dropped: 0 to 1. */
  chance?: () => number;
  /** Channels that a connection may have open at a time. */
  mostChannels?: number;
}

/** Connections to instances that are tried for one of a person. */
const mostTries = 8;
/** One that did not answer is tried again after this: it may have been about to start. */
const avoidedFor = 3_000;
/** Clients that are told goodbye do not show what came just before. */
const goodbyeMs = 500;

type PeopleRoute = Route & { pool: string };
type PeopleArrival = Arrival & { route: PeopleRoute };

export function createSshProtocol(options: SshProtocolOptions): Protocol {
  const { directory, signIn, placer, sessions, ledger, observer, log, clock, newTicket } = options;
  const {
    graceMs = 60_000,
    unknownPeople = { from: 100, to: 500 },
    chance = Math.random,
    mostChannels = 1_000,
  } = options;
  const logLimit = createLogLimit(clock);
  /** Those who have not signed in, and those who have and are not with a machine yet. */
  let unknown = 0;
  let finding = 0;
  let server: { keys: string; server: SshServer } | undefined;

  /** The library's server, made anew when the host keys are others. */
  function serverFor(hostKeys: readonly string[]): SshServer {
    const keys = hostKeys.join('\n');
    if (server?.keys !== keys) {
      server = {
        keys,
        server: createSshServer({ hostKeys: hostKeys.map((key) => ({ key: hostKeyText(key) })), ident: 'Poolhouse' }),
      };
    }
    return server.server;
  }

  function greet(connection: ServerConnection, { route, client }: PeopleArrival, settled: () => void): void {
    const gone = new AbortController();
    connection.on('error', (error) => {
      log.debug({ route: route.id, client: client.address, reason: error.message }, 'an ssh connection failed');
    });
    connection.once('close', () => {
      gone.abort(new Error('the client hung up'));
    });
    const signedInAs = authenticate(connection, {
      signIn,
      from: { pool: route.pool, address: client.address, protocol: 'ssh' },
      authorities: () =>
        (directory.now()?.userAuthorities ?? []).map((line) => Buffer.from(line.split(' ')[1] ?? '', 'base64')),
      isKnown: (user) => directory.find(route.pool, user) !== undefined,
      now: () => clock.now(),
      signal: gone.signal,
    });
    connection.once('ready', () => {
      settled();
      const user = signedInAs();
      if (user === undefined) connection.end();
      else serve(connection, { route, user, address: client.address, signal: gone.signal });
    });
  }

  interface Guest {
    route: PeopleRoute;
    user: string;
    address: string;
    signal: AbortSignal;
  }

  function serve(connection: ServerConnection, guest: Guest): void {
    const { route, user, address, signal } = guest;
    const news = createNews();
    const permissions: Permissions = { agent: false, x11: false };
    let channels = 0;

    finding += 1;
    const arrived = find(guest, news);
    const upstream = arrived.then(({ upstream: found }) => found.connection);
    upstream.catch(() => undefined); // each session that asks is told
    const found = (): void => {
      finding -= 1;
    };
    arrived.then(
      ({ upstream: { connection: instance, socket }, backend }) => {
        found();
        const started = clock.now();
        const leaveSessions = sessions.add({
          pool: route.pool,
          user,
          instance: backend,
          protocol: 'ssh',
          client: address,
          tell: (words) => {
            news.tell(words);
          },
          end(reason) {
            news.tell(reason);
            setTimeout(() => connection.end(), goodbyeMs).unref();
          },
        });
        const carried = () => ({ toInstance: socket.bytesWritten, toClient: socket.bytesRead });
        const leaveLedger = ledger.add({
          route: route.id,
          instance: backend,
          destroy: () => connection.end(),
          carried,
          doubt: () => {
            socket.setKeepAlive(true, 1_000);
          },
        });
        log.info(
          { audit: 'session begins', pool: route.pool, user, instance: backend, client: address },
          'a session begins',
        );
        instance.once('close', () => {
          // Its sessions say so to their people first.
          setTimeout(() => connection.end(), goodbyeMs).unref();
        });
        const close = (): void => {
          instance.end();
          leaveSessions();
          leaveLedger();
          observer.ended(route, carried());
          const seconds = Math.round((clock.now() - started) / 1000);
          log.info(
            { audit: 'session ends', pool: route.pool, user, instance: backend, seconds },
            'a session has ended',
          );
        };
        if (signal.aborted) close();
        else signal.addEventListener('abort', close, { once: true });
      },
      (error: unknown) => {
        found();
        if (signal.aborted) return;
        const message = error instanceof Error ? error.message : String(error);
        const leftOut = logLimit(`${route.id} ${message}`);
        if (leftOut !== undefined)
          log.info(
            { audit: 'not placed', pool: route.pool, user, reason: message, leftOut },
            'nobody could take a session',
          );
        observer.refused(route, 'no_instance');
      },
    );

    connection.on('session', (accept, reject) => {
      if (channels >= mostChannels) {
        reject();
        return;
      }
      const session = accept();
      if (session === undefined) return;
      channels += 1;
      session.once('close', () => {
        channels -= 1;
      });
      carrySession(session, {
        upstream,
        onNews: (tell) => news.follow(tell),
        onTerminal: (tell) => news.listen(tell),
        allowAgent: () => {
          permissions.agent = true;
        },
        allowX11: () => {
          permissions.x11 = true;
        },
      });
    });
    carryForwards(connection, upstream, permissions);
  }

  /** Places somebody, and connects to where that is; an instance that does not let them in is passed over. */
  async function find({ route, user, signal }: Guest, news: News): Promise<{ upstream: Upstream; backend: string }> {
    const ticket = newTicket();
    const failedAt = new Map<string, number>();
    const unusable = (): string[] =>
      [...failedAt].flatMap(([instance, at]) => (clock.now() - at < avoidedFor ? [instance] : []));
    const connecting = clock.now();
    let tries = 0;
    for (;;) {
      const placed = await placer.place(
        { ticket, route: current(route), user, unusable, onWaiting: news.wait },
        signal,
      );
      if (placed.outcome === 'refused') throw new PoolhouseError('Unavailable', placed.message);
      const known = directory.now();
      const backend = current(route).backends.find((one) => one.instance === placed.instance);
      try {
        if (known === undefined || backend === undefined)
          throw new PoolhouseError('Unavailable', `The machine ${placed.instance} is gone.`);
        const upstream = await connectUpstream({ directory: known, backend, user, clock, signal });
        observer.carried(route, clock.now() - connecting);
        return { upstream, backend: placed.instance };
      } catch (error) {
        signal.throwIfAborted();
        const { message } = error as PoolhouseError;
        log.warn({ route: route.id, instance: placed.instance, user, reason: message }, 'an instance took nobody in');
        observer.connectFailed(route, error as Error);
        failedAt.set(placed.instance, clock.now());
        tries += 1;
        if (tries >= mostTries) throw new PoolhouseError('Unavailable', message, { cause: error });
      }
    }
  }

  const current = (route: PeopleRoute): PeopleRoute => ({ ...(options.routeNow(route.id) ?? route), pool: route.pool });

  return {
    name: 'ssh',
    get pending() {
      return unknown + finding;
    },
    accept(arrival) {
      const { socket, route, client } = arrival;
      const known: Directory | undefined = directory.now();
      const { pool } = route;
      if (known === undefined || known.hostKeys.length === 0 || pool === undefined || isOneTooMany()) {
        observer.refused(route, 'no_room');
        socket.destroy();
        return;
      }
      unknown += 1;
      const late = setTimeout(() => socket.destroy(), graceMs);
      let isSettled = false;
      const settled = (): void => {
        if (isSettled) return;
        isSettled = true;
        unknown -= 1;
        clearTimeout(late);
      };
      socket.once('close', settled);
      socket.allowHalfOpen = false; // SSH closes its halves by itself
      serverFor(known.hostKeys).accept(socket, (connection) => {
        greet(connection, { socket, route: { ...route, pool }, client }, settled);
      });
      socket.resume();
    },
  };

  /** As sshd's MaxStartups: those who do not sign in make no room for those who would. */
  function isOneTooMany(): boolean {
    const { from, to } = unknownPeople;
    return unknown >= to || (unknown >= from && chance() < 0.3 + (0.7 * (unknown - from)) / (to - from));
  }
}
