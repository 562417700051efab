/**
 * People who are here by browser: each has a place, or waits for one, over all their connections and requests. A visit is
 * a session as long as a WebSocket is open or a request came within the last minute; a wait ends when nobody asks any more.
 */
import { randomUUID } from 'node:crypto';
import { Agent } from 'node:http';
import type { Clock, EpochMillis } from '../../core/time.ts';
import type { Backend, Route } from '../../link/routes.ts';
import { createActivityNote } from '../people/activity-note.ts';
import type { Placer } from '../people/placer.ts';
import type { LiveSession, SessionLedger } from '../people/session-ledger.ts';
import type { GatewayLog } from '../protocol.ts';
import type { HubReadiness } from './hub-readiness.ts';

export type PeopleRoute = Route & { pool: string };

export type Place =
  | { place: 'here'; backend: Backend; agent: Agent }
  | { place: 'waiting'; words: string }
  | { place: 'refused'; message: string }
  /** More people wait than can be remembered. */
  | { place: 'full' };

export interface Visitor {
  readonly pool: string;
  readonly user: string;
  /** Their place; waits a moment for one, so that few ever see the page about waiting. */
  find(route: PeopleRoute, client: string): Promise<Place>;
  /** A request has come for this instance. */
  seen(instance: string, client: string): void;
  /** Something came or went that the person, or a program of theirs, is behind. */
  active(): void;
  /** A WebSocket is open until the returned function is called. */
  hold(close: () => void): () => void;
  /** The instance did not answer: another is found. */
  avoid(instance: string): void;
  /** What they were told lately, oldest first. */
  news(): NewsItem[];
}

/** A line that was told to somebody. */
export interface NewsItem {
  id: string;
  words: string;
  /** Of a machine that they have left: for pages from there. */
  old: boolean;
}

export interface VisitorsOptions {
  placer: Placer;
  sessions: SessionLedger;
  hubs: HubReadiness;
  log: GatewayLog;
  clock: Clock;
  newTicket: () => string;
  routeNow: (id: string) => Route | undefined;
  /** How long a request waits for a place before it is told that it has to. */
  patienceMs?: number;
  /** Somebody's presence was ended by order: they are to sign in again before they are placed anew. */
  onEnd?: (pool: string, user: string, reason: string) => void;
}

export interface Visitors {
  of(pool: string, user: string): Visitor | undefined;
  /** Ends visits and waits that are over. To be called every few seconds. */
  sweep(): void;
  close(): void;
}

const sessionMs = 60_000;
/** A page about waiting asks every two seconds. */
const abandonedMs = 30_000;
const mostVisitors = 10_000;
/** What is told of a machine that somebody has left is kept as long as its pages need to ask for it. */
const oldNewsMs = 60_000;
const mostNews = 5;
/** An instance that did not answer is tried again after this, while somebody waits. */
const avoidedMs = 3_000;

interface Visit extends Visitor {
  isOver(now: EpochMillis): boolean;
  end(): void;
}

export function createVisitors(options: VisitorsOptions): Visitors {
  const { clock } = options;
  const visits = new Map<string, Visit>();
  return {
    of(pool, user) {
      const key = `${pool}\n${user}`;
      const known = visits.get(key);
      if (known !== undefined) return known;
      if (visits.size >= mostVisitors) return undefined;
      const visit = createVisit(pool, user, options);
      visits.set(key, visit);
      return visit;
    },
    sweep() {
      const now = clock.now();
      for (const [key, visit] of visits)
        if (visit.isOver(now)) {
          visit.end();
          visits.delete(key);
        }
    },
    close() {
      for (const visit of visits.values()) visit.end();
      visits.clear();
    },
  };
}

