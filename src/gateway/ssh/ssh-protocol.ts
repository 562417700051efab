/**
 * SSH that knows people: sign in, find the instance, connect to it as that person, carry everything. Each step hands out
 * the next: nothing is placed that has not signed in, nothing is carried that has no instance.
 */
import { PoolhouseError } from '../../core/errors.ts';
import type { Directory, SelfQuestion } from '../../link/people.ts';
import type { Route } from '../../link/routes.ts';
import { createLogLimit } from '../log-limit.ts';
import { createActivityNote } from '../people/activity-note.ts';
import type { StrangerLimits } from '../people/early-drop.ts';
import type { PeopleContext } from '../people/people-context.ts';
import { createStrangers } from '../people/strangers.ts';
import type { Arrival, Protocol } from '../protocol.ts';
import { authenticate, type SignedIn } from './authenticate.ts';
import { carryForwards, type Permissions } from './carry-forwards.ts';
import { carrySession } from './carry-session.ts';
import type { userExtensions } from './certificates.ts';
import { hostKeysFor, readHostCertificates } from './host-keys.ts';
import { hasAesInstructions, readProcessorInfo } from './aes-instructions.ts';
import { algorithmsForPeople, ciphersForAes, createSshServer, type SshServer } from './library.ts';
import { createNews, type News } from './news.ts';
import { readOwnCommand } from './own-commands.ts';
import { runOwnCommand } from './run-own-command.ts';
import type { ServerConnection } from './ssh-types.ts';
import { connectUpstream, type Upstream } from './upstream.ts';

export interface SshProtocolOptions extends PeopleContext {
  /** How long signing in may take. */
  graceMs?: number;
  /** Connections that have not signed in, before some are dropped. */
  unknownPeople?: StrangerLimits;
  /** Chooses who is dropped: 0 to 1. */
  chance?: () => number;
  /** Channels that a connection may have open at a time. */
  mostChannels?: number;
}

/** Connections to instances that are tried for one of a person. */
const mostTries = 8;
/** One that did not answer is tried again after this: it may have been about to start. */
const avoidedFor = 3_000;
/** Who opens no session by then wants the machine for something else: ports that are forwarded, or just to have it. */
const undecidedMs = 500;
/** Clients that are told goodbye do not show what came just before. */
const goodbyeMs = 500;

type PeopleRoute = Route & { pool: string };
type PeopleArrival = Arrival & { route: PeopleRoute };