function createVisit(pool: string, user: string, options: VisitorsOptions): Visit {
  const { placer, sessions, hubs, log, clock, newTicket, routeNow, onEnd, patienceMs = 1_500 } = options;
  /** Of this person alone: no two people ever share a connection to an instance. */
  const agent = new Agent({ keepAlive: true, keepAliveMsecs: 10_000, maxSockets: 256, maxFreeSockets: 16 });
  const held = new Set<() => void>();
  const activity = createActivityNote(clock);
  let told: { id: string; words: string; instance: string; at: EpochMillis }[] = [];
  let seenAt = clock.now();
  let placed: string | undefined;
  /** When instances did not answer. */
  const failedAt = new Map<string, EpochMillis>();
  let words = 'A machine is being found for you.';
  let refusal: string | undefined;
  let waiting: { done: Promise<void>; stop: AbortController } | undefined;
  let session: { instance: string; leave: () => void } | undefined;

  function leave(): void {
    if (session === undefined) return;
    session.leave();
    log.info(
      { audit: 'session ends', pool, user, instance: session.instance, protocol: 'http' },
      'a session has ended',
    );
    session = undefined;
  }

  async function wait(route: PeopleRoute, stop: AbortController): Promise<void> {
    try {
      const found = await placer.place(
        {
          ticket: newTicket(),
          route,
          user,
          unusable: () => [...failedAt].flatMap(([instance, at]) => (clock.now() - at < avoidedMs ? [instance] : [])),
          onWaiting: (line) => {
            words = line;
          },
        },
        stop.signal,
      );
      if (found.outcome === 'placed') placed = found.instance;
      else {
        refusal = found.message;
        log.info({ audit: 'not placed', pool, user, reason: found.message }, 'nobody could take a session');
      }
    } catch (error) {
      if (!stop.signal.aborted) log.error({ err: error, pool, user }, 'a placement failed unexpectedly');
    } finally {
      waiting = undefined;
    }
  }

  return {
    pool,
    user,
    async find(route) {
      seenAt = clock.now();
      const here = () => (routeNow(route.id) ?? route).backends.find((one) => one.instance === placed);
      if (placed !== undefined && here() === undefined) placed = undefined;
      if (placed === undefined) {
        if (waiting === undefined) {
          const stop = new AbortController();
          refusal = undefined;
          waiting = { stop, done: wait({ ...(routeNow(route.id) ?? route), pool }, stop) };
        }
        await within(patienceMs, waiting.done);
      }
      const backend = here();
      if (backend !== undefined) {
        if (!hubs.isReady(backend)) await within(patienceMs, hubs.ready(backend));
        if (hubs.isReady(backend)) return { place: 'here', backend, agent };
        return { place: 'waiting', words: 'Your machine is here. Its notebooks are being started.' };
      }
      return refusal === undefined ? { place: 'waiting', words } : { place: 'refused', message: refusal };
    },
    seen(instance, client) {
      seenAt = clock.now();
      failedAt.clear();
      if (session?.instance === instance) return;
      leave();
      const tell = (line: string): void => {
        told = [...told, { id: randomUUID(), words: line, instance, at: clock.now() }].slice(-mostNews);
      };
      const end: LiveSession['end'] = (reason, then) => {
        if (then !== 'comes again') onEnd?.(pool, user, reason);
        for (const close of held) close();
        leave();
        placed = undefined;
      };
      session = {
        instance,
        leave: sessions.add({ pool, user, instance, protocol: 'http', client, activity, tell, end }),
      };
      log.info({ audit: 'session begins', pool, user, instance, client, protocol: 'http' }, 'a session begins');
    },
    active: activity.note,
    hold(close) {
      held.add(close);
      return () => {
        held.delete(close);
        seenAt = clock.now();
      };
    },
    avoid(instance) {
      if (placed === instance) placed = undefined;
      hubs.forget(instance);
      failedAt.set(instance, clock.now());
    },
    news() {
      const isOld = ({ instance }: { instance: string }) => instance !== session?.instance;
      told = told.filter((item) => !isOld(item) || clock.now() - item.at < oldNewsMs);
      return told.map((item) => ({ id: item.id, words: item.words, old: isOld(item) }));
    },
    isOver: (now) => held.size === 0 && now - seenAt > (session === undefined ? abandonedMs : sessionMs),
    end() {
      waiting?.stop.abort(new Error('nobody waits any more'));
      for (const close of held) close();
      leave();
      agent.destroy();
    },
  };
}

/** Waits for a promise that never rejects, but not longer than this. */
async function within(limitMs: number, promise: Promise<void>): Promise<void> {
  const late: PromiseWithResolvers<void> = Promise.withResolvers();
  const timer = setTimeout(late.resolve, limitMs);
  await Promise.race([promise, late.promise]);
  clearTimeout(timer);
}