export function createSshProtocol(options: SshProtocolOptions): Protocol {
  const { directory, signIn, placer, ownAccounts, sessions, ledger, observer, log, clock, newTicket } = options;
  const {
    graceMs = 60_000,
    unknownPeople = { from: 250, to: 1_000, few: 8 },
    chance = Math.random,
    mostChannels = 1_000,
  } = options;
  const logLimit = createLogLimit(clock);
  const strangers = createStrangers(unknownPeople, chance);
  /** Signed in, and on no instance yet. */
  let unplaced = 0;
  /** `until` a certificate ends. */
  let server: { keys: string; until: number; server: SshServer } | undefined;

  /** The library's server, made anew when host keys or certificates are others. */
  function serverFor({ hostKeys, hostCertificates = [] }: Directory): SshServer {
    const now = clock.now();
    const keys = [...hostKeys, ...hostCertificates].join('\n');
    if (server?.keys !== keys || server.until <= now) {
      const { usable, unusable } = readHostCertificates(hostKeys, hostCertificates, now);
      for (const reason of unusable) log.warn({ reason }, 'a host certificate is not shown to clients');
      server = {
        keys,
        until: Math.min(...usable.map(({ validTo }) => validTo)),
        server: createSshServer({
          hostKeys: hostKeysFor(hostKeys, usable),
          ident: 'Poolhouse',
          algorithms: algorithmsForPeople,
          preferredCiphers: hasAesInstructions(readProcessorInfo()) ? ciphersForAes : [],
        }),
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
    const signedIn = authenticate(connection, {
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
      const who = signedIn();
      if (who === undefined) connection.end();
      else serve(connection, { ...who, route, address: client.address, signal: gone.signal });
    });
  }

  interface Guest extends SignedIn {
    route: PeopleRoute;
    address: string;
    signal: AbortSignal;
  }

  function serve(connection: ServerConnection, guest: Guest): void {
    const { route, user, grant, address, signal } = guest;
    const may = (what: (typeof userExtensions)[number]): boolean => grant === undefined || grant.extensions.has(what);
    const news = createNews();
    const activity = createActivityNote(clock);
    const permissions: Permissions = { agent: false, x11: false };
    let channels = 0;

    // Nobody is placed, and no machine is woken, before something wants one: what the front door answers itself does not.
    const arrived = Promise.withResolvers<Awaited<ReturnType<typeof find>>>();
    const arrival = arrived.promise.then(({ upstream: found }) => found.connection);
    arrival.catch(() => undefined); // each session that asks is told
    let isWanted = false;
    const upstream = (): typeof arrival => {
      clearTimeout(undecided);
      if (!isWanted) find(guest, news).then(arrived.resolve, arrived.reject);
      isWanted = true;
      return arrival;
    };
    const undecided = setTimeout(() => void upstream(), undecidedMs);
    let isUnplaced = true;
    unplaced += 1;
    const placed = (): void => {
      clearTimeout(undecided);
      if (isUnplaced) unplaced -= 1;
      isUnplaced = false;
    };
    if (signal.aborted) placed();
    else signal.addEventListener('abort', placed, { once: true });

    arrived.promise.then(
      ({ upstream: { connection: instance, socket }, backend }) => {
        placed();
        const started = clock.now();
        const leaveSessions = sessions.add({
          pool: route.pool,
          user,
          instance: backend,
          protocol: 'ssh',
          client: address,
          activity,
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
          isOfPerson: true,
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
        placed();
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
      clearTimeout(undecided);
      channels += 1;
      session.once('close', () => {
        channels -= 1;
      });
      carrySession(session, {
        upstream,
        isOwn(bytes, channel, isTerminal) {
          const command = grant?.forceCommand === undefined ? readOwnCommand(bytes) : undefined;
          if (command === undefined) return false;
          const ask = (asks: SelfQuestion['asks']) =>
            ownAccounts.ask({ pool: route.pool, user, address, protocol: 'ssh' }, asks, signal);
          const keep = (until: string | undefined) => ownAccounts.keep({ pool: route.pool, user }, until, signal);
          void runOwnCommand(command, { channel, isTerminal, ask, keep, signal });
          return true;
        },
        onNews: (tell) => news.follow(tell),
        onTerminal: (tell) => news.listen(tell),
        allowAgent: () => (permissions.agent ||= may('permit-agent-forwarding')),
        allowX11: () => (permissions.x11 ||= may('permit-X11-forwarding')),
        mayHavePty: may('permit-pty'),
        moved: activity.note,
      });
    });
    const mayForward = may('permit-port-forwarding');
    carryForwards(connection, { upstream, arrival, permissions, mayForward, moved: activity.note });
  }

  /** Places somebody, and connects to where that is; an instance that does not let them in is passed over. */
  async function find(
    { route, user, grant, signal }: Guest,
    news: News,
  ): Promise<{ upstream: Upstream; backend: string }> {
    if (directory.find(route.pool, user) === undefined)
      throw new PoolhouseError('Unavailable', 'Your access to this pool has ended. Ask who runs it.');
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
        const upstream = await connectUpstream({ directory: known, backend, user, grant, clock, signal });
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
      return strangers.size + unplaced;
    },
    accept(arrival) {
      const { socket, route, client } = arrival;
      const known: Directory | undefined = directory.now();
      const { pool } = route;
      const isReady = known !== undefined && known.hostKeys.length > 0 && pool !== undefined;
      const settle = isReady ? strangers.take(client.address) : undefined;
      if (!isReady || settle === undefined) {
        observer.refused(route, 'no_room');
        socket.destroy();
        return;
      }
      const late = setTimeout(() => socket.destroy(), graceMs);
      const settled = (): void => {
        settle();
        clearTimeout(late);
      };
      socket.once('close', settled);
      socket.allowHalfOpen = false; // SSH closes its halves by itself
      serverFor(known).accept(socket, (connection) => {
        greet(connection, { socket, route: { ...route, pool }, client }, settled);
      });
      socket.resume();
    },
  };
}
